"""What a checker holds against a run, as records of ``fail.json``.

One rule: each record points to the place in the trace where it was made, if the trace was recorded.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from haqactor.sim.checkers.checker import Record as Seen
from haqactor.sim.checkers.checker import Violation
from haqactor.sim.failure.artefact import Record
from haqactor.sim.trace import Event
from haqactor.sim.watch.history import Op

TEXT_MAX: Final = 400
_APART: Final = ("at_ns", "host", "term", "index")  # told beside the text


def records(violation: Violation, events: Sequence[Event] = ()) -> tuple[Record, ...]:
    """``events``: the trace, in order."""
    return tuple(_record(seen, events) for seen in violation.records)


def last_event(events: Sequence[Event], host: str, at_ns: int) -> int | None:
    """The number of the last event at a host up to a moment; of any host for ""."""
    for event in reversed(events):
        if event.at_ns <= at_ns and (not host or event.host == host):
            return event.number
    return None


def _record(seen: Seen, events: Sequence[Event]) -> Record:
    if isinstance(seen, Op):
        at_ns = seen.invoked_ns if seen.returned_ns is None else seen.returned_ns
        return Record(
            str(seen)[:TEXT_MAX], seen.client, None, None, at_ns, last_event(events, seen.client, at_ns)
        )
    known: dict[str, Any] = {field.name: getattr(seen, field.name) for field in fields(seen)}
    parts = [
        f"{name}={_short(value)}" for name, value in known.items() if name not in _APART and value is not None
    ]
    return Record(
        f"{type(seen).__name__} {' '.join(parts)}"[:TEXT_MAX],
        known["host"],
        known.get("term"),
        known.get("index"),
        known["at_ns"],
        last_event(events, known["host"], known["at_ns"]),
    )


def _short(value: object) -> str:
    if isinstance(value, bytes):
        return value[:8].hex()
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
