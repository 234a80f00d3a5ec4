"""The identity file: two slots, the newest valid one counts."""

from dataclasses import replace
from random import Random
from typing import Any

import cbor2
import google_crc32c
import pytest

from haqactor.env import DiskError
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId
from haqactor.journal import Identity, IdentityFile
from haqactor.journal.identity import SLOT_BYTES, CleanMark, encode
from tests.builders.journal_bench import DIRECTORY, running
from tests.builders.memory_disk import Crashed, MemoryDisk

WHO = Identity(
    cluster_id=b"c" * 16,
    node_id=2,
    nonce=b"n",
    members=((0, "a:1", b"x"), (2, "b:2", b"n")),
    boot=3,
    clean=CleanMark(4, 512, 99, 7),
    suspects=(1, 5),
    suspect_all=True,
    cured=(6,),
)


async def test_it_comes_back_and_the_newest_counts() -> None:
    disk = MemoryDisk()
    file = await IdentityFile.create(disk, "d", WHO)
    assert file.current == WHO
    for boot in range(4, 8):
        await file.store(replace(WHO, boot=boot))
        assert (await IdentityFile.load(disk, "d")).current.boot == boot


async def test_one_bad_slot_leaves_the_other_and_two_are_damage() -> None:
    disk = MemoryDisk()
    file = await IdentityFile.create(disk, "d", WHO)
    await file.store(replace(WHO, boot=4))
    data = disk.names["d/identity"].data
    data[30] ^= 1
    assert (await IdentityFile.load(disk, "d")).current.boot == 3
    data[SLOT_BYTES + 30] ^= 1
    with pytest.raises(DataDamaged, match="neither copy"):
        await IdentityFile.load(disk, "d")


@pytest.mark.parametrize("keep", ["none", "all", "torn"])
async def test_power_lost_while_storing_leaves_the_old_or_the_new(keep: str) -> None:
    for seed in range(10):
        disk = MemoryDisk()
        file = await IdentityFile.create(disk, "d", WHO)
        for more in range(seed % 3):  # into either slot
            await file.store(replace(WHO, boot=WHO.boot + 1 + more))
        old = file.current.boot
        disk.crash_at = disk.operations
        with pytest.raises(Crashed):
            await file.store(replace(WHO, boot=9, nonce=bytes(2000)))
        disk.crash(Random(seed), keep=keep)
        assert (await IdentityFile.load(disk, "d")).current.boot in (old, 9)


async def test_what_belongs_to_the_journal_cannot_be_changed_from_outside() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        await journal.update_identity(
            lambda now: replace(now, node_id=1, cluster_id=b"z", boot=77, suspect_all=True)
        )
        assert (journal.identity.node_id, journal.identity.boot, journal.identity.suspect_all) == (
            1,
            1,
            False,
        )
    async with running(disk) as journal:
        assert (journal.identity.cluster_id, journal.boot) == (b"z", 2)


FIELDS: dict[str, Any] = {"from_the_future": 1, "boot": "x", "suspects": ["x"], "clean": [1], "members": 5}


@pytest.mark.parametrize("name", [*FIELDS, ""])
async def test_a_copy_that_is_valid_and_cannot_be_read_is_damage(name: str) -> None:
    """Its checksum is right, so it is the truth: the older one is no answer."""
    given: dict[str, Any] = cbor2.loads(encode(WHO, 2)[20:])
    body = cbor2.dumps({**given, name: FIELDS[name]} if name else [])
    rest = b"HQID" + len(body).to_bytes(4, "little") + (9).to_bytes(8, "little") + body
    disk = MemoryDisk()
    await IdentityFile.create(disk, "d", WHO)
    data = disk.names["d/identity"].data
    slot = google_crc32c.value(rest).to_bytes(4, "little") + rest
    data[: len(slot)] = slot
    with pytest.raises(DataDamaged, match="cannot be read"):
        await IdentityFile.load(disk, "d")


async def test_a_file_that_lost_its_end_is_damage() -> None:
    """J8: the next copy would change its size."""
    disk = MemoryDisk()
    file = await IdentityFile.create(disk, "d", WHO)
    await file.store(replace(WHO, boot=4))
    for size in (SLOT_BYTES + 4096, 2 * SLOT_BYTES - 1):
        del disk.names["d/identity"].data[size:]
        with pytest.raises(DataDamaged, match="ends at"):
            await IdentityFile.load(disk, "d")
        disk.names["d/identity"].data.extend(bytes(2 * SLOT_BYTES - size))


@pytest.mark.parametrize("how", ["rot", "unreadable", "nothing"])
async def test_where_one_copy_is_bad_the_other_may_be_the_older_one(how: str) -> None:
    """Nobody knows what the other one said: a higher epoch, groups that had lost their tails. So every group
    is a suspect, and the epoch is one that nobody can have heard of."""
    disk = MemoryDisk()
    async with running(disk, clean=False) as journal:
        boot = journal.boot
    disk.locks.clear()
    name = f"{DIRECTORY}/identity"
    file = disk.names[name]
    newest = 0 if file.data[12] > file.data[SLOT_BYTES + 12] else SLOT_BYTES
    if how == "rot":
        file.data[newest + 30] ^= 1
    elif how == "unreadable":
        disk.fail("pread", "identity", DiskError("input/output error"))
    async with running(disk) as journal:
        assert journal.boot > boot
        assert journal.tail_suspect(GroupId(1)) == (how != "nothing")
        assert not journal.is_damaged(GroupId(1))


async def test_no_epoch_comes_twice_where_one_copy_after_the_other_goes_bad() -> None:
    """Seed 70067 of the swarm profile: the older copy, two epochs behind, led to the one that was in use."""
    disk = MemoryDisk()
    boots: list[int] = []
    for _ in range(6):
        async with running(disk, clean=False) as journal:
            boots.append(journal.boot)
        disk.locks.clear()
        file = disk.names[f"{DIRECTORY}/identity"]
        numbers = [int.from_bytes(file.data[at + 12 : at + 20], "little") for at in (0, SLOT_BYTES)]
        file.data[SLOT_BYTES * numbers.index(max(numbers)) + 30] ^= 1  # the newest one rots
    assert sorted(set(boots)) == boots
