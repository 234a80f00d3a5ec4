"""Each checker is shown failing: a calm run is stopped, and something is told that cannot be."""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from haqactor.entry import Entry, Kind, build
from haqactor.errors import SequenceExpired
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.machine.actions import Deliver, Part
from haqactor.machine.effects import Applied
from haqactor.raft.messages import AppendReply, RequestVote, Vote
from haqactor.raft.ready import HardState
from haqactor.raft.state import Role
from haqactor.sim.cores.checkers import ALL
from haqactor.sim.cores.disk import Block
from haqactor.sim.cores.harness import Harness
from haqactor.sim.cores.plan import SECOND, draw
from haqactor.sim.cores.replica import Replica
from haqactor.sim.cores.serving import WORK
from haqactor.sim.cores.watch import Checker, Violation

GROUP = GroupId(3)


@pytest.fixture
def harness() -> Harness:
    found = Harness(draw(0, "calm"))
    found.timeline.run(SECOND)
    return found


def leader(harness: Harness) -> Replica:
    return next(replica for replica in harness.replicas if replica.is_serving)


def follower(harness: Harness) -> Replica:
    return next(replica for replica in harness.replicas if not replica.core.is_leader)


def checker(harness: Harness, name: str) -> Any:
    """One of the harness's own."""
    return next(each for each in harness.watch.checkers if type(each).__name__ == name)


def entry(index: int, term: int, body: bytes = b"other") -> Entry:
    return build(GROUP, Index(index), Term(term), Kind.COMMAND, b"", body)


def pretender(replica: Replica, **core: Any) -> Any:
    """As ``replica``, with a core that says something else."""
    base = {
        "is_leader": True,
        "term": replica.core.term,
        "role": Role.LEADER,
        "snapshot": replica.core.snapshot,
    }
    made = SimpleNamespace(**{**base, **core})
    return SimpleNamespace(
        node=replica.node, core=made, disk=replica.disk, machine=replica.machine, harness=replica.harness,
        is_serving=True, serving=replica.serving,
    )  # fmt: skip


def always(term: Term) -> Callable[[Index], Term]:
    def term_at(_index: Index) -> Term:
        return term

    return term_at


def delivery(sequence: int, session: bytes = b"somebody", term: int = 1) -> Deliver:
    part = Part(term, 1, 0, ((sequence, sequence),), (), 0, 1, 0, 10, None)
    return Deliver(session, 1, WORK, 1, [part])


def two_leaders(harness: Harness) -> None:
    checker(harness, "Elections").role(pretender(follower(harness)))


def leader_without_committed(harness: Harness) -> None:
    other = pretender(follower(harness), term=99, term_at=always(Term(0)))
    checker(harness, "Elections").role(other)


def other_log(harness: Harness) -> None:
    replica = follower(harness)
    last = replica.disk.entries[-1]
    other = entry(last.index, last.term)
    replica.disk.entries[-1] = other
    checker(harness, "LogMatching").durable(replica, [Block((other,))])


def other_entry_applied(harness: Harness) -> None:
    states = checker(harness, "StateMachine")
    states.places[0] = 4
    states.applied(harness.replicas[0], entry(5, 1), Applied(5, 1))


def out_of_order(harness: Harness) -> None:
    checker(harness, "StateMachine").applied(harness.replicas[0], entry(10_000, 1), Applied(10_000, 1))


def other_state(harness: Harness) -> None:
    states = checker(harness, "StateMachine")
    states.digest(harness.replicas[0], max(states.digests), b"other")


def other_snapshot(harness: Harness) -> None:
    states, replica = checker(harness, "StateMachine"), harness.replicas[0]
    states.digests[replica.applied] = b"other"
    states.installed(replica, Index(replica.applied))


def back_to_a_snapshot(harness: Harness) -> None:
    checker(harness, "StateMachine").installed(harness.replicas[0], Index(1))


def vote_not_durable(harness: Harness) -> None:
    checker(harness, "Votes").sent(harness.replicas[0], 1, Vote(Term(99), True))


def second_vote(harness: Harness) -> None:
    votes, replica = checker(harness, "Votes"), harness.replicas[0]
    replica.disk.hard_state = HardState(Term(99), NodeId(0))
    votes.sent(replica, 1, RequestVote(Term(99), NodeId(0), Index(1), Term(1)))
    votes.sent(replica, 1, Vote(Term(99), True))


def forgotten_vote(harness: Harness) -> None:
    votes, replica = checker(harness, "Votes"), harness.replicas[0]
    votes.told[0] = 99
    votes.started(replica)


def early_acknowledgement(harness: Harness) -> None:
    replica = harness.replicas[0]
    reply = AppendReply(replica.disk.hard_state.term, True, Index(10_000))
    checker(harness, "Durability").sent(replica, 1, reply)


def early_term(harness: Harness) -> None:
    checker(harness, "Durability").sent(harness.replicas[0], 1, AppendReply(Term(99), False, Index(0)))


def old_term_committed(harness: Harness) -> None:
    other = pretender(leader(harness), commit=3, term_at=always(Term(0)))
    checker(harness, "CommitRule").commit(other)


def few_copies(harness: Harness) -> None:
    core = leader(harness).core
    other = pretender(leader(harness), commit=10_000, term_at=always(core.term))
    checker(harness, "CommitRule").commit(other)


def confirmed_elsewhere(harness: Harness) -> None:
    checker(harness, "Dedup").confirmed(b"nobody", 1, 1, [[77, 1, 0]])


def stored_twice(harness: Harness) -> None:
    command = [1, WORK, b"p", 0, 1, 1, 0, 1, 0, 0, 0]
    dedup: Any = checker(harness, "Dedup")
    for place in (5, 6):
        dedup._first(entry(1, 1), [command], Applied(1, 1, [[[place, 1, False]]]))


def retry_refused(harness: Harness) -> None:
    checker(harness, "Dedup").refused(b"p", 1, SequenceExpired("forgotten"))


def confirmed_and_lost(harness: Harness) -> None:
    confirmed = checker(harness, "Confirmed")
    for replica in harness.replicas:
        replica.applied = Index(len(harness.canon))
    confirmed.sequences[100_000] = True
    confirmed.finished()


def stale_read(harness: Harness) -> None:
    checker(harness, "Reads").read(harness.replicas[0], 5, 6)


def leased_twice(harness: Harness) -> None:
    leases = checker(harness, "Leases")
    leases.chosen(leader(harness), [delivery(900), delivery(900, b"another")])


def holder_not_waited_for(harness: Harness) -> None:
    replica, holder = leader(harness), harness.consumers[0]
    assert replica.serving is not None
    replica.serving.began_ns = harness.timeline.now_ns
    leases = checker(harness, "Leases")
    leases.heard[replica.core.term].clear()
    holder.held[901] = (0, 1)
    leases.chosen(replica, [delivery(901)])


def foreign_acknowledgement(harness: Harness) -> None:
    leases, replica = checker(harness, "Leases"), leader(harness)
    leases.terms[replica.core.term][902] = (b"holder", 1)
    leases.judged(replica, (b"another", 1), [(902, 902)])


def delivered_after_settled(harness: Harness) -> None:
    settled = checker(harness, "Settled")
    settled.acknowledged([903])
    settled.released(leader(harness), delivery(903), harness.timeline.now_ns + 1)


def overtaken(harness: Harness) -> None:
    order, replica = checker(harness, "Order"), leader(harness)
    order.returned[replica.core.term][904] = True
    order.chosen(replica, [delivery(100_000)])


def disturbed(harness: Harness) -> None:
    harness.cut_off_ns[0] = 0
    other = pretender(harness.replicas[0], role=Role.CANDIDATE)
    harness.timeline.now_ns = 100 * SECOND
    checker(harness, "Disruption").role(other)


def leads_on(harness: Harness) -> None:
    checker(harness, "Deposed").answered(leader(harness), 99)


CASES: list[tuple[str, Callable[[Harness], None]]] = [
    ("S10", two_leaders),
    ("S12", leader_without_committed),
    ("S11", other_log),
    ("S12", other_entry_applied),
    ("S12", out_of_order),
    ("S12", other_state),
    ("S19", other_snapshot),
    ("S12", back_to_a_snapshot),
    ("S13", vote_not_durable),
    ("S13", second_vote),
    ("S13", forgotten_vote),
    ("S14", early_acknowledgement),
    ("S14", early_term),
    ("S15", old_term_committed),
    ("S15", few_copies),
    ("S1", confirmed_elsewhere),
    ("S4", stored_twice),
    ("S4", retry_refused),
    ("S1", confirmed_and_lost),
    ("S18", stale_read),
    ("S8", leased_twice),
    ("S8", holder_not_waited_for),
    ("S8", foreign_acknowledgement),
    ("S5", delivered_after_settled),
    ("S7", overtaken),
    ("L7", disturbed),
    ("S10", leads_on),
]


@pytest.mark.parametrize(("invariant", "tell"), CASES, ids=[tell.__name__ for _, tell in CASES])
def test_can_fail(harness: Harness, invariant: str, tell: Callable[[Harness], None]) -> None:
    with pytest.raises(Violation) as raised:
        tell(harness)
    assert raised.value.invariant == invariant


def test_a_suspect_may_forget_its_own_candidacy_but_no_vote_for_another(harness: Harness) -> None:
    votes, replica = checker(harness, "Votes"), harness.replicas[0]
    for term, candidate in ((98, 2), (99, 0)):
        votes.votes[0, term] = candidate
    replica.disk.suspect = True
    votes.started(replica)
    for term in (98, 99):
        replica.disk.hard_state = HardState(Term(term), NodeId(1))
        if term == 99:
            votes.sent(replica, 1, Vote(Term(term), True))
        else:
            with pytest.raises(Violation, match="S13"):
                votes.sent(replica, 1, Vote(Term(term), True))


def test_a_checker_of_ones_own() -> None:
    """Adding one is a class and its name."""

    class NoEntries(Checker):
        def applied(self, replica: Replica, entry: Entry, applied: Applied) -> None:
            raise Violation("S99", f"node {replica.node} applied something")

    harness = Harness(draw(0, "calm"), (), (*ALL, cast(type[Checker], NoEntries)))
    with pytest.raises(Violation, match="S99"):
        harness.timeline.run(SECOND)


def test_every_checker_is_shown_failing() -> None:
    """By name, in the cases above: one that cannot fail is a defect."""
    shown = "\n".join(inspect.getsource(tell) for _, tell in CASES)
    assert [each.__name__ for each in ALL if f'"{each.__name__}"' not in shown] == []
