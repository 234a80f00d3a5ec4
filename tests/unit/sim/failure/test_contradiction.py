"""What checkers hold against a run becomes records that point into its trace."""

from haqactor.sim.checkers.checker import Violation
from haqactor.sim.drawn import Drawn
from haqactor.sim.failure.artefact import Artefact, dumps, loads
from haqactor.sim.failure.contradiction import TEXT_MAX, last_event, records
from haqactor.sim.trace import Event, Trace
from haqactor.sim.verdict import Verdict
from haqactor.sim.watch.history import Op
from haqactor.sim.watch.observed import Commit, Vote


def trace() -> list[Event]:
    made = Trace(recording=True)
    for number in range(10):
        made.now_ns = number * 10
        made.add("mark", ("n1", "user")[number % 2], number)
    return made.events


def test_where_it_was() -> None:
    events = trace()
    assert last_event(events, "n1", 45) == 4
    assert last_event(events, "user", 45) == 3
    assert last_event(events, "", 50) == 5
    assert last_event(events, "n9", 50) is None
    assert last_event(events, "user", 5) is None


def test_records() -> None:
    violation = Violation(
        "S15",
        "not durable",
        Commit(45, "n1", 0, 3, 1, by=1),
        Vote(60, "n1", 0, 7, "n2"),
        Op(4, "user", "publish", "orders", b"p4", 30, 52, "ok", {"seq": 4}),
        Op(5, "gone", "publish", "orders", b"x" * 999, 30, None, "info", {"error": "e" * 999}),
    )
    commit, vote, done, open_ = records(violation, trace())
    assert (commit.host, commit.term, commit.index, commit.at_ns, commit.event) == ("n1", 1, 3, 45, 4)
    assert commit.text == "Commit group=0 by=1 quorums=()"
    assert (vote.term, vote.index) == (7, None)
    assert vote.text == "Vote group=0 candidate='n2'"
    assert (done.host, done.at_ns, done.event) == ("user", 52, 5)
    assert "publish orders b'p4': ok seq=4" in done.text
    assert (open_.at_ns, open_.event) == (30, None)
    assert len(open_.text) == TEXT_MAX


def test_they_can_be_written_down() -> None:
    found = records(Violation("S10", "two votes", Vote(60, "n1", 0, 7, "n2"), Vote(61, "n1", 0, 7, "n3")))
    artefact = Artefact(seed=1, profile="calm", run=Drawn(), verdict=Verdict.SAFETY, digest="", records=found)
    assert loads(dumps(artefact)).records == found
