"""Damaged files of real nodes: a minority's is repaired by the others without anybody's help; the only copy
is refused, with the ways out.

One rule: everything that was confirmed is there afterwards, also when the repaired node is needed for a
majority.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

import haqactor
from haqactor import DataDamaged
from haqactor.cli.launcher import LocalCluster
from tests.builders.journal_damage import blocks, segments, write
from tests.builders.local_cluster import Limits, events, no_tracebacks, running, until
from tests.integration.test_torn_tails import Load

TINY: Limits = {"segment_bytes": 64 * 1024, "snapshot_entries": 200, "snapshot_bytes": 64 * 1024}


def flip(data: Path) -> None:
    """One bit of a block in the middle of the oldest segment."""
    place = blocks(segments(data)[0])[3]
    at = place.offset + place.header
    write(place.file, at, bytes([place.file.read_bytes()[at] ^ 0x10]))


def flip_header(data: Path) -> None:
    place = blocks(segments(data)[0])[3]
    write(place.file, place.offset + 40, bytes([place.file.read_bytes()[place.offset + 40] ^ 0x10]))


def truncate(data: Path) -> None:
    place = blocks(segments(data)[0])[2]
    with place.file.open("r+b") as file:
        file.truncate(place.offset + 100)


def empty(data: Path) -> None:
    segments(data)[0].write_bytes(b"")


def lose(data: Path) -> None:
    """All segments but the newest, which is written to."""
    for file in segments(data)[:-1] or segments(data):
        file.unlink()


def misplace(data: Path) -> None:
    """The bytes of one block stand where another one should."""
    first, _second, third, *_rest = blocks(segments(data)[0])
    content = third.file.read_bytes()
    write(third.file, third.offset, content[first.offset : first.offset + 512])


def sealed(data: Path) -> None:
    """Every snapshot and cold file, in the middle."""
    found = sorted([*data.glob("snapshot-*[0-9]"), *data.glob("cold-*[0-9]")])
    for file in found:
        at = file.stat().st_size // 2
        write(file, at, bytes([file.read_bytes()[at] ^ 1]))
    if not found:
        flip(data)


KINDS: list[Callable[[Path], None]] = [flip, flip_header, truncate, empty, lose, misplace, sealed]


async def sound_again(cluster: LocalCluster, number: int) -> None:
    """Until no replica of that node is a suspect any more."""
    address = cluster.node(number).listen
    async with haqactor.connect(f"haq://{address}") as broker:
        with trio.fail_after(20):
            while True:
                status = await broker.status()
                if status["ready"] and not any(row["suspect"] for row in status["groups"]):
                    return
                await trio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("hurt", KINDS, ids=[kind.__name__ for kind in KINDS])
async def test_a_damaged_minority_is_repaired_and_counts_again(
    tmp_path: Path, hurt: Callable[[Path], None]
) -> None:
    async with running(tmp_path, limits=TINY) as cluster:
        load = Load(hurt.__name__.replace("_", "-"))
        await load.until_killed(cluster)
        data = cluster.node(0).data
        hurt(data)
        await cluster.start()
        await sound_again(cluster, 0)
        assert any("put aside" in event for event in events(cluster, 0))
        if hurt is not lose:
            assert any((data / "quarantine").iterdir())
        cluster.kill(1)  # now every majority needs the repaired node
        async with haqactor.connect(cluster.url) as broker:
            for queue, book in load.books.items():
                body = b"last 1"
                book.confirm(body, await broker.publish(queue, body))
        await load.check(cluster)
        no_tracebacks(cluster)


@pytest.mark.slow
@pytest.mark.integration
async def test_rot_under_a_running_node_is_found_by_scrubbing_and_repaired(tmp_path: Path) -> None:
    async with running(tmp_path, limits={**TINY, "segment_bytes": 16 * 1024}) as cluster:
        load = Load("rot")
        data = cluster.node(2).data
        async with haqactor.connect(cluster.url) as broker, broker.producer("filler") as producer:
            await broker.declare("filler")
            while not list(data.glob("cold-*[0-9]")):
                await producer.publish_many("filler", [bytes(200)] * 50)
        sealed(data)
        await until(lambda: any("begins again" in event for event in events(cluster, 2)))
        await sound_again(cluster, 2)
        await load.until_killed(cluster)
        await cluster.start()
        await load.check(cluster)
        no_tracebacks(cluster)


async def haq(*arguments: str) -> tuple[int, str, str]:
    """Run the command; its exit code and what it said."""
    result = await trio.run_process(
        [sys.executable, "-m", "haqactor", *arguments], capture_stdout=True, capture_stderr=True, check=False
    )
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.mark.slow
@pytest.mark.integration
async def test_the_only_copy_is_refused_with_the_ways_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with haqactor.open_broker(data) as broker:
        await broker.declare("orders")
        for number in range(20):
            await broker.publish("orders", b"%d" % number)
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    place = blocks(segments(data)[0])[-4]
    write(place.file, place.offset + place.header, b"\xff\xff\xff\xff")
    with pytest.raises(DataDamaged, match=r"offset \d+.*No other node.*haq group recover --data-dir"):
        async with haqactor.open_broker(data):
            pass
    code, out, said = await haq("group", "recover", "--data-dir", str(data), "-o", "json")
    assert code == 1, said
    told = json.loads(out)
    assert any(str(place.offset) in damage["what"] for damage in told["damages"])
    assert any(row["damaged"] for row in told["groups"])
    with pytest.raises(DataDamaged):  # looking has changed nothing
        async with haqactor.open_broker(data):
            pass
    code, out, said = await haq("group", "recover", "--data-dir", str(data), "--accept-loss")
    assert code == 0, said
    audit = [json.loads(line) for line in (data / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert audit[0]["what"] == "loss accepted"
    assert audit[0]["groups"]
    async with haqactor.open_broker(data) as broker:
        with trio.fail_after(10):
            await broker.declare("orders")
            left = await broker.queue("orders").info()
            assert left.ready < 20, "what was behind the damage is given up"
            await broker.publish("orders", b"goes on")
    async with haqactor.open_broker(copy) as broker:  # the way back that loses nothing
        assert (await broker.queue("orders").info()).ready == 20


@pytest.mark.slow
@pytest.mark.integration
async def test_a_damaged_majority_waits_until_the_loss_is_accepted(tmp_path: Path) -> None:
    """Two nodes lost everything but who they are; the third has all. Nobody may decide by itself."""
    async with running(tmp_path) as cluster:
        load = Load("majority")
        await load.until_killed(cluster)
        for number in (0, 1):
            lose(cluster.node(number).data)
        for number in range(3):
            await cluster.restart(number)
        async with haqactor.connect(cluster.url) as broker:
            with trio.fail_after(15), pytest.raises(haqactor.NoQuorum) as caught:
                await broker.publish(load.queues[0], b"x")
            assert caught.value.reason == "damaged"
            assert "--accept-loss" in str(caught.value)
        for number in (0, 1):
            cluster.kill(number)
            code, _out, said = await haq(
                "group", "recover", "--data-dir", str(cluster.node(number).data), "--accept-loss"
            )
            assert code == 0, said
            await cluster.restart(number)
        await cluster.wait_ready()
        await load.check(cluster)  # the third one had the most of every log, so it leads
