"""Which events of a long run a page shows.

One rule: the violation, what led to it and what went wrong come first; then everything near the violation, or
near the last change of all where the violation is that nothing happened;
and a part of the room is kept for a sample of all the rest, so that no stretch of the run looks empty. What
happens on disks, but for what makes things durable, and messages that only say "still here" give way.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from haqactor.sim.failure.artefact import Artefact
from haqactor.sim.report.story import BEATS, MILESTONES, Row, Span, Story
from haqactor.sim.verdict import Verdict

ROWS_MAX: Final = 4000  #: more than that no browser draws at once with ease
SAMPLE_SHARE: Final = 4  #: one part of so many
CHAIN_MAX: Final = 300
MILESTONES_MAX: Final = 400
OPERATIONS_MAX: Final = 400
END_MAX: Final = 150
SPANS_MAX: Final = 300
_ROW_BYTES: Final = 30
_AT_ONCE: Final = 5  #: an event, both ends of its message, and their causes
QUIET: Final = (
    *("write", "create", "unlink", "rename", "allocate", "truncate", "make_directory", "lock", "dial"),
)
_CHANGES: Final = ("start", "crash", "pause", "resume", "partition", "heal")
_CLIENT: Final = "client."
_OPERATIONS: Final = ("call", "unanswered")


@dataclass(frozen=True, slots=True)
class Choice:
    """``rows``: in the order of their numbers; ``violation``: the number of its event, -1 for none."""

    rows: tuple[Row, ...]
    spans: tuple[Span, ...]
    violation: int


def choose(story: Story, artefact: Artefact, bytes_max: int) -> Choice:
    """``bytes_max``: roughly how large the rows may become when they are written."""
    violation = _violation(story, artefact)
    every = sorted(story.rows)
    beats = _beats(story)
    numbers = [
        number for number in every if story.rows[number].event.kind not in QUIET and number not in beats
    ]
    centre = bisect_left(numbers, violation) if violation >= 0 else len(numbers)
    picked = _Picked(story, bytes_max)
    if artefact.verdict is Verdict.LIVENESS:
        picked.take_all(_outward(numbers, centre), END_MAX)
        centre = _last_change(story, numbers, centre)
    picked.take_all(_first(story, artefact, violation), CHAIN_MAX * 4)
    picked.take_all(_told_of(story, artefact), OPERATIONS_MAX)
    picked.take_all(_milestones(story, numbers, centre), MILESTONES_MAX)
    picked.take_all(_of_clients(story, numbers, centre), OPERATIONS_MAX)
    kept = bytes_max // SAMPLE_SHARE
    if len(numbers) <= ROWS_MAX:
        kept = kept if _size(story, numbers) > bytes_max else 0
    picked.limit = bytes_max - kept
    picked.take_all(_outward(numbers, centre))
    picked.limit = bytes_max
    picked.rows_max = ROWS_MAX
    picked.take_all(_spread(numbers))
    picked.take_all(_outward(every, bisect_left(every, violation) if violation >= 0 else len(every)))
    rows = tuple(story.rows[number] for number in sorted(picked.chosen))
    return Choice(rows, _spans(story, picked.chosen, violation), violation)


def _beats(story: Story) -> dict[int, None]:
    """Both ends of messages that tell nothing new."""
    found: dict[int, None] = {}
    for number, ends in story.fates.items():
        if story.words(number)[0] in BEATS:
            found[number] = None
            found.update(dict.fromkeys(ends))
    return found


def _violation(story: Story, artefact: Artefact) -> int:
    if artefact.event is not None and artefact.event in story.rows:
        return artefact.event
    told = [number for number, row in story.rows.items() if row.event.kind == "violation"]
    if told:
        return told[-1]
    if artefact.at_ns is not None and artefact.verdict.failed:
        before = [number for number, row in story.rows.items() if row.event.at_ns <= artefact.at_ns]
        return before[-1] if before else -1
    return max(story.rows, default=-1) if artefact.verdict.failed else -1


def _first(story: Story, artefact: Artefact, violation: int) -> Iterator[int]:
    roots = [violation, *(record.event for record in artefact.records if record.event is not None)]
    yield from (root for root in roots if root in story.rows)
    for root in roots:
        yield from (row.event.number for row in story.chain(root)[-CHAIN_MAX:][::-1])


def _milestones(story: Story, numbers: list[int], centre: int) -> Iterator[int]:
    return (number for number in _outward(numbers, centre) if story.rows[number].event.kind in MILESTONES)


def _last_change(story: Story, numbers: list[int], centre: int) -> int:
    """Where things last happened to hosts: what nobody comes to rest of began there, long before its end."""
    for place in range(min(centre, len(numbers) - 1), -1, -1):
        if story.rows[numbers[place]].event.kind in _CHANGES:
            return place
    return centre


def _told_of(story: Story, artefact: Artefact) -> Iterator[int]:
    """What clients did with the messages that the records name."""
    named = [record.text for record in artefact.records]
    for number, row in story.rows.items():
        if row.event.kind.startswith(_CLIENT):
            values = [repr(datum) for datum in row.event.data if isinstance(datum, bytes) and datum]
            if any(value in text for value in values for text in named):
                yield number


def _of_clients(story: Story, numbers: list[int], centre: int) -> Iterator[int]:
    rows = story.rows
    return (number for number in _outward(numbers, centre) if rows[number].event.kind.startswith(_CLIENT))


def _outward(numbers: list[int], centre: int) -> Iterator[int]:
    """From the violation to both sides; what came before it matters more than what came after."""
    low, high = centre, centre + 1
    while low >= 0 or high < len(numbers):
        for place in (low, low - 1, low - 2):
            if 0 <= place < len(numbers):
                yield numbers[place]
        low -= 3
        if high < len(numbers):
            yield numbers[high]
        high += 1


def _spread(numbers: list[int]) -> Iterator[int]:
    """All of them, ever finer: every 1024th, then every 512th and so on."""
    step = 1
    while step < len(numbers):
        step *= 2
    seen = 0
    while step >= 1:
        for place in range(0, len(numbers), step):
            if not seen or place % (2 * step):
                yield numbers[place]
        seen, step = 1, step // 2


def _size(story: Story, numbers: list[int]) -> int:
    return sum(_ROW_BYTES + len(story.words(number)[1]) for number in numbers)


class _Picked:
    """Events and, with a message, both of its ends."""

    def __init__(self, story: Story, limit: int) -> None:
        self.story = story
        self.limit = limit
        self.rows_max = ROWS_MAX * (SAMPLE_SHARE - 1) // SAMPLE_SHARE
        self.bytes = 0
        self.chosen: dict[int, None] = {}
        self._bodies: dict[str, None] = {}

    def take_all(self, numbers: Iterator[int], most: int = ROWS_MAX) -> None:
        for taken, number in enumerate(numbers):
            if taken >= most or self.bytes >= self.limit or len(self.chosen) + _AT_ONCE > self.rows_max:
                return
            self._take(number)
            for end in self.story.fates.get(self.story.joined.get(number, number), [])[:2]:
                self._take(end)

    def _take(self, number: int) -> None:
        if number not in self.chosen:
            self.chosen[number] = None
            row = self.story.rows[number]
            if row.event.kind in ("recv", "drop") and row.cause in self.story.rows:
                self._take(row.cause)
            body = self.story.words(number)[1]
            self.bytes += _ROW_BYTES + (0 if body in self._bodies else len(body) + 3)
            self._bodies[body] = None


def _spans(story: Story, chosen: dict[int, None], violation: int) -> tuple[Span, ...]:
    """What lasted longest around the violation; operations only where their events are shown."""
    near_ns = story.rows[violation].event.at_ns if violation in story.rows else story.end_ns
    shown = {(row.event.at_ns, row.lane): None for row in (story.rows[number] for number in chosen)}
    spans = [
        span for span in story.spans if span.kind not in _OPERATIONS or (span.from_ns, span.lane) in shown
    ]
    spans.sort(
        key=lambda span: (span.kind in _OPERATIONS, max(span.from_ns - near_ns, near_ns - span.to_ns, 0))
    )
    return tuple(sorted(spans[:SPANS_MAX], key=lambda span: (span.from_ns, span.lane)))
