"""What ``env.Disk`` and ``env.File`` promise."""

import pytest
import trio

from haqactor.env import DiskError, File, FileMissing, LockHeld
from tests.conformance.world import World, conforms


async def content(world: World, path: str) -> bytes:
    """The file as another process reads it."""
    return await world.same_disk().read_file(path)


@conforms
async def test_open_wants_an_existing_file(world: World) -> None:
    """FileMissing, also when its directory is missing."""
    with pytest.raises(FileMissing):
        await world.env.disk.open(f"{world.directory}/none")
    with pytest.raises(FileMissing):
        await world.env.disk.open(f"{world.directory}/no/such", create=True)


@conforms
async def test_create_wants_a_new_file(world: World) -> None:
    """It is empty, and made once."""
    path = f"{world.directory}/new"
    file = await world.env.disk.open(path, create=True)
    assert file.path == path
    assert await file.size() == 0
    await file.aclose()
    with pytest.raises(DiskError):
        await world.env.disk.open(path, create=True)
    await (await world.env.disk.open(path)).aclose()


@conforms
async def test_allocate_gives_zeroes_of_that_size(world: World) -> None:
    """Any size, once."""
    for size in (0, 1, 4096, 3_000_001):
        path = f"{world.directory}/segment-{size}"
        file = await world.env.disk.allocate(path, size)
        assert await file.size() == size
        await file.aclose()
        assert await content(world, path) == bytes(size)
        with pytest.raises(DiskError):
            await world.env.disk.allocate(path, size)


@conforms
async def test_pread_is_short_only_at_the_end(world: World) -> None:
    """Small or large, inside, across and beyond the end."""
    file = await world.env.disk.open(f"{world.directory}/file", create=True)
    data = b"".join(number.to_bytes(4, "big") for number in range(200_000))
    await file.pwrite(0, [data])
    size = len(data)
    for offset, wanted in ((0, 1), (7, 100), (3, 700_000), (0, size), (size - 5, 5)):
        assert await file.pread(offset, wanted) == data[offset : offset + wanted]
    assert await file.pread(size - 5, 100) == data[-5:]
    assert await file.pread(0, size + 1) == data
    assert await file.pread(size, 10) == b""
    assert await file.pread(size + 10_000, 10) == b""
    assert await file.pread(0, 0) == b""
    await file.aclose()


@conforms
async def test_pwrite_takes_buffers_of_any_kind_and_number(world: World) -> None:
    """One behind the other from the offset; more than the system takes at once; empty ones; none."""
    file = await world.env.disk.open(f"{world.directory}/file", create=True)
    await file.pwrite(2, [b"ab", bytearray(b"cd"), memoryview(b"-ef-")[1:3], b""])
    await file.pwrite(0, [])
    assert await file.pread(0, 100) == b"\0\0abcdef"
    many = [number.to_bytes(2, "big") for number in range(3000)]
    await file.pwrite(1, many)
    assert await file.pread(0, 10_000) == b"\0" + b"".join(many)
    await file.aclose()


@conforms
async def test_write_durable_is_there_after_reopening(world: World) -> None:
    """And the file keeps its size. Small, many and large buffers."""
    path = f"{world.directory}/segment"
    file = await world.env.disk.allocate(path, 4 << 20)
    expected = bytearray(4 << 20)
    offset = 0
    for buffers in ([b"head", b"body"], [b"x"] * 2500, [bytearray(b"y" * (2 << 20))], [memoryview(b"z")]):
        await file.write_durable(offset, buffers)
        data = b"".join(buffers)
        expected[offset : offset + len(data)] = data
        offset += len(data)
    await file.write_durable(offset, [])
    assert await file.size() == 4 << 20
    assert await file.pread(0, 8) == b"headbody"
    await file.aclose()
    assert await content(world, path) == expected


@conforms
async def test_write_durable_many_times(world: World) -> None:
    """The hot path, and two files in turn."""
    one = await world.env.disk.allocate(f"{world.directory}/one", 65_536)
    two = await world.env.disk.allocate(f"{world.directory}/two", 65_536)
    for number in range(20):
        await one.write_durable(number * 4, [number.to_bytes(4, "big")])
        await two.write_durable(number * 4, [b"0000"])
    await one.aclose()
    three = await world.env.disk.allocate(f"{world.directory}/three", 65_536)
    await three.write_durable(0, [b"3"])
    assert await three.pread(0, 2) == b"3\0"
    assert await two.pread(0, 80) == b"0" * 80
    await two.aclose()
    await three.aclose()
    read = await content(world, f"{world.directory}/one")
    assert read[:80] == b"".join(number.to_bytes(4, "big") for number in range(20))


@conforms
async def test_write_durable_is_not_cancelled_half_way(world: World) -> None:
    """Cancelled before it began, nothing is written; cancelled while it works, all is; the file stays
    good."""
    file = await world.env.disk.allocate(f"{world.directory}/segment", 65_536)
    with trio.CancelScope() as scope:
        scope.cancel()
        await file.write_durable(0, [b"never"])
    assert scope.cancelled_caught
    assert await file.pread(0, 5) == bytes(5)
    await file.write_durable(0, [b"first"])
    for turns in range(1, 7):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(file.write_durable, 0, [b"other"])
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        assert await file.pread(0, 5) in (b"first", b"other")
    await file.write_durable(0, [b"third"])
    assert await file.pread(0, 5) == b"third"
    await file.aclose()


@conforms
async def test_the_writer_of_a_file_is_one_task_but_readers_are_many(world: World) -> None:
    """Reads go on while a durable write does."""
    file = await world.env.disk.allocate(f"{world.directory}/segment", 65_536)
    done: list[int] = []

    async def read(number: int) -> None:
        assert len(await file.pread(number * 100, 100)) == 100
        done.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(file.write_durable, 0, [b"w" * 60_000])
        for number in range(20):
            nursery.start_soon(read, number)
    assert sorted(done) == list(range(20))
    await file.aclose()


@conforms
async def test_sync_and_truncate(world: World) -> None:
    """Cut, then extended with zeroes."""
    path = f"{world.directory}/file"
    file = await world.env.disk.open(path, create=True)
    await file.pwrite(0, [b"0123456789"])
    await file.sync()
    await file.truncate(4)
    await file.truncate(6)
    await file.sync()
    assert await file.size() == 6
    await file.aclose()
    assert await content(world, path) == b"0123\0\0"


async def refuses(file: File) -> None:
    """Every call that would change it, or promise something, raises DiskError."""
    with pytest.raises(DiskError):
        await file.write_durable(0, [b"x"])
    with pytest.raises(DiskError):
        await file.sync()
    with pytest.raises(DiskError):
        await file.pwrite(0, [b"x"])
    with pytest.raises(DiskError):
        await file.truncate(0)


@conforms
async def test_a_failed_durable_write_poisons_the_file(world: World) -> None:
    """The disk may work again: what it lost stays lost, and the next sync would lie about it."""
    path = f"{world.directory}/segment"
    file = await world.env.disk.allocate(path, 65_536)
    await file.write_durable(0, [b"good"])
    with world.failing_syncs(), pytest.raises(DiskError):
        await file.write_durable(4, [b"bad"])
    await refuses(file)
    assert await file.pread(0, 4) == b"good"
    await file.aclose()
    again = await world.env.disk.open(path)
    await again.write_durable(4, [b"new"])
    assert await again.pread(0, 7) == b"goodnew"
    await again.aclose()


@conforms
async def test_a_failed_sync_poisons_the_file(world: World) -> None:
    """Other files go on."""
    file = await world.env.disk.allocate(f"{world.directory}/one", 4096)
    other = await world.env.disk.allocate(f"{world.directory}/two", 4096)
    await file.pwrite(0, [b"lost"])
    with world.failing_syncs(), pytest.raises(DiskError):
        await file.sync()
    await refuses(file)
    await other.write_durable(0, [b"fine"])
    await other.sync()
    await file.aclose()
    await other.aclose()


@conforms
async def test_what_cannot_be_made_durable_is_not_allocated(world: World) -> None:
    """Nor is a directory said to be."""
    with world.failing_syncs():
        with pytest.raises(DiskError):
            await world.env.disk.allocate(f"{world.directory}/segment", 4096)
        with pytest.raises(DiskError):
            await world.env.disk.sync_directory(world.directory)
        with pytest.raises(DiskError):
            await world.env.disk.make_directory(f"{world.directory}/room")


@conforms
async def test_a_closed_file_refuses(world: World) -> None:
    """Closing twice is no error; reading and writing are."""
    file = await world.env.disk.allocate(f"{world.directory}/file", 4096)
    await file.write_durable(0, [b"x"])
    await file.aclose()
    await file.aclose()
    await refuses(file)
    with pytest.raises(DiskError):
        await file.pread(0, 1)
    with pytest.raises(DiskError):
        await file.size()


@conforms
async def test_read_file(world: World) -> None:
    """All of it, or FileMissing."""
    with pytest.raises(FileMissing):
        await world.env.disk.read_file(f"{world.directory}/none")
    file = await world.env.disk.open(f"{world.directory}/small", create=True)
    assert await world.env.disk.read_file(file.path) == b""
    await file.pwrite(0, [b"all of it"])
    assert await world.env.disk.read_file(file.path) == b"all of it"
    await file.aclose()


@conforms
async def test_rename_and_unlink(world: World) -> None:
    """A rename replaces its target; what is not there is FileMissing."""
    disk, here = world.env.disk, world.directory
    for name in ("a", "b"):
        file = await disk.open(f"{here}/{name}", create=True)
        await file.pwrite(0, [name.encode()])
        await file.sync()
        await file.aclose()
    await disk.rename(f"{here}/a", f"{here}/b")
    await disk.sync_directory(here)
    assert await disk.list_directory(here) == ["b"]
    assert await disk.read_file(f"{here}/b") == b"a"
    await disk.unlink(f"{here}/b")
    assert await disk.list_directory(here) == []
    with pytest.raises(FileMissing):
        await disk.unlink(f"{here}/b")
    with pytest.raises(FileMissing):
        await disk.rename(f"{here}/b", f"{here}/c")


@conforms
async def test_an_unlinked_file_can_be_read_while_it_is_open(world: World) -> None:
    """A segment is retired while a cold reader is still in it."""
    file = await world.env.disk.allocate(f"{world.directory}/file", 4096)
    await file.write_durable(0, [b"kept"])
    await world.env.disk.unlink(file.path)
    assert await file.pread(0, 4) == b"kept"
    await file.aclose()


@conforms
async def test_directories(world: World) -> None:
    """Made with their parents, again without an error, and listed in order."""
    disk, here = world.env.disk, world.directory
    await disk.make_directory(f"{here}/x/y/z")
    await disk.make_directory(f"{here}/x/y/z")
    await disk.make_directory(f"{here}/x/y")
    assert await disk.list_directory(f"{here}/x/y") == ["z"]
    assert await disk.list_directory(f"{here}/x/y/z") == []
    for name in ("10", "9", "b", "B", "a"):
        await (await disk.open(f"{here}/x/y/z/{name}", create=True)).aclose()
    await disk.sync_directory(f"{here}/x/y/z")
    assert await disk.list_directory(f"{here}/x/y/z") == ["10", "9", "B", "a", "b"]
    with pytest.raises(FileMissing):
        await disk.list_directory(f"{here}/none")
    with pytest.raises(FileMissing):
        await disk.sync_directory(f"{here}/none")
    with pytest.raises(DiskError):
        await disk.make_directory(f"{here}/x/y/z/a")


@conforms
async def test_free_bytes(world: World) -> None:
    """More than none; FileMissing where nothing is."""
    assert await world.env.disk.free_bytes(world.directory) > 0
    with pytest.raises(FileMissing):
        await world.env.disk.free_bytes(f"{world.directory}/none")


@conforms
async def test_a_lock_is_held_by_one(world: World) -> None:
    """Until it lets go; letting go twice takes nothing from the next holder."""
    path = f"{world.directory}/lock"
    disk, rival = world.env.disk, world.same_disk()
    release = await disk.lock(path)
    with pytest.raises(LockHeld):
        await rival.lock(path)
    release()
    release_rival = await rival.lock(path)
    release()
    with pytest.raises(LockHeld):
        await disk.lock(path)
    release_rival()
    (await disk.lock(path))()
