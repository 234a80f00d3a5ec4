"""A data group's service: what a publish must be, who is answered when, and what survives a full house."""

from random import Random
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor import wire
from haqactor.config import Limits
from haqactor.errors import Overloaded
from haqactor.ids import Term
from haqactor.machine import commands
from haqactor.machine.epochs import producer_id
from haqactor.machine.machine import GroupMachine
from haqactor.nodes.proposals import AGAIN_NS
from haqactor.nodes.sessions import ClientSession, Disconnected
from tests.builders.served_queue import GROUP, PRODUCER, place
from tests.builders.service_actor import trio_now


async def test_a_turns_publishes_are_one_entry() -> None:
    """Answered when it applies, each with its own numbers, and not before."""
    async with place() as here:
        first = here.publish(here.alice, [b"a", b"b"])
        second = here.publish(here.bob, [b"c"])
        here.service.work(trio_now())
        assert len(here.actor.proposed) == 1
        assert here.alice.answers == {}
        assert here.actor.commit(here.service) == 1
        assert here.alice.answers[first] == [[[1, 2, False]]]
        assert here.bob.answers[second] == [[[3, 1, False]]]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"count": 3}, "protocol_error"),
        ({"producer": b"short"}, "protocol_error"),
        ({"first": 0}, "protocol_error"),
        ({"epoch": -1}, "protocol_error"),
    ],
)
async def test_publishes_that_lie(changes: dict[str, Any], code: str) -> None:
    """Nothing of them is proposed; what came beside them is."""
    async with place() as here:
        lie = here.publish(here.alice, [b"a", b"b"], **changes)
        good = here.publish(here.bob, [b"x"], first=1)
        here.turn()
        assert here.alice.answers[lie] == [code]
        assert here.bob.answers[good] == [[[1, 1, False]]]


async def test_garbage_for_a_batch() -> None:
    """Refused at its head."""
    async with place() as here:
        message = wire.Publish(0, GROUP, here.uid, PRODUCER, 0, 1, 1, 0, 0)
        for blob in (b"", b"x", bytes(500)):
            rid = here.alice.ask(here.service, message, blob)
            assert here.alice.answers[rid] == ["protocol_error"] or here.alice.answers[rid] == [
                "data_damaged"
            ]
        assert not here.service.draft.commands


async def test_negative_numbers_are_never_stored() -> None:
    """Applied they would be, and every snapshot written; but none could be read back, on any replica."""
    async with place() as here:
        begin = here.alice.ask(here.service, wire.Begin(0, GROUP, here.uid, PRODUCER, -1))
        consumer = here.bob.ask(here.service, wire.Subscribe(0, GROUP, here.uid, -1, 1, 10, 1 << 20, []))
        here.turn()
        assert here.alice.answers[begin] == here.bob.answers[consumer] == ["protocol_error"]
        GroupMachine().restore(here.service.snapshot_chunks())


async def test_too_large() -> None:
    """One message may be as large as configured, a packed batch as large as the protocol says."""
    async with place(limits=Limits(message_bytes_max=200_000)) as here:
        fits = here.publish(here.alice, [bytes(200_000)])
        large = here.publish(here.alice, [bytes(300_000)])
        many = here.publish(here.alice, [bytes(200_000)] * 8, first=2)
        here.turn()
        assert here.alice.answers[fits] == [[[1, 1, False]]]
        assert here.alice.answers[large] == here.alice.answers[many] == ["too_large"]


async def test_bytes_count_as_they_are_stored() -> None:
    """A batch with its head and table; what was refused is not in the log, and what is held is in the
    status."""
    async with place(limits=Limits(group_bytes_max=500)) as here:
        fits = here.publish(here.alice, [b"a" * 100, b"b" * 100])
        here.turn()
        assert here.alice.answers[fits] == [[[1, 2, False]]]
        held = here.service.machine.held.bytes
        assert 200 < held < 260
        proposed = len(here.actor.proposed)
        full = here.publish(here.alice, [bytes(range(256)) + bytes(range(99))], first=3)
        never = here.publish(here.alice, [Random(1).randbytes(480)], first=3)
        assert here.alice.answers[full] == ["overloaded"]
        assert here.alice.answers[never] == ["too_large"]
        here.turn()
        assert len(here.actor.proposed) == proposed
        assert (here.service.status()["messages"], here.service.status()["bytes"]) == (2, held)


async def test_a_large_draft_is_sealed_within_the_turn() -> None:
    """So an entry stays near a megabyte."""
    async with place() as here:
        body = bytes(range(256)) * 3000
        here.publish(here.alice, [body])
        here.publish(here.alice, [body])
        assert len(here.actor.proposed) in (0, 1)
        for _ in range(3):
            here.publish(here.alice, [trio_now().to_bytes(8, "big") * 100_000])
        here.turn()
        assert [len(answers) for answers in here.alice.answers.values()] == [1] * 5


async def test_a_full_disk_refuses_publishes_only() -> None:
    """Settlements get through, for they make room."""
    async with place() as here:
        here.publish(here.alice, [b"a"])
        here.subscribe(here.bob)
        (lease,) = here.deliver(here.bob)
        cast(Any, here.actor.journal).space_low = True
        refused = here.publish(here.alice, [b"b"])
        done = here.settle(here.bob, [lease])
        here.turn()
        assert here.alice.answers[refused] == ["overloaded"]
        assert here.bob.answers[done] == [[]]


async def test_too_much_under_way_refuses_publishes_and_keeps_the_rest() -> None:
    """A settlement waits for the next entry."""
    async with place() as here:
        here.publish(here.alice, [b"a"])
        here.subscribe(here.bob)
        (lease,) = here.deliver(here.bob)
        here.actor.overload = Overloaded("too much waits", retry_after=0.1)
        refused = here.publish(here.alice, [b"b"])
        done = here.settle(here.bob, [lease])
        here.service.work(trio_now())
        assert here.alice.answers[refused] == ["overloaded"]
        assert done not in here.bob.answers
        again_ns = here.service.next_deadline_ns() - trio_now()
        assert again_ns <= AGAIN_NS, "nothing else may come to try it again"
        here.actor.overload = None
        here.turn()
        assert here.bob.answers[done] == [[]]


async def test_reads_share_a_read_index_and_are_refused_without_one() -> None:
    """Info, Peek, and a queue that was deleted meanwhile."""
    async with place() as here:
        here.publish(here.alice, [b"a", b"b"])
        here.turn()
        info = here.alice.ask(here.service, wire.Info(0, GROUP, here.uid))
        peek = here.bob.ask(here.service, wire.Peek(0, GROUP, here.uid, 10))
        here.turn()
        assert len(here.actor.asked) == 1
        here.confirm()
        await wait_all_tasks_blocked()
        assert here.alice.answers[info][0]["ready"] == 2
        assert here.bob.answers[peek][0][0][3] == ((1, 2),)
        refused = here.alice.ask(here.service, wire.Info(0, GROUP, here.uid))
        here.turn()
        here.confirm(ok=False)
        assert here.alice.answers[refused] == ["not_leader"]
        gone = here.alice.ask(here.service, wire.Info(0, GROUP, here.uid))
        here.turn()
        here.change(commands.delete("q", 0))
        here.turn()
        here.confirm()
        assert here.alice.answers[gone] == ["not_found"]


async def test_requests_for_a_queue_that_is_being_made_wait_for_it() -> None:
    """This node's copy of the directory may be behind the client, or the group behind the copy."""
    async with place() as here:
        here.change(commands.declare("later", {}))
        info = here.alice.ask(here.service, wire.Info(0, GROUP, here.row("later")))
        assert here.alice.answers == {}
        here.turn()
        here.confirm()
        assert here.alice.answers[info][0]["ready"] == 0
        unknown = here.alice.ask(here.service, wire.Info(0, GROUP, 7))
        assert here.alice.answers[unknown] == ["not_found"]
        ahead = here.alice.ask(here.service, wire.Info(0, GROUP, 1 << 40))
        here.bob.ask(here.service, wire.Info(0, GROUP, 1 << 40))
        here.bob.open = False
        here.service.disconnected(Disconnected(cast(ClientSession, here.bob)), trio_now())
        here.change(*(commands.register_node(0, "n0:7000", boot) for boot in (2, 3)))
        here.service.directory_moved(trio_now())
        assert ahead not in here.alice.answers
        assert here.bob.answers == {}
        assert len(here.missing.take_all(here.actor.group)) == 1


async def test_purge_and_settlements_wait_until_a_queue_is_open(autojump_clock: MockClock) -> None:
    """After a change of leader nobody knows yet who holds what."""
    async with place() as here:
        here.publish(here.alice, [b"a"])
        here.publish(here.alice, [b"b", b"c"])
        here.subscribe(here.bob, credit=1)
        (lease,) = here.deliver(here.bob)
        here.service.follow(trio_now())
        here.actor.core.term = Term(2)
        here.lead()
        purge = here.alice.ask(here.service, wire.Purge(0, GROUP, here.uid))
        here.turn()
        assert purge not in here.alice.answers
        await trio.sleep(3)
        here.turn()
        assert here.alice.answers[purge] == [3]
        assert lease[2:] == [1, 1]


async def test_the_end_of_a_term_answers_everyone_once(autojump_clock: MockClock) -> None:
    """Proposed: unknown. Not proposed, reads, polls, waits: elsewhere. Consumers are told too."""
    async with place() as here:
        here.subscribe(here.bob, credit=0)
        here.turn()
        proposed = here.publish(here.alice, [b"a"])
        here.service.work(trio_now())
        drafted = here.publish(here.alice, [b"b"])
        info = here.alice.ask(here.service, wire.Info(0, GROUP, here.uid))
        poll = here.bob.ask(here.service, wire.Poll(0, GROUP, here.uid, 1))
        waits = here.alice.ask(here.service, wire.Info(0, GROUP, 1 << 40))
        ends = here.alice.ask(here.service, wire.Await(0, GROUP, here.uid, 0, True))
        here.service.follow(trio_now())
        here.service.follow(trio_now())
        here.service.reads((1, 2, 3), False, trio_now())
        here.actor.commit(here.service)
        assert here.alice.answers[proposed] == ["outcome_unknown"]
        assert [here.alice.answers[rid] for rid in (drafted, info, waits, ends)] == [["not_leader"]] * 4
        assert here.bob.answers[poll] == ["not_leader"]
        assert [(type(told), told.consumer) for told in here.bob.take()] == [(wire.ConsumerGone, 1)]
        assert here.service.next_deadline_ns() > 1 << 61
        here.service.work(trio_now())
        assert here.actor.proposed == []


async def test_a_purge_under_way_at_the_end_of_a_term_is_unknown() -> None:
    """Another purge is another purge."""
    async with place() as here:
        purge = here.alice.ask(here.service, wire.Purge(0, GROUP, here.uid))
        here.service.follow(trio_now())
        assert here.alice.answers[purge] == ["outcome_unknown"]


async def test_awaits() -> None:
    """Until the queue is there in the version asked for, or gone."""
    async with place() as here:
        there = here.alice.ask(here.service, wire.Await(0, GROUP, here.uid, 1, False))
        assert here.alice.answers[there] == [True]
        gone = here.alice.ask(here.service, wire.Await(0, GROUP, here.uid, 0, True))
        assert gone not in here.alice.answers
        here.change(commands.delete("q", 0))
        here.turn()
        assert here.alice.answers[gone] == [True]


async def test_a_queue_that_may_appear_yet_is_not_gone() -> None:
    """Its group has not made it, for this node's copy of the directory is behind: what is published to it
    waits, and would be confirmed, and dropped, behind a deletion that was said to be over."""
    async with place() as here:
        here.change(commands.declare("later", {}))
        uid = here.row("later")
        made = here.bob.ask(here.service, wire.Await(0, GROUP, uid, 0, True))
        assert made not in here.bob.answers, "it is about to be made"
        here.turn()
        assert made not in here.bob.answers, "and was"
        here.change(commands.delete("later", 0))
        here.turn()
        assert here.bob.answers[made] == [True]
        unknown = (here.directory.index + 1) << 16
        ahead = here.bob.ask(here.service, wire.Await(0, GROUP, unknown, 0, True))
        here.turn()
        assert ahead not in here.bob.answers, "nobody here knows of it"
        here.change(commands.declare("unlucky", {}), commands.delete("unlucky", 0))
        here.service.directory_moved(trio_now())
        assert here.bob.answers[ahead] == [True], "made and deleted before its group heard of it"


async def test_what_a_queue_does_not_answer() -> None:
    """A request of another kind fails; a malformed credit ends the connection."""
    async with place() as here:
        rid = here.alice.ask(here.service, wire.Queues(0))
        assert here.alice.answers[rid] == ["invalid_argument"]


async def test_the_older_of_two_producers_is_fenced_in_a_group_that_the_newer_never_used() -> None:
    """At once by the leader that heard of it, and for good by the group's log."""
    async with place() as here:
        mine = {"producer": producer_id("p"), "epoch": 1}
        here.change(commands.open_producer("p"))
        here.publish(here.alice, [b"a"], first=1, **mine)
        here.turn()
        here.change(
            commands.open_producer("p"), commands.open_producer("other"), commands.open_producer("other")
        )
        late = here.publish(here.alice, [b"b"], first=2, **mine)
        begin = here.alice.ask(here.service, wire.Begin(0, GROUP, here.uid, producer_id("other"), 1))
        assert here.alice.answers[late] == here.alice.answers[begin] == ["fenced"]
        assert here.service.machine.producers.named[producer_id("p")].epoch == 1
        here.turn()
        assert here.service.machine.producers.named[producer_id("p")].epoch == 2
        assert producer_id("other") not in here.service.machine.producers.named
