"""The first difference of two traces is found, with what stood before it; files bring events back."""

import pytest

from haqactor.sim.failure.diff import first_divergence, line, report
from haqactor.sim.failure.tracefile import TraceError, lines, parse
from haqactor.sim.trace import Event, Trace


def trace(*, change: int | None = None, count: int = 20) -> list[Event]:
    made = Trace(recording=True)
    for number in range(count):
        made.now_ns = number * 1_000_000
        made.add(
            "send", f"n{number % 3}", "n1", 100 + (number == change), b"\x00\xff", None, cause=number - 1
        )
    return made.events


def test_equal() -> None:
    assert first_divergence(trace(), trace()) is None
    assert report(None, "a", "b") == "a and b are the same"


def test_numbers_and_causes_do_not_count() -> None:
    moved = [event._replace(number=event.number + 5, cause=-1) for event in trace()]
    assert first_divergence(trace(), moved) is None


def test_first_difference() -> None:
    found = first_divergence(trace(), trace(change=12), context=3)
    assert found is not None
    assert found.position == 12
    assert [event.number for event in found.before] == [9, 10, 11]
    assert [event.number for event in found.ours] == [12, 13, 14, 15]
    assert found.theirs[0].data[1] == 101
    assert found.what() == "they differ in data"
    text = report(found, "a.trace", "b.trace")
    assert "part at event 12" in text
    assert "- a.trace" in text
    assert len(text.splitlines()) == 1 + 3 + 2 * 5


@pytest.mark.parametrize("context", [0, 1, 50])
def test_one_ends_early(context: int) -> None:
    found = first_divergence(trace(count=7), trace(), context=context)
    assert found is not None
    assert found.position == 7
    assert not found.ours
    assert "first ends here" in found.what()
    assert "- (ended)" in report(found)
    turned = first_divergence(trace(), trace(count=7))
    assert turned is not None
    assert "second ends here" in turned.what()


def test_kinds_of_difference() -> None:
    ours = trace()
    theirs = [
        event._replace(at_ns=event.at_ns + 1, host="x") if event.number == 3 else event for event in ours
    ]
    found = first_divergence(ours, theirs)
    assert found is not None
    assert found.what() == "they differ in time, host"


def test_only_as_much_as_needed_is_read() -> None:
    left = iter(trace(count=1000))
    first_divergence(left, trace(change=10, count=1000), context=2)
    assert next(left).number == 13


def test_lines_are_short_and_printable() -> None:
    event = Event(1, 5, "mark", "n1", ("a\nb", "x" * 500, None), 0)
    assert len(line(event)) <= 150
    assert line(event).isprintable()


def test_file_there_and_back() -> None:
    events = [*trace(), Event(99, 2**40, "mark", "ü", ('"', None, -5, b""), 3)]
    assert list(parse(lines(events))) == events
    assert list(parse(["", "  \n", *lines(events[:1])])) == events[:1]


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "[]",
        "{}",
        '{"e":1,"t":0,"h":"a","k":"b","d":[[]]}',
        '{"e":"1","t":0,"h":"a","k":"b","d":[]}',
        '{"e":1,"t":0,"h":"a","k":"b","d":[{"x":"0"}]}',
        '{"e":1,"t":0,"h":1,"k":"b","d":[]}',
    ],
)
def test_bad_lines(bad: str) -> None:
    with pytest.raises(TraceError, match="line 2"):
        list(parse([*lines(trace()[:1]), bad]))
