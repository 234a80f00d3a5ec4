"""The disk of one incarnation: what takes time, what a death leaves, what may be known when.

One rule: an operation of a dead incarnation has no effect, and ends.
"""

import pytest
import trio

from haqactor.env import DiskError, FileMissing
from haqactor.sim.disk import Kind, SimDisk, Survival, cut_power, cut_power_after
from haqactor.sim.disk.fates import SECTOR
from tests.builders.sim_disk import HERE, DiskBench, made

A = f"{HERE}/a"
MS = 1_000_000


def test_operations_take_virtual_time_and_no_other() -> None:
    with DiskBench() as bench:
        times: list[float] = []

        async def main(disk: SimDisk) -> None:
            file = await made(disk, "a")
            for _ in range(50):
                start = trio.current_time()
                await file.write_durable(0, [b"x"])
                times.append(trio.current_time() - start)

        bench.run(main)
        low, high = SimDisk(bench.medium, bench.host, bench.world.random()).latency.sync_ns
        assert all(low / 1e9 <= each <= (high + 31_000) / 1e9 for each in times)
        assert len(dict.fromkeys(times)) > 40
        assert bench.world.now_ns > 20 * MS


def test_a_program_that_ends_loses_nothing() -> None:
    """The page cache is the machine's: only the power takes it."""
    with DiskBench() as bench:

        async def writes(disk: SimDisk) -> None:
            file = await disk.open(A, create=True)
            await file.pwrite(0, [b"unsynced"])
            await disk.lock(f"{HERE}/lock")

        async def reads(disk: SimDisk) -> None:
            assert await disk.read_file(A) == b"unsynced"
            await disk.lock(f"{HERE}/lock")

        bench.run(writes)
        bench.run(reads)
        cut_power(bench.host, bench.medium, Survival.NOTHING)
        assert bench.medium.paths() == []


def test_what_is_under_way_when_the_host_dies_has_no_effect() -> None:
    with DiskBench() as bench:
        seen: list[str] = []

        async def main(disk: SimDisk) -> None:
            file = await made(disk, "a")
            seen.append("made")
            await disk.allocate(f"{HERE}/large", 10 << 20)
            seen.append("never")
            await file.write_durable(0, [b"x"])

        bench.start(main)
        bench.world.run_while(lambda: not seen, bench.world.now_ns + 1000 * MS)
        bench.world.run(bench.world.now_ns + MS)
        cut_power(bench.host, bench.medium, Survival.NOTHING)
        bench.world.run(bench.world.now_ns + 1000 * MS)
        assert seen == ["made"]
        assert bench.medium.paths() == [A]


def test_a_dead_incarnation_ends_when_the_world_does_and_harms_no_later_one() -> None:
    ends: list[str] = []
    with DiskBench() as bench:

        async def first(disk: SimDisk) -> None:
            file = await made(disk, "a", data=b"first")
            try:
                while True:
                    await file.write_durable(0, [b"again"])
            except DiskError as error:
                ends.append(str(error))
                with trio.CancelScope(shield=True), pytest.raises(DiskError):
                    await disk.unlink(A)
                await file.aclose()
                ends.append("closed")

        async def second(disk: SimDisk) -> None:
            file = await disk.open(A)
            await file.write_durable(0, [b"second"])

        bench.start(first)
        bench.world.run(200 * MS)
        cut_power(bench.host, bench.medium)
        bench.run(second)
        assert ends == []
    assert (bench.content(A) or b"")[:6] == b"second"
    assert ends == ["n1 has died meanwhile", "closed"]


def test_who_waits_while_the_power_goes_is_let_go_at_the_end_of_the_world() -> None:
    ends: list[str] = []
    with DiskBench() as bench:

        async def main(disk: SimDisk) -> None:
            file = await made(disk, "a")
            cut_power_after(bench.host, bench.medium, bench.medium.operations + 1)

            async def read() -> None:
                try:
                    while True:
                        await file.pread(0, 1)
                except DiskError:
                    ends.append("read")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                try:
                    await file.write_durable(0, [b"x"])
                except DiskError:
                    ends.append("write")

        bench.run(main)
        assert ends == []
    assert sorted(ends) == ["read", "write"]


def test_the_power_goes_exactly_after_one_operation() -> None:
    """It has happened, nobody heard of it, and nothing came after it."""

    async def main(disk: SimDisk) -> None:
        file = await made(disk, "a")
        heard.append("made")
        await file.write_durable(0, [b"x" * SECTOR])
        heard.append("written")
        await disk.rename(A, f"{HERE}/b")
        heard.append("renamed")
        await disk.sync_directory(HERE)
        heard.append("named")

    states: list[tuple[str, int, bool]] = []
    kinds: list[str] = []
    for operation in range(1, 9):
        heard: list[str] = []
        with DiskBench() as bench:
            cut_power_after(bench.host, bench.medium, operation, Survival.EVERYTHING)
            bench.run(main)
            assert bench.medium.operations == min(operation, 7)
            names = ",".join(path[-1] for path in bench.medium.paths())
            written = (bench.content(A) or bench.content(f"{HERE}/b") or b"").count(b"x")
            states.append((names, written, heard[-1:] == ["named"]))
            if operation == 8:
                break
            bench.medium.on_operation = None
        kinds.append(heard[-1] if heard else "")
    assert states == [
        ("a", 0, False),
        ("a", 0, False),
        ("a", 0, False),
        ("a", SECTOR, False),
        ("a", SECTOR, False),
        ("b", SECTOR, False),
        ("b", SECTOR, False),
        ("b", SECTOR, True),
    ]
    assert kinds == ["", "", "", "made", "made", "written", "renamed"]


def test_operations_are_numbered_by_kind_over_all_incarnations() -> None:
    with DiskBench() as bench:
        seen: list[tuple[int, str]] = []
        bench.medium.on_operation = lambda number, kind: seen.append((number, kind))

        async def main(disk: SimDisk) -> None:
            file = await made(disk, "a")
            await file.write_durable(0, [b"x"])
            await file.pread(0, 1)
            await file.truncate(3)

        async def again(disk: SimDisk) -> None:
            with pytest.raises(FileMissing):
                await disk.unlink(f"{HERE}/none")

        bench.run(main)
        bench.run(again)
        assert seen == [
            (1, "create"),
            (2, "allocate"),
            (3, "sync_directory"),
            (4, "write"),
            (5, "sync"),
            (6, "truncate"),
            (7, "unlink"),
        ]


def test_a_durable_write_is_torn_by_a_crash_in_its_middle() -> None:
    """After the bytes went to the cache, and before they are on the medium."""
    found: dict[bytes, None] = {}
    for seed in range(60):
        with DiskBench(seed) as bench:

            async def main(disk: SimDisk) -> None:
                file = await made(disk, "a", 2 * SECTOR, b"o" * 2 * SECTOR)
                cut_power_after(bench.host, bench.medium, bench.medium.operations + 1)
                await file.write_durable(0, [b"n" * 2 * SECTOR])

            bench.run(main)
            content = bench.content(A) or b""
            found[content[::SECTOR]] = None
            assert bench.medium.damage() == {}
    assert sorted(found) == [b"nn", b"no", b"on", b"oo"]


def test_the_trace_tells_writes_syncs_faults_and_is_the_same_for_a_seed() -> None:
    def run(seed: int) -> tuple[str, list[str]]:
        with DiskBench(seed, recording=True) as bench:

            async def main(disk: SimDisk) -> None:
                file = await made(disk, "a")
                disk.medium.faults.switch_on(Kind.LOST_WRITE, A)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(file.write_durable, 0, [b"x"])
                    for _ in range(5):
                        nursery.start_soon(file.pread, 0, 10)
                await disk.open(f"{HERE}/c", create=True)

            bench.run(main)
            cut_power(bench.host, bench.medium)
            trace = bench.world.trace
            return trace.digest(), [event.kind for event in trace.events]

    digest, kinds = run(1)
    assert run(1)[0] == digest
    assert run(2)[0] != digest
    assert kinds == [
        "start",
        "create",
        "allocate",
        "fsync",
        "write",
        "fault",
        "fsync",
        "create",
        "ended",
        "fault",
    ]


def test_a_cancelled_operation_has_its_whole_effect_or_none() -> None:
    with DiskBench() as bench:
        found: dict[int | None, None] = {}

        async def main(disk: SimDisk) -> None:
            for step in range(12):
                with trio.move_on_after(step * 0.0005):
                    await disk.allocate(f"{HERE}/{step}", 1_000_000)
            for step in range(12):
                content = bench.content(f"{HERE}/{step}")
                found[None if content is None else len(content)] = None

        bench.run(main)
        assert list(found) == [None, 1_000_000]


def test_paths_have_one_spelling() -> None:
    with DiskBench() as bench:

        async def main(disk: SimDisk) -> None:
            file = await disk.open("data//a", create=True)
            assert file.path == "data//a"
            assert await disk.list_directory("/data/") == ["a"]
            assert await disk.list_directory("/") == ["data"]
            await disk.rename("/data/./a", "b")
            assert await disk.list_directory("/") == ["b", "data"]
            with pytest.raises(DiskError):
                await disk.unlink("/data")
            with pytest.raises(DiskError):
                await disk.rename("/b", "/data")
            with pytest.raises(DiskError):
                await disk.open("/data")

        bench.run(main)
