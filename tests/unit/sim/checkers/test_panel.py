"""The panel hands each checker what it wants, keeps what it finds, and costs little."""

import gc
from collections.abc import Iterator
from time import process_time

import pytest

from haqactor.sim.checkers.final import Final, Group
from haqactor.sim.checkers.metadata import LinearizableMetadata
from haqactor.sim.checkers.panel import Panel
from haqactor.sim.checkers.registry import checkers
from haqactor.sim.watch.history import History, replay
from haqactor.sim.watch.observed import Apply, Gauge, Leader
from tests.builders.story import Story

MESSAGES = 34_000
SECONDS = 2.5


def busy(history: History) -> None:
    """About 100,000 operations of 10 producers and 10 consumers, some of them again."""
    now = 0
    for number in range(MESSAGES):
        client, value = f"c{number % 10}", b"%d" % number
        now += 1000
        more = {"producer": client, "producer_seq": number // 10 + 1}
        op = history.call(client, "publish", "q", value, now, **more)
        history.returned(op, now + 500, "ok", seq=number + 1, duplicate=False)
        for again in range(2 if number % 50 == 0 else 1):
            history.delivered(
                f"w{number % 10}", "q", value, now + 600, seq=number + 1, attempt=again + 1, chosen_ns=now
            )
        op = history.call(f"w{number % 10}", "ack", "q", None, now + 700, seq=number + 1)
        history.returned(op, now + 800, "ok")


@pytest.fixture
def no_collection() -> Iterator[None]:
    """As in a world that runs."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_cost() -> None:
    """About a second for 100,000 operations with all checkers; more is let pass on a busy machine."""
    panel = Panel(checkers())
    began = process_time()
    busy(panel.history)
    panel.finish(Final(remaining={}))
    took = process_time() - began
    assert panel.violations == []
    assert panel.verdict == "pass"
    assert len(panel.history) > 100_000
    assert took < SECONDS, f"{took:.2f} s for {len(panel.history)} operations"


def test_replay_finds_the_same() -> None:
    """A finished history is judged as it was while it was made."""
    story = Story()
    story.publish(b"a", 1)
    story.deliver(b"b", 2)
    assert story.broken() == ["S1", "S2", "S6"]
    panel = Panel(checkers())
    replay(story.panel.history.ops, panel.on_call, panel.on_return)
    panel.finish(story.final)
    assert sorted(violation.invariant for violation in panel.violations) == ["S1", "S2", "S6"]


def test_the_first_violation_of_each_is_kept() -> None:
    panel = Panel(checkers())
    assert not panel.failed
    for value in (11, 12):
        panel.on_event(Gauge(value, "n0", "mailbox", value, 10))
    panel.on_event(Leader(20, "n0", 1, 1, 0, 0))
    panel.on_event(Leader(21, "n1", 1, 1, 0, 0))
    assert panel.failed
    assert [violation.invariant for violation in panel.violations] == ["S24", "S10"]
    assert "11, beyond its bound 10" in str(panel.violations[0])
    assert panel.finish(Final()) == panel.violations
    assert panel.verdict == "fail"


def test_not_finished_is_not_green() -> None:
    panel = Panel(checkers())
    assert panel.verdict == "unknown"
    panel.finish(Final())
    assert panel.verdict == "pass"


def lost(story: Story) -> None:
    story.publish(b"a", 1)


def unsettled(story: Story) -> None:
    story.publish(b"a", 1)
    story.deliver(b"a", 1)


def hidden_entry(story: Story) -> None:
    story.final.remaining = {}
    story.see(Apply(story.tick(), "n0", 1, 1, 1, 1, b""))


def short_end(story: Story) -> None:
    story.final = Final(remaining={}, healed_ns=story.tick(), groups={1: Group("")})


@pytest.mark.parametrize(
    ("invariant", "tell"), [("S1", lost), ("S6", unsettled), ("S25", hidden_entry), ("L1", short_end)]
)
def test_what_cannot_be_told_is_unknown(invariant: str, tell: object) -> None:
    story = Story()
    story.final = Final()
    assert callable(tell)
    tell(story)
    assert story.broken() == []
    assert list(story.panel.unknown) == [invariant]
    assert story.panel.verdict == "unknown"


def test_a_budget_used_up_is_unknown() -> None:
    panel = Panel([LinearizableMetadata(budget=3)])
    for number in range(8):
        op = panel.history.call(f"c{number}", "declare", "q", None, 0)
        panel.history.returned(op, 10, "ok", uid=1, created=None)
    panel.finish(Final())
    assert panel.verdict == "unknown"
    assert "in 3 steps for q" in panel.unknown["S17"]
