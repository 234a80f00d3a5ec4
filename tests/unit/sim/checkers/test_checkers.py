"""Every checker holds its peace where its promise is kept, and speaks where it is broken, it alone."""

import pytest

from haqactor.sim.checkers.registry import checkers
from tests.builders.stories_ends import CASES as ENDS
from tests.builders.stories_queues import CASES as QUEUES
from tests.builders.stories_raft import CASES as RAFT
from tests.builders.story import Case, Story

CASES = [*QUEUES.rows, *RAFT.rows, *ENDS.rows]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_story(case: Case) -> None:
    story = Story()
    case.tell(story)
    told = "\n".join(map(str, story.panel.history.ops))
    assert story.broken() == ([case.breaks] if case.breaks else []), (
        f"{[*map(str, story.panel.violations)]}\n{told}"
    )


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


def test_a_broken_promise_names_its_records() -> None:
    for case in CASES:
        if case.breaks and case.promise[0] == "S":
            story = Story()
            case.tell(story)
            story.broken()
            violation = story.panel.violations[0]
            assert violation.records, case
            assert str(violation).startswith(f"{case.breaks}: ")
