"""An in-memory stream behaves as a socket does."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from haqactor.env import StreamReset
from haqactor.nodes.memory_stream import memory_stream_pair


async def test_bytes_then_an_orderly_end_that_stays() -> None:
    """The other direction still works until it is ended too."""
    near, far = memory_stream_pair("near", "far")
    assert (near.remote, far.remote) == ("far", "near")
    await near.send_all(b"last ")
    await near.send_all(memoryview(b"words"))
    await near.aclose()
    await near.aclose()
    assert await far.receive_some(4) == b"last"
    assert await far.receive_some() == b" words"
    assert await far.receive_some() == b""
    assert await far.receive_some() == b""
    with pytest.raises(StreamReset):
        await near.send_all(b"x")
    with pytest.raises(StreamReset):
        await near.receive_some()


async def test_an_empty_send_is_no_end() -> None:
    """A reader gets at least one byte, or waits."""
    near, far = memory_stream_pair("near", "far")
    await near.send_all(b"")
    with trio.move_on_after(0.01) as scope:
        await far.receive_some()
    assert scope.cancelled_caught
    await near.send_all(b"x")
    assert await far.receive_some() == b"x"


async def test_abort_resets_both_ends_and_wakes_all() -> None:
    """Whoever sends or receives, at either end."""
    near, far = memory_stream_pair("near", "far")
    resets: list[str] = []

    async def receive(name: str) -> None:
        with pytest.raises(StreamReset):
            await {"near": near, "far": far}[name].receive_some()
        resets.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive, "near")
        nursery.start_soon(receive, "far")
        await wait_all_tasks_blocked()
        near.abort()
    assert sorted(resets) == ["far", "near"]
    for end in (near, far):
        with pytest.raises(StreamReset):
            await end.send_all(b"x")
    await far.aclose()


async def test_an_abort_after_the_close_keeps_the_last_words() -> None:
    """As servers end a connection that they refuse."""
    near, far = memory_stream_pair("near", "far")
    await near.send_all(b"refused")
    await near.aclose()
    near.abort()
    assert await far.receive_some() == b"refused"
    assert await far.receive_some() == b""


async def test_a_sender_waits_for_a_reader() -> None:
    """And goes on when there is room, or ends with a reset."""
    near, far = memory_stream_pair("near", "far")
    sent = 0
    reset = trio.Event()

    async def send() -> None:
        nonlocal sent
        try:
            while True:
                await near.send_all(bytes(1 << 18))
                sent += 1
        except StreamReset:
            reset.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        before = sent
        assert 3 <= before <= 8
        for _ in range(4):
            await far.receive_some(1 << 18)
        await wait_all_tasks_blocked()
        assert sent > before
        far.abort()
    assert reset.is_set()


async def test_one_large_write_is_taken_in_parts() -> None:
    """The buffer holds no more than its bound, and nothing is lost or out of order."""
    near, far = memory_stream_pair("near", "far")
    data = bytes(range(256)) * (20 << 10)
    got = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, data)
        while len(got) < len(data):
            await wait_all_tasks_blocked()
            part = await far.receive_some(1 << 30)
            assert len(part) <= 1 << 20
            got += part
    assert got == data
