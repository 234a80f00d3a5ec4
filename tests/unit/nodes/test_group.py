"""One turn of a group's actor: what it persists, sends and applies, in which order, and who is answered.

The core is a real one; the disk is done when the test says so.
"""

from functools import partial
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor.config import Limits
from haqactor.entry import Kind, build
from haqactor.errors import Conflict, InvariantViolation, OutcomeUnknown
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.group import RaftItem
from haqactor.nodes.sessions import Disconnected
from haqactor.raft.messages import Append, AppendReply, RequestVote, Vote
from haqactor.raft.ready import HardState, SnapshotMeta
from tests.builders.one_replica import GROUP, MS, running


async def test_one_alone_leads_once_its_disk_says_so() -> None:
    """Its vote, then its no-op: neither counts before it is durable, and nobody is served before that."""
    async with running() as one:
        one.ask(1)
        await wait_all_tasks_blocked()
        (vote,) = one.journal.submitted
        assert (vote.entries, vote.hard_state) == ((), HardState(Term(1), NodeId(0)))
        assert one.session.failed == [(1, "not_leader")]
        one.journal.settle()
        await wait_all_tasks_blocked()
        (noop,) = one.journal.submitted
        assert [entry.kind for entry in noop.entries] == [Kind.NOOP]
        one.ask(2)
        one.ask(3)
        await wait_all_tasks_blocked()
        assert one.actor.leading
        assert not one.actor.serving
        assert one.service.events == []
        await one.settle()
        assert one.actor.serving
        assert one.service.events == [
            ("apply", 1, Kind.NOOP),
            ("lead", 1),
            ("request", 2),
            ("request", 3),
        ]
        assert one.session.failed == [(1, "not_leader")]


async def test_a_leader_serves_when_it_knows_the_time(autojump_clock: MockClock) -> None:
    """A leader that knows its own clock only would give a T to clients that jumps once it hears the others',
    by all the time since 1970 in a new cluster: their sessions, delays and leases would be over at once."""
    async with running(3) as one:
        await one.elect()
        await one.settle()
        core = one.actor.core
        await one.step(1, AppendReply(core.term, True, Index(1), boot=1))
        one.ask(1)
        await wait_all_tasks_blocked()
        assert one.service.events == [("apply", 1, Kind.NOOP)]
        assert not one.actor.serving
        assert one.actor.awaits_clocks == core.term
        one.context.walls[NodeId(1)] = (one.context.env.clock.wall_ns(), one.context.now())
        one.actor.mailbox.wake()  # as the beat that brought the clock does
        await wait_all_tasks_blocked()
        assert one.service.events[1:] == [("lead", 1), ("request", 1)]
        assert one.actor.serving


async def test_propose_apply_answer() -> None:
    """An owner hears when its entry applied, which is when it is durable; several entries go in one write."""
    async with running() as one:
        await one.settle()
        one.service.proposing = [b"a", b"b"]
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        (write,) = one.journal.submitted
        assert [bytes(entry.body) for entry in write.entries] == [b"a", b"b"]
        assert [owner.told for owner in one.service.owners] == [[], []]
        await one.settle()
        assert [owner.told for owner in one.service.owners] == [[[2]], [[3]]]
        assert one.service.state == [b"", b"a", b"b"]


async def test_the_service_works_when_there_is_something_for_it(autojump_clock: MockClock) -> None:
    """Not for what is Raft's or the disk's own; at once for what applied, a request, a call, its own time."""
    async with running(3) as one:
        await one.elect()
        await one.settle()
        await one.confirm(1)
        service = one.service
        service.proposing = [b"a"]
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        before = service.turns
        await one.settle()
        assert service.turns == before, "its own disk is done"
        await one.confirm(2)
        assert service.events[-1] == ("apply", 2, Kind.COMMAND)
        assert service.turns == before + 1, "in the turn that applied it"
        await one.step(2, AppendReply(one.actor.core.term, True, Index(2), boot=1))
        assert service.turns == before + 1, "a late acknowledgement"
        one.ask(7)
        await wait_all_tasks_blocked()
        assert service.turns == before + 2
        service.due_ns = one.context.now() + 50 * MS
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        assert service.turns == before + 3
        await trio.sleep(0.06)
        assert service.turns > before + 3


async def test_held_requests_are_bounded(autojump_clock: MockClock) -> None:
    """A leader that cannot commit its no-op does not pile up what clients send."""
    async with running(3, Limits(mailbox_batches_max=3, mailbox_bytes_max=100)) as one:
        await one.elect()
        for rid, size in ((1, 60), (2, 60), (3, 10), (4, 10), (5, 1)):
            one.ask(rid, bytes(size))
        await wait_all_tasks_blocked()
        assert one.session.failed == [(2, "overloaded"), (5, "overloaded")]
        await one.settle()
        await one.confirm(1)
        assert [event[1] for event in one.service.events if event[0] == "request"] == [1, 3, 4]


async def test_a_follower_answers_after_its_disk(autojump_clock: MockClock) -> None:
    """Votes and acknowledgements wait for the write they promise (R1), and for every write before it."""
    async with running(3) as one:
        await one.step(2, RequestVote(Term(1), NodeId(2), Index(0), Term(0), boot=1))
        assert one.links[2].take() == []
        assert one.journal.submitted[0].hard_state == HardState(Term(1), NodeId(2))
        entry = build(GROUP, Index(1), Term(1), Kind.NOOP, b"")
        await one.step(2, Append(Term(1), Index(0), Term(0), Index(0), (entry,)))
        await one.step(1, RequestVote(Term(1), NodeId(1), Index(0), Term(0), boot=1))
        assert one.links[1].take() == one.links[2].take() == []
        assert len(one.journal.submitted) == 2
        one.journal.submitted.pop(0).done()
        await wait_all_tasks_blocked()
        assert [type(message) for message in one.links[2].take()] == [Vote]
        assert one.links[1].take() == []
        one.journal.settle()
        await wait_all_tasks_blocked()
        (reply,) = one.links[2].take()
        assert isinstance(reply, AppendReply)
        assert (reply.accepted, reply.matched) == (True, 1)
        (vote,) = one.links[1].take()
        assert isinstance(vote, Vote)
        assert not vote.granted


async def test_a_leaders_appends_do_not_wait_for_its_disk(autojump_clock: MockClock) -> None:
    """They promise nothing; its own copy counts when it is durable."""
    async with running(3) as one:
        await one.elect()
        appends = [message for message in one.links[1].take() if isinstance(message, Append)]
        assert [len(append.entries) for append in appends] == [1]
        assert len(one.journal.submitted) == 1
        await one.confirm(1)
        assert not one.actor.serving
        await one.settle()
        assert one.actor.serving


async def test_a_lost_leadership_tells_everybody(autojump_clock: MockClock) -> None:
    """Those who are held, and those who come later; of an entry that another leader overwrites here nobody
    knows yet whether a third replica brings it back."""
    async with running(3) as one:
        await one.elect()
        await one.settle()
        await one.confirm(1)
        one.service.proposing = [b"lost"]
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        await one.settle()
        other = build(GROUP, Index(2), Term(5), Kind.NOOP, b"")
        one.service.events.clear()
        await one.step(2, Append(Term(5), Index(1), Term(1), Index(1), (other,)))
        assert one.service.events == ["follow"]
        assert one.service.owners[0].told == [OutcomeUnknown]
        assert one.context.leaders.leader(GROUP) == (2, 5)
        one.ask(1)
        await wait_all_tasks_blocked()
        assert one.session.failed == [(1, "not_leader")]
        await one.settle()
        await one.step(2, Append(Term(5), Index(2), Term(5), Index(2)))
        assert one.service.owners[0].told == [OutcomeUnknown]
        assert one.actor.take_proposal(Index(2)) is None


async def test_held_requests_are_told_when_the_term_ends_first(autojump_clock: MockClock) -> None:
    """The service never saw this leadership, so it is not told of its end."""
    async with running(3) as one:
        await one.elect()
        one.ask(1)
        await wait_all_tasks_blocked()
        await one.step(2, Append(Term(5), Index(0), Term(0), Index(0)))
        assert one.session.failed == [(1, "not_leader")]
        assert one.service.events == []


async def test_a_leader_cut_off_serves_nobody(autojump_clock: MockClock) -> None:
    """It steps down within its term, by the clock alone; a turn in which that happens does no more work."""
    async with running(3) as one:
        await one.elect()
        await one.settle()
        await one.confirm(1)
        term = one.actor.core.term
        worked: list[bool] = []

        def spy(now_ns: int) -> None:
            worked.append(one.actor.core.is_leader)

        one.service.work = spy  # type: ignore[method-assign]  # a spy
        while one.actor.core.is_leader:
            one.actor.mailbox.wake()
            await trio.sleep(0.05)
        assert one.actor.core.term == term
        assert worked
        assert all(worked)
        assert one.service.events[-1] == "follow"
        one.ask(1)
        await wait_all_tasks_blocked()
        assert one.session.failed == [(1, "not_leader")]


async def test_hand_over_after_a_loss_in_the_same_turn(autojump_clock: MockClock) -> None:
    """A stopping node may ask for it at any time."""
    async with running(3) as one:
        await one.elect()
        await one.settle()
        await one.confirm(1)
        one.actor.mailbox.put(RaftItem(NodeId(2), Append(Term(5), Index(1), Term(1), Index(1))))
        one.actor.mailbox.put(one.actor.hand_over)
        await wait_all_tasks_blocked()
        assert not one.actor.leading


async def test_a_read_waits_for_a_round_and_fails_with_the_term(autojump_clock: MockClock) -> None:
    """ReadIndex: confirmed by a majority after it was asked for."""
    async with running(3) as one:
        await one.elect()
        await one.settle()
        await one.confirm(1)
        wanted: list[int] = []
        one.context.beat_now = lambda: wanted.append(1)
        one.service.read_next = True
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        assert wanted
        assert not [event for event in one.service.events if event[0] == "reads"]
        row = one.actor.core.row()
        assert row is not None
        await one.confirm(1, read_context=row.context)
        assert one.service.events[-1] == ("reads", (9,), True)
        one.service.read_next = True
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        await one.step(2, Append(Term(5), Index(1), Term(1), Index(1)))
        assert ("reads", (9,), False) in one.service.events


async def test_a_snapshot_that_the_log_has_passed_changes_nothing(autojump_clock: MockClock) -> None:
    """It took long; meanwhile the entries came by themselves."""
    async with running() as one:
        await one.settle()
        one.service.proposing = [b"a", b"b"]
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        await one.settle()
        meta = SnapshotMeta(Index(2), Term(1), (NodeId(0),))
        one.actor.mailbox.put(lambda now: one.actor.restored(meta, [b"old"], now))
        await wait_all_tasks_blocked()
        assert one.actor.applier.applied == 3
        assert ("restore", b"old") not in one.service.events
        ahead = SnapshotMeta(Index(50), Term(1), (NodeId(0),))
        one.actor.mailbox.put(lambda now: one.actor.restored(ahead, [b"new"], now))
        await wait_all_tasks_blocked()
        assert ("restore", b"new") in one.service.events
        assert one.actor.applier.applied == 50


async def test_the_end_of_a_connection_is_heard_by_who_serves_it() -> None:
    """And by nobody else."""
    async with running() as one:
        one.actor.mailbox.put(Disconnected(cast(Any, one.session)))
        await wait_all_tasks_blocked()
        assert one.service.events == []
        await one.settle()
        one.actor.mailbox.put(Disconnected(cast(Any, one.session)))
        await wait_all_tasks_blocked()
        assert one.service.events[-1] == "disconnected"


async def test_a_snapshot_that_an_installed_one_replaced_is_given_up() -> None:
    """The state that it was drawn from is gone; the replica goes on, and tries again when one is due."""
    async with running(limits=Limits(snapshot_entries=2)) as one:
        tried: list[Index] = []

        async def save_snapshot(_group: GroupId, meta: SnapshotMeta, *_rest: object) -> None:
            await trio.lowlevel.checkpoint()
            tried.append(meta.index)
            raise Conflict("a newer snapshot of this group was begun")

        cast(Any, one.journal).save_snapshot = save_snapshot
        await one.settle()
        for _ in range(2):
            one.service.proposing = [b"a", b"b"]
            one.actor.mailbox.wake()
            await wait_all_tasks_blocked()
            await one.settle()
        assert tried == [3, 5]
        assert one.actor.applier.applied == 5


async def test_entries_wait_while_a_snapshot_takes_their_place(autojump_clock: MockClock) -> None:
    """The journal's log may begin behind it already while the core's still ends before it; what another
    leader sends just then would leave a gap on the disk. Raft sends it again."""
    async with running(3) as one:
        one.actor.installing = 1
        early = build(GROUP, Index(1), Term(2), Kind.NOOP, b"")
        await one.step(2, Append(Term(2), Index(0), Term(0), Index(0), (early,)))
        assert one.journal.submitted == []
        meta = SnapshotMeta(Index(40), Term(1), (NodeId(0), NodeId(1), NodeId(2)))
        one.actor.mailbox.put(lambda now: one.actor.restored(meta, [b"new"], now))
        await wait_all_tasks_blocked()
        later = build(GROUP, Index(41), Term(2), Kind.NOOP, b"")
        await one.step(2, Append(Term(2), Index(40), Term(1), Index(40), (later,)))
        assert [entry.index for write in one.journal.submitted for entry in write.entries] == [41]


async def test_entries_wait_for_the_end_of_each_install(autojump_clock: MockClock) -> None:
    """The second is still being written when the actor has its turn for the first."""
    async with running(3) as one:
        one.actor.installing = 2
        meta = SnapshotMeta(Index(40), Term(1), (NodeId(0), NodeId(1), NodeId(2)))
        one.actor.mailbox.put(lambda now: one.actor.restored(meta, [b"first"], now))
        await wait_all_tasks_blocked()
        assert (one.actor.applier.applied, one.actor.installing) == (40, 1)
        next_one = build(GROUP, Index(41), Term(2), Kind.NOOP, b"")
        await one.step(2, Append(Term(2), Index(40), Term(1), Index(40), (next_one,)))
        assert one.journal.submitted == []
        one.journal.groups[GROUP].snapshot_index = 45
        meta_of_second = SnapshotMeta(Index(45), Term(2), meta.voters)
        one.actor.mailbox.put(lambda now: one.actor.restored(meta_of_second, [b"second"], now))
        await wait_all_tasks_blocked()
        assert (one.actor.applier.applied, one.actor.installing) == (45, 0)


async def test_a_snapshot_that_the_next_one_has_replaced_is_passed_over(autojump_clock: MockClock) -> None:
    """Both were received before the actor had a turn; the journal holds the entries of the second."""
    async with running(3) as one:
        one.actor.installing = 2
        one.journal.groups[GROUP].snapshot_index = 45
        for index, state in ((40, b"first"), (45, b"second")):
            meta = SnapshotMeta(Index(index), Term(2), (NodeId(0), NodeId(1), NodeId(2)))
            one.actor.mailbox.put(partial(one.actor.restored, meta, [state]))
        await wait_all_tasks_blocked()
        assert [event for event in one.service.events if event[0] == "restore"] == [("restore", b"second")]
        assert (one.actor.applier.applied, one.actor.installing) == (45, 0)


async def test_an_own_snapshot_that_is_newer_ends_an_install_as_well(autojump_clock: MockClock) -> None:
    """What had been received was behind what is applied; else its replica would take no entry ever again."""
    async with running() as one:
        await one.settle()
        one.service.proposing = [b"a", b"b"]
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        await one.settle()
        assert one.actor.applier.applied == 3
        one.actor.installing = 1
        one.journal.groups[GROUP].snapshot_index = 3
        meta = SnapshotMeta(Index(2), Term(1), (NodeId(0),))
        one.actor.mailbox.put(partial(one.actor.restored, meta, [b"old"]))
        await wait_all_tasks_blocked()
        assert not one.actor.installing
        assert ("restore", b"old") not in one.service.events


def on_disk_only(core: Any, upto: Index) -> None:
    """Its memory holds nothing up to there."""
    core._state.log.forget(upto)


async def test_what_an_install_takes_out_of_the_journal_is_not_read_there(
    autojump_clock: MockClock,
) -> None:
    """Entries that are committed and wait to be read, while a snapshot replaces them: seed 6 of profile swarm
    with much awkwardness. The node ended with a broken invariant."""
    async with running(3) as one:
        entries = tuple(build(GROUP, Index(at), Term(1), Kind.NOOP, b"") for at in (1, 2, 3))
        await one.step(2, Append(Term(1), Index(0), Term(0), Index(0), entries))
        await one.settle()
        on_disk_only(one.actor.core, Index(3))
        one.actor.installing = 1
        one.actor.mailbox.put(lambda now: one.actor.applier.commit(Index(2), now))
        await wait_all_tasks_blocked()
        assert one.actor.applier.applied == 0
        meta = SnapshotMeta(Index(2), Term(1), (NodeId(0), NodeId(1), NodeId(2)))
        one.actor.mailbox.put(lambda now: one.actor.restored(meta, [b"new"], now))
        await wait_all_tasks_blocked()
        assert one.actor.applier.applied == 2
        one.journal.entries[GROUP, 3] = entries[2]
        await one.step(2, Append(Term(1), Index(3), Term(1), Index(3), ()))
        assert one.actor.applier.applied == 3


async def test_a_restored_replica_forgets_the_entries_of_its_old_log(autojump_clock: MockClock) -> None:
    """They may never have been committed; what is delivered or sent from memory must be what the group
    stored."""
    async with running(3) as one:
        stale = build(GROUP, Index(1), Term(1), Kind.COMMAND, b"", b"never committed")
        await one.step(2, Append(Term(1), Index(0), Term(0), Index(0), (stale,)))
        await one.settle()
        assert one.context.tail.get(GROUP, Index(1)) is stale
        meta = SnapshotMeta(Index(40), Term(2), (NodeId(0), NodeId(1), NodeId(2)))
        one.actor.mailbox.put(lambda now: one.actor.restored(meta, [b"new"], now))
        await wait_all_tasks_blocked()
        assert one.context.tail.get(GROUP, Index(1)) is None


async def test_a_snapshot_from_the_leader_ends_what_was_proposed_before(autojump_clock: MockClock) -> None:
    """Below it nothing is applied here any more, above it there is nothing: the owners stayed, up to 16 MiB
    of bodies, until another entry had their index."""
    async with running(3) as one:
        await one.elect()
        await one.settle()
        await one.confirm(1)
        one.service.proposing = [b"below", b"below, too", b"above"]
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        await one.settle()
        await one.step(2, Append(Term(5), Index(40), Term(5), Index(40)))
        assert not one.actor.leading
        meta = SnapshotMeta(Index(3), Term(5), (NodeId(0), NodeId(1), NodeId(2)))
        one.actor.mailbox.put(lambda now: one.actor.restored(meta, [b"new"], now))
        await wait_all_tasks_blocked()
        assert one.actor.core.last_index == 3
        assert [owner.told for owner in one.service.owners] == [[OutcomeUnknown]] * 3
        assert [one.actor.take_proposal(Index(index)) for index in (2, 3, 4)] == [None] * 3


async def test_a_snapshot_below_its_own_log_leaves_the_rest(autojump_clock: MockClock) -> None:
    """What is above a matching entry stays in the log, and may apply yet."""
    async with running(3) as one:
        await one.elect()
        await one.settle()
        await one.confirm(1)
        one.service.proposing = [b"below", b"above"]
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        await one.settle()
        await one.step(2, Append(Term(5), Index(40), Term(5), Index(40)))
        meta = SnapshotMeta(Index(2), Term(1), (NodeId(0), NodeId(1), NodeId(2)))
        one.actor.mailbox.put(lambda now: one.actor.restored(meta, [b"new"], now))
        await wait_all_tasks_blocked()
        assert one.actor.core.last_index == 3
        assert [owner.told for owner in one.service.owners] == [[OutcomeUnknown], []]


async def test_the_log_is_cut_once_its_snapshot_is_durable() -> None:
    """R12f: until then only the log has what the snapshot will have."""
    async with running(limits=Limits(snapshot_entries=2)) as one:
        durable = trio.Event()

        async def save_snapshot(*_given: object) -> None:
            await durable.wait()

        cast(Any, one.journal).save_snapshot = save_snapshot
        await one.settle()
        one.service.proposing = [b"a", b"b"]
        one.actor.mailbox.wake()
        await wait_all_tasks_blocked()
        await one.settle()
        assert (one.actor.applier.applied, one.actor.core.snapshot.index) == (3, 0)
        durable.set()
        await wait_all_tasks_blocked()
        assert one.actor.core.snapshot.index == 3


async def test_replicas_whose_states_differ_stop() -> None:
    """R14: what was applied differently can only get worse."""
    async with running() as one:
        one.actor.applier.digests[Index(256)] = b"mine"
        one.actor.applier.compare_digest(NodeId(1), 256, b"mine")
        one.actor.applier.compare_digest(NodeId(1), 512, b"not known here")
        with pytest.raises(InvariantViolation, match="differs from node 1"):
            one.actor.applier.compare_digest(NodeId(1), 256, b"else")
