"""Every checker holds its peace where its promise is kept, and speaks where it is broken, it alone."""

import pytest

from haqactor.sim.checkers.registry import checkers
from tests.builders.stories_contracts import CASES as CONTRACTS
from tests.builders.stories_disks import CASES as DISKS
from tests.builders.stories_ends import CASES as ENDS
from tests.builders.stories_leases import CASES as LEASES
from tests.builders.stories_membership import CASES as MEMBERSHIP
from tests.builders.stories_queues import CASES as QUEUES
from tests.builders.stories_raft import CASES as RAFT
from tests.builders.stories_views import CASES as VIEWS
from tests.builders.story import Case, Story

CASES = [
    *(*QUEUES.rows, *LEASES.rows, *VIEWS.rows, *RAFT.rows, *DISKS.rows, *CONTRACTS.rows, *ENDS.rows),
    *MEMBERSHIP.rows,
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_story(case: Case) -> None:
    story = Story()
    case.tell(story)
    told = "\n".join(map(str, story.panel.history.ops))
    assert story.broken() == ([case.breaks] if case.breaks else []), (
        f"{[*map(str, story.panel.violations)]}\n{told}"
    )
    assert case.promise not in story.panel.unknown


@pytest.mark.parametrize("invariant", [checker.invariant for checker in checkers()])
def test_both_ways(invariant: str) -> None:
    """A checker that cannot fail is a defect, and so is one that nobody has seen content."""
    about = [case for case in CASES if case.promise == invariant]
    assert any(case.breaks for case in about)
    assert any(not case.breaks for case in about)


def test_each_invariant_has_one_checker() -> None:
    names = [checker.invariant for checker in checkers()]
    assert len(names) == len(set(names))
    assert all(checker.name for checker in checkers())


def test_losses_are_broken_down() -> None:
    """By where they lie in their producer's work."""
    story = Story()
    for client, queue in (("c1", "q"), ("c2", "q"), ("c2", "p")):
        for seq in range(1, 7):
            story.did("publish", b"%s%d" % (client.encode(), seq), client=client, queue=queue, seq=seq)
    for seq in (2, 4, 5):
        story.deliver(b"c1%d" % seq, seq)
        story.settle("ack", seq)
    story.final.remaining = {("p", 0, seq): ("ready", None) for seq in range(1, 4)}
    story.broken()
    (violation,) = (each for each in story.panel.violations if each.invariant == "S1")
    assert "c1 to q: 1 prefix, 1 middle, 1 suffix of 6" in violation.text
    assert "c2 to p: 0 prefix, 0 middle, 3 suffix of 6" in violation.text


def test_a_broken_promise_names_its_records() -> None:
    for case in CASES:
        if case.breaks and case.promise[0] == "S":
            story = Story()
            case.tell(story)
            story.broken()
            violation = story.panel.violations[0]
            assert violation.records, case
            assert str(violation).startswith(f"{case.breaks}: ")
