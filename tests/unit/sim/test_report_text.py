"""The report of a failure fits on a screen and says what matters."""

from dataclasses import replace

import pytest

from haqactor.sim.drawn import Drawn
from haqactor.sim.failure.artefact import Artefact, Record
from haqactor.sim.plan import Fault, Plan
from haqactor.sim.report.text import LINES_MAX, WIDTH, report
from haqactor.sim.trace import Event
from haqactor.sim.verdict import Verdict
from tests.builders.failed_run import example_artefact, example_trace

EVENTS = example_trace()
FAILED = example_artefact(EVENTS)


def test_says_what_matters() -> None:
    text = report(FAILED, EVENTS, replay="haq sim replay out/fail.json", html="out/fail.html")
    lines = text.splitlines()
    assert len(lines) == LINES_MAX
    assert lines[0].startswith("FAIL safety  S1  at 9.")
    assert "p17 was confirmed, but no queue holds it" in lines[1]
    for part in (
        *("n1 term 3 index 17", "confirmed p17", "n2 term 4 index 17", "seed 17", "python 3."),
        *("3 of 41, shrunk in 57 runs", "t=3.333 crash n2", "last events of n1, n2", "violation S1"),
        *("replay   haq sim replay out/fail.json", "look at  out/fail.html"),
    ):
        assert part in text
    assert "n0      " not in text  # no event of a node that has nothing to do with it


@pytest.mark.parametrize("records", [0, 1, 4, 30])
@pytest.mark.parametrize("faults", [0, 6, 200])
def test_never_longer(records: int, faults: int) -> None:
    big = replace(
        FAILED,
        message="first\n" + "long " * 100 + "\nthird",
        records=tuple(Record("r" * 300 + "\n\n", "n1", number) for number in range(records)),
        run=Drawn(plan=Plan(tuple(Fault(number, "crash", "x" * 200) for number in range(faults)))),
    )
    lines = report(big, EVENTS, html="h" * 300).splitlines()
    assert len(lines) <= LINES_MAX
    assert max(map(len, lines)) <= WIDTH
    assert not any("third" in line for line in lines)
    if faults > 6:
        assert f"  ... and {faults - 5} more" in lines
    assert any(line.startswith("replay") for line in lines)


def test_without_a_trace() -> None:
    text = report(FAILED)
    assert "last events" not in text
    assert "look at" not in text


def test_rare_events_push_out_frequent_ones() -> None:
    events = [Event(number, number, "send", "n1", ("n1", "n2", 5, 1), -1) for number in range(40)]
    events[5] = events[5]._replace(kind="crash", data=())
    text = report(replace(FAILED, event=39), events)
    assert "n1       crash" in text
    assert text.count("send n1 > n2 5 B, stream 1") > 5


def test_events_after_the_violation_are_left_out() -> None:
    text = report(replace(FAILED, event=100), EVENTS)
    assert "violation S1" not in text


def test_a_pass_is_one() -> None:
    passed = Artefact(seed=1, profile="calm", run=Drawn(), verdict=Verdict.PASS, digest="")
    assert report(passed).splitlines()[0] == "PASS"
    unknown = replace(passed, verdict=Verdict.UNDETERMINED)
    assert report(unknown).splitlines()[0] == "NOT DETERMINED"
