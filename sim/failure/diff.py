"""Where two runs that should be the same went apart.

One rule: the first difference is the one that counts; everything after it follows.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from haqactor.sim.plan import seconds
from haqactor.sim.trace import NO_CAUSE, Event

CONTEXT: Final = 5
_LINE_MAX: Final = 150


@dataclass(frozen=True, slots=True)
class Divergence:
    """``before``: the last events that both have; ``ours`` and ``theirs``: what follows in each, the first of
    them being the difference; empty where that run had ended."""

    position: int
    before: tuple[Event, ...]
    ours: tuple[Event, ...]
    theirs: tuple[Event, ...]

    def what(self) -> str:
        """The difference in words."""
        if not self.ours or not self.theirs:
            return f"the {'first' if not self.ours else 'second'} ends here, the other goes on"
        ours, theirs = self.ours[0], self.theirs[0]
        parts = [
            name for name in ("at_ns", "kind", "host", "data") if getattr(ours, name) != getattr(theirs, name)
        ]
        return "they differ in " + ", ".join({"at_ns": "time"}.get(name, name) for name in parts)


def first_divergence(
    first: Iterable[Event], second: Iterable[Event], context: int = CONTEXT
) -> Divergence | None:
    """None when both are the same. Reads both once, side by side, and keeps only the context. Numbers and
    causes are not compared, as they are not hashed."""
    before: deque[Event] = deque(maxlen=context)
    ours, theirs = iter(first), iter(second)
    position = 0
    while True:
        left, right = next(ours, None), next(theirs, None)
        if left is None and right is None:
            return None
        if left is None or right is None or left[1:5] != right[1:5]:
            return Divergence(
                position, tuple(before), _from(left, ours, context), _from(right, theirs, context)
            )
        before.append(left)
        position += 1


def _from(event: Event | None, rest: Iterator[Event], context: int) -> tuple[Event, ...]:
    return () if event is None else (event, *islice(rest, context))


def line(event: Event) -> str:
    """An event for people: time, host, what, and its cause."""
    said = " ".join(_datum(datum) for datum in event.data)
    cause = "" if event.cause == NO_CAUSE else f"  <- {event.cause}"
    text = (
        f"{event.number:>7} {seconds(event.at_ns):>12} {event.host:<8} {event.kind} {said}".rstrip() + cause
    )
    return text if len(text) <= _LINE_MAX else text[: _LINE_MAX - 1] + "…"


def _datum(datum: object) -> str:
    if isinstance(datum, str):
        return datum if datum.isprintable() else repr(datum)
    return "-" if datum is None else repr(datum)


def report(divergence: Divergence | None, first: str = "first", second: str = "second") -> str:
    """For people: what both did last, and how each went on."""
    if divergence is None:
        return f"{first} and {second} are the same"
    lines = [f"{first} and {second} part at event {divergence.position}: {divergence.what()}"]
    lines += [f"  {line(event)}" for event in divergence.before]
    for mark, name, events in (("-", first, divergence.ours), ("+", second, divergence.theirs)):
        lines.append(f"{mark} {name}")
        lines += [f"{mark} {line(event)}" for event in events] or [f"{mark} (ended)"]
    return "\n".join(lines)
