"""An outbox joins what waits, in order, and lets nobody wait for a connection that is gone."""

import sys
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from haqactor.env import StreamReset
from haqactor.nodes.memory_stream import memory_stream_pair
from haqactor.nodes.outbox import Departures, Outbox


async def test_joins_in_order_and_ends_when_all_is_out() -> None:
    """What was put before ``finish`` is still sent."""
    near, far = memory_stream_pair("near", "far")
    box = Outbox()
    for part in (b"one", b"two", b"three"):
        box.put(part)
    assert box.pending_bytes == 11
    box.finish()
    await box.pump(near)
    assert await far.receive_some() == b"onetwothree"
    assert (box.pending_bytes, box.sent_bytes) == (0, 11)


async def test_waiting_below_a_bound() -> None:
    """Goes on when the socket took enough."""
    near, far = memory_stream_pair("near", "far")
    box = Outbox()
    went_on = False

    async def wait() -> None:
        nonlocal went_on
        await box.wait_below(4 << 20)
        went_on = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.pump, near)
        for _ in range(5):
            box.put(bytes(1 << 20))
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        box.put(bytes(4 << 20))
        await wait_all_tasks_blocked()
        while not went_on:
            await far.receive_some(1 << 20)
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert went_on


async def test_what_leaves_with_a_turn_makes_room_as_well() -> None:
    """The pump finds nothing to send then, and whoever waited for room would wait for the next frame."""
    near, _far = memory_stream_pair("near", "far")
    departures = Departures()
    box = Outbox(departures)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.pump, near)
        await wait_all_tasks_blocked()
        departures.begin()
        box.put(bytes(5000))
        nursery.start_soon(box.wait_below, 4096)
        await wait_all_tasks_blocked()
        departures.end()
        with trio.fail_after(5):
            while len(nursery.child_tasks) > 1:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_nobody_waits_for_a_connection_that_is_gone() -> None:
    """Else the reader of a dead connection would hold its place for ever."""
    near, far = memory_stream_pair("near", "far")
    box = Outbox()
    box.put(bytes(100))

    async def pump() -> None:
        with pytest.raises(StreamReset):
            await box.pump(near)

    far.abort()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.wait_below, 10)
        await wait_all_tasks_blocked()
        nursery.start_soon(pump)
    await box.wait_below(10)


async def test_what_a_turn_puts_leaves_with_its_end() -> None:
    """In one piece, before any other task runs; what was put before it and did not leave yet goes first."""
    near, far = memory_stream_pair("near", "far")
    departures = Departures()
    box = Outbox(departures)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.pump, near)
        await wait_all_tasks_blocked()
        departures.begin()
        box.put(b"one")
        box.put(b"two")
        departures.end()
        assert (box.pending_bytes, box.sent_bytes) == (0, 6)
        box.put(b"three")
        departures.begin()
        box.put(b"four")
        departures.end()
        await wait_all_tasks_blocked()
        assert await far.receive_some() == b"onetwothreefour"
        nursery.cancel_scope.cancel()


async def test_a_turn_leaves_the_rest_to_the_pump() -> None:
    """What the socket does not take at once, and everything while the pump is in the middle of a send."""
    near, far = memory_stream_pair("near", "far")
    departures = Departures()
    box = Outbox(departures)
    want = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.pump, near)
        await wait_all_tasks_blocked()
        for number in range(40):
            departures.begin()
            part = bytes([number]) * 60_000
            box.put(part)
            want += part
            departures.end()
        assert 0 < box.pending_bytes < len(want)
        got = b""
        while len(got) < len(want):
            got += await far.receive_some()
        assert got == want
        nursery.cancel_scope.cancel()


async def test_what_may_be_later_is_overtaken() -> None:
    """By everything else, also by what comes while it leaves; never by its own kind. It has a count of its
    own, for whoever bounds the rest must not count it."""
    near, far = memory_stream_pair("near", "far")
    box = Outbox()
    box.put_later(b"1" * 4_000_000)
    box.put_later(b"2" * 10)
    box.put(b"now")
    assert (box.pending_bytes, box.later_bytes) == (3, 4_000_010)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.pump, near)
        await wait_all_tasks_blocked()
        assert box.later_bytes > 0
        box.put(b"then")
        got = b""
        while len(got) < 4_000_017:
            got += await far.receive_some(1 << 20)
            await trio.lowlevel.checkpoint()
        assert got == b"now" + b"1" * 4_000_000 + b"then" + b"2" * 10
        await wait_all_tasks_blocked()
        assert (box.pending_bytes, box.later_bytes, box.sent_bytes) == (0, 0, 4_000_017)
        box.put_later(b"3")
        await wait_all_tasks_blocked()
        assert await far.receive_some() == b"3"
        nursery.cancel_scope.cancel()


async def test_what_waits_for_a_slow_peer_is_held_once() -> None:
    """Joined, and not as the frames that it was made of as well."""

    class Slow:
        async def send_all(self, data: bytes) -> None:
            await trio.sleep_forever()

    box = Outbox()
    frames = [bytes([number]) * 10 for number in range(2)]
    box.put(frames[0])
    box.put(frames[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.pump, cast(Any, Slow()))
        await wait_all_tasks_blocked()
        assert box.pending_bytes == 20
        assert [sys.getrefcount(frame) for frame in frames] == [3, 3]  # the list, the loop, the argument
        nursery.cancel_scope.cancel()
