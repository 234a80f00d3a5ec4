"""A snapshot whose pieces wait long for their turn gets through all the same."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from haqactor.entry import Entry
from haqactor.ids import GroupId, Index, NodeId
from haqactor.nodes.installs import PATIENCE_S, Step
from haqactor.nodes.pacing import Pace
from tests.unit.nodes.test_installs import LIMITS, FakeReceiver, Story


async def crowd(pace: Pace, written: Any, count: int) -> None:
    """As many others go through this node's budget, each piece for a second, as long as the test goes on."""

    async def one() -> None:
        while True:
            written.entries += 1
            await pace.take(LIMITS.catch_up_bytes_s)

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what it looks at tells nobody
        await trio.sleep(0.05)


@pytest.mark.parametrize("ends", ["leader", "follower", "both"])
async def test_it_gets_through_beside_many_others(ends: str, autojump_clock: MockClock) -> None:
    """Whichever end they wait at: a piece whose turn came after more than its receiver's patience ended the
    install, which began anew, and again, for ever. The state is always sent from its beginning."""
    async with trio.open_nursery() as nursery:
        story = Story(nursery)
        await story.begin()
        story.cluster.scopes[story.away].cancel()
        await story.publish(100)
        await trio.sleep(3)
        story.cluster.start(story.away, 9)
        nodes = story.cluster.nodes
        await until(lambda: nodes[story.away].context is not None)
        for end, number in (("leader", story.leader), ("follower", story.away)):
            context = nodes[number].context
            assert context is not None
            if ends in (end, "both"):
                count = round(PATIENCE_S * 1.5)
                nursery.start_soon(crowd, context.pace, context.journal.counters, count)
        with trio.fail_after(PATIENCE_S * 40):
            await until(lambda: "installs_received" in story.counters(story.away))
        assert story.counters(story.leader)["installs_sent"] == 1
        await story.check_level()
        nursery.cancel_scope.cancel()


async def test_a_follower_says_that_it_is_there(autojump_clock: MockClock) -> None:
    """Its own wait for a turn is not the sender's silence; and the sender hears of it in time."""
    async with trio.open_nursery() as nursery:
        receiver = FakeReceiver(nursery)
        receiver.peers = {NodeId(1): receiver}
        await receiver.hear(1, 3, Step.OFFER, 1, 2, [0, 1, 2], [])
        with trio.CancelScope() as scope:
            nursery.start_soon(crowd, receiver.pace, receiver.counters, round(PATIENCE_S * 2.5))
            await trio.sleep(1)
            receiver.answers.clear()
            await receiver.hear(1, 3, Step.STATE, 2, blob=b"state")
            await trio.sleep(PATIENCE_S * 2)
            assert [answer[3:] for answer in receiver.answers] == [[Step.ACK, 1]] * len(receiver.answers)
            assert len(receiver.answers) >= 4
            await trio.sleep(PATIENCE_S)
            assert receiver.answers[-1][3:] == [Step.ACK, 2]
            (install,) = receiver.installs
            assert install.state == [b"state"]
            assert receiver.installs_in
            scope.cancel()
        await trio.sleep(PATIENCE_S + 0.1)
        assert not receiver.installs_in, "and then its patience begins"
        nursery.cancel_scope.cancel()


async def test_a_follower_counts_what_came(autojump_clock: MockClock) -> None:
    """A snapshot whose entries are not all there is not taken, nor gone on with. An older release does not
    say how many they are."""
    async with trio.open_nursery() as nursery:
        receiver = FakeReceiver(nursery)
        receiver.peers = {NodeId(1): receiver}
        for count, answer in (
            ([3], Step.NO),
            ([1], Step.NO),
            (["x"], Step.NO),
            ([2], Step.ACK),
            ([], Step.ACK),
        ):
            await receiver.hear(1, 3, Step.OFFER, 1, 2, [0, 1, 2], [])
            install = receiver.installs[-1]
            assert install.entries == []
            await receiver.hear(1, 3, Step.ENTRIES, 2, blob=b"one")
            await receiver.hear(1, 3, Step.ENTRIES, 3, blob=b"two")
            await receiver.hear(1, 3, Step.END, 4, *count)
            assert receiver.answers[-1][3:] == [answer, 4]
            assert not install.open
            assert (receiver.installs_in, receiver.install_kept) == ({}, None)


async def test_what_cannot_be_read_is_not_passed_over(autojump_clock: MockClock) -> None:
    """A hole at the sender would be a loss at the follower, which nobody would ever notice."""
    async with trio.open_nursery() as nursery:
        story = Story(nursery)
        await story.begin()
        story.cluster.scopes[story.away].cancel()
        await story.publish(100)
        await trio.sleep(3)
        context = story.cluster.nodes[story.leader].context
        assert context is not None
        read = context.journal.read

        async def short(group: GroupId, first: Index, last: Index, bytes_max: int) -> tuple[Entry, ...]:
            return tuple(entry for entry in await read(group, first, last, bytes_max) if entry.index != 50)

        context.journal.read = short  # type: ignore[method-assign]  # something went wrong on its disk
        story.cluster.start(story.away, 9)
        await trio.sleep(10)
        assert "installs_received" not in story.counters(story.away)
        assert story.counters(story.leader)["installs_sent"] >= 2, "it is offered again"
        context.journal.read = read  # type: ignore[method-assign]  # and was put right
        await trio.sleep(10)
        assert story.counters(story.away)["installs_received"] == 1
        await story.check_level()
        nursery.cancel_scope.cancel()
