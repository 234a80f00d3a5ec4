"""Each fault of a disk, shown through the interface that programs use, and counted.

One rule: the truth beside it stays what was written.
"""

from collections.abc import Awaitable, Callable

import pytest
import trio

from haqactor.env import DiskError, DiskFull, File, FileMissing
from haqactor.sim.disk import Kind, SimDisk, Survival, cut_power
from haqactor.sim.disk.fates import SECTOR
from tests.builders.sim_disk import HERE, DiskBench, made

A, B = f"{HERE}/a", f"{HERE}/b"
OLD, NEW = b"o" * 8 * SECTOR, b"n" * SECTOR


def on_a_file(program: Callable[[SimDisk, File], Awaitable[None]], seed: int = 1) -> DiskBench:
    """Run it with a durable file of 8 sectors."""
    bench = DiskBench(seed)

    async def main(disk: SimDisk) -> None:
        await program(disk, await made(disk, "a", len(OLD), OLD))

    with bench:
        bench.run(main)
    return bench


def fired(bench: DiskBench) -> dict[str, int]:
    return {kind.value: count for kind, count in bench.medium.faults.counts.items() if count}


def test_a_latent_read_error_stays_until_the_sector_is_written() -> None:
    async def main(disk: SimDisk, file: File) -> None:
        fault = disk.medium.faults.switch_on(Kind.READ_ERROR, A)
        with pytest.raises(DiskError, match="input/output error at offset"):
            await file.pread(0, 100)
        assert fault.fired == 1
        disk.medium.faults.switch_off(Kind.READ_ERROR)
        with pytest.raises(DiskError):
            await disk.read_file(A)
        assert await file.pread(SECTOR, SECTOR) == OLD[:SECTOR]
        assert not disk.medium.durable(A, 0, 1)
        assert disk.medium.damage() == {A: [0]}
        await file.write_durable(0, [NEW])
        assert await file.pread(0, 2 * SECTOR) == NEW + OLD[:SECTOR]
        assert disk.medium.damage() == {}

    assert fired(on_a_file(main)) == {"read_error": 1}


def test_bit_rot_flips_one_bit_for_good() -> None:
    async def main(disk: SimDisk, file: File) -> None:
        disk.medium.faults.switch_on(Kind.BIT_ROT, A, times=1)
        read = await file.pread(0, len(OLD))
        wrong = [at for at, byte in enumerate(read) if byte != OLD[at]]
        assert len(wrong) == 1
        assert (read[wrong[0]] ^ OLD[0]).bit_count() == 1
        assert await file.pread(0, len(OLD)) == read
        assert disk.medium.written(A) == OLD
        assert disk.medium.damage() == {A: [wrong[0] // SECTOR]}
        disk.medium.heal()
        assert await file.pread(0, len(OLD)) == OLD

    assert fired(on_a_file(main)) == {"bit_rot": 1}


def test_a_lost_write_is_told_to_nobody() -> None:
    async def main(disk: SimDisk, file: File) -> None:
        disk.medium.faults.switch_on(Kind.LOST_WRITE, A, times=1)
        await file.write_durable(0, [NEW])
        assert await file.pread(0, SECTOR) == OLD[:SECTOR]
        assert disk.medium.written(A, 0, SECTOR) == NEW
        assert disk.medium.synced(A, 0, SECTOR)
        assert not disk.medium.durable(A, 0, SECTOR)
        await file.write_durable(SECTOR, [NEW])
        assert await file.pread(SECTOR, SECTOR) == NEW
        assert disk.medium.damage() == {A: [0]}

    assert fired(on_a_file(main)) == {"lost_write": 1}


def test_a_misdirected_write_harms_two_places() -> None:
    async def main(disk: SimDisk, file: File) -> None:
        disk.medium.faults.switch_on(Kind.MISDIRECTED_WRITE, A, times=1)
        await file.write_durable(2 * SECTOR, [NEW])
        read = await file.pread(0, len(OLD))
        assert read.count(NEW) == 1
        assert read[2 * SECTOR : 3 * SECTOR] == OLD[:SECTOR]
        assert sorted(disk.medium.damage()[A]) == sorted([2, read.index(NEW) // SECTOR])
        assert disk.medium.written(A, 2 * SECTOR, SECTOR) == NEW

    assert fired(on_a_file(main)) == {"misdirected_write": 1}


def test_a_failed_sync_drops_what_was_dirty_and_the_next_one_succeeds() -> None:
    outcomes: dict[bytes, None] = {}

    async def main(disk: SimDisk, file: File) -> None:
        disk.medium.faults.switch_on(Kind.SYNC_ERROR, A, times=1)
        await file.pwrite(0, [NEW])
        with pytest.raises(DiskError, match="input/output error"):
            await file.sync()
        with pytest.raises(DiskError, match="failed before"):
            await file.sync()
        again = await disk.open(A)
        await again.sync()
        read = await again.pread(0, SECTOR)
        outcomes[read] = None
        assert disk.medium.durable(A, 0, SECTOR)
        assert disk.medium.written(A, 0, SECTOR) == read

    for seed in range(12):
        assert fired(on_a_file(main, seed)) == {"sync_error": 1}
    assert sorted(outcomes) == [NEW, OLD[:SECTOR]]


def test_a_lying_sync_is_found_out_by_a_power_loss() -> None:
    with DiskBench() as bench:

        async def main(disk: SimDisk) -> None:
            file = await made(disk, "a", len(OLD), OLD)
            disk.medium.faults.switch_on(Kind.SYNC_LIE, HERE)
            await file.write_durable(0, [NEW])
            await made(disk, "b", 4096, NEW)
            assert await file.pread(0, SECTOR) == NEW
            for path in (A, B):
                assert disk.medium.synced(path, 0, SECTOR)
                assert not disk.medium.durable(path, 0, SECTOR)

        bench.run(main)
        cut_power(bench.host, bench.medium, Survival.NOTHING)
        assert bench.content(A) == OLD
        assert bench.content(B) is None
        assert bench.medium.written(A, 0, SECTOR) == bench.medium.written(B, 0, SECTOR) == NEW
        assert bench.medium.damage() == {A: [0], B: [-1]}
        assert bench.medium.faults.counts[Kind.SYNC_LIE] == 4
        bench.medium.heal()
        assert (bench.content(A) or b"")[:SECTOR] == NEW
        assert (bench.content(B) or b"")[:SECTOR] == NEW


def test_slow_takes_longer_and_stalls_now_and_then() -> None:
    async def main(disk: SimDisk, file: File) -> None:
        async def took(count: int) -> list[float]:
            found: list[float] = []
            for _ in range(count):
                start = trio.current_time()
                await file.pread(0, 100)
                found.append(trio.current_time() - start)
            return found

        usual = max(await took(200))
        assert usual <= disk.latency.read_ns[1] / 1e9
        disk.medium.faults.switch_on(Kind.SLOW, A, strength=10)
        slow = sorted(await took(300))
        assert slow[0] > disk.latency.read_ns[0] / 1e9
        assert slow[150] > usual
        assert slow[-1] > 0.5
        disk.medium.faults.switch_off()
        assert max(await took(50)) <= usual * 1.2

    assert fired(on_a_file(main)) == {"slow": 300}


def test_a_full_disk_lets_nothing_grow() -> None:
    async def main(disk: SimDisk, file: File) -> None:
        medium = disk.medium
        medium.capacity = len(OLD) + 1000
        assert await disk.free_bytes(HERE) == 1000
        with pytest.raises(DiskFull):
            await disk.allocate(B, 4096)
        assert await disk.list_directory(HERE) == ["a"]
        other = await disk.open(B, create=True)
        await other.pwrite(0, [bytes(1000)])
        with pytest.raises(DiskFull):
            await other.pwrite(1000, [b"x"])
        with pytest.raises(DiskFull):
            await other.truncate(1001)
        await other.sync()
        assert await disk.free_bytes(HERE) == 0
        await file.write_durable(0, [NEW])
        medium.capacity += 1
        await other.pwrite(1000, [b"x"])
        await disk.unlink(A)
        assert await disk.free_bytes(HERE) == len(OLD)
        medium.faults.switch_on(Kind.FULL)
        assert await disk.free_bytes(HERE) == 0
        with pytest.raises(DiskFull):
            await disk.allocate(A, 1)

    assert fired(on_a_file(main)) == {"full": 2}


def test_a_lost_file_is_gone_when_it_is_looked_for() -> None:
    async def main(disk: SimDisk, file: File) -> None:
        faults = disk.medium.faults
        faults.switch_on(Kind.LOST_FILE, A)
        with pytest.raises(FileMissing):
            await disk.open(A)
        faults.switch_off()
        assert await disk.list_directory(HERE) == []
        assert disk.medium.damage() == {A: [-1]}
        await made(disk, "b")
        faults.switch_on(Kind.LOST_FILE, B)
        assert await disk.list_directory(HERE) == []

    assert fired(on_a_file(main)) == {"lost_file": 2}


def test_a_lost_disk_is_an_empty_one_for_the_next_incarnation() -> None:
    with DiskBench() as bench:

        async def loses(disk: SimDisk) -> None:
            file = await made(disk, "a")
            disk.medium.faults.switch_on(Kind.LOST_DISK)
            for _ in range(2):
                with pytest.raises(DiskError, match="is gone"):
                    await file.pread(0, 1)
            with pytest.raises(DiskError, match="is gone"):
                await disk.make_directory(HERE)

        async def finds_nothing(disk: SimDisk) -> None:
            assert await disk.list_directory("/") == []

        bench.run(loses)
        bench.run(finds_nothing)
        assert bench.medium.generation == 2
        assert fired(bench) == {"lost_disk": 1}


def test_faults_are_for_a_prefix_and_for_chances() -> None:
    async def main(disk: SimDisk, file: File) -> None:
        other = await made(disk, "b")
        faults = disk.medium.faults
        fault = faults.switch_on(Kind.LOST_WRITE, A, chance=0.3)
        for _ in range(100):
            await file.write_durable(0, [b"x"])
            await other.write_durable(0, [b"x"])
        assert 10 < fault.fired < 60
        assert fault.fired == faults.counts[Kind.LOST_WRITE]
        assert list(disk.medium.damage()) in ([], [A])
        faults.switch_on(Kind.SYNC_ERROR, B)
        assert [each.kind for each in faults.active()] == [Kind.LOST_WRITE, Kind.SYNC_ERROR]
        faults.switch_off(prefix=A)
        assert [each.kind for each in faults.active()] == [Kind.SYNC_ERROR]

    on_a_file(main)


def test_one_fault_leaves_the_draws_of_another_alone() -> None:
    def lost(*others: Kind) -> list[bool]:
        seen: list[bool] = []

        async def main(disk: SimDisk, file: File) -> None:
            for kind in others:
                disk.medium.faults.switch_on(kind, chance=0.5)
            fault = disk.medium.faults.switch_on(Kind.LOST_WRITE, A, chance=0.5)
            for _ in range(40):
                before = fault.fired
                await file.write_durable(0, [b"x"])
                seen.append(fault.fired > before)

        on_a_file(main)
        return seen

    assert lost() == lost(Kind.SLOW, Kind.MISDIRECTED_WRITE)
    assert len(dict.fromkeys(lost())) == 2
