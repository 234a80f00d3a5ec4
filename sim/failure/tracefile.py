"""A trace as lines of JSON, one an event, for files that are compared and read elsewhere.

One rule: what is read back is equal to what was written; bytes travel as hexadecimal text under ``"x"``.
"""

import json
from collections.abc import Iterable, Iterator
from typing import cast

from haqactor.sim.trace import NO_CAUSE, Datum, Event


class TraceError(ValueError):
    """A line is not an event."""


def lines(events: Iterable[Event]) -> Iterator[str]:
    """``{"e": number, "t": ns, "h": host, "k": kind, "c": cause, "d": [...]}``, without a line's end; no
    ``c`` where there is no cause."""
    for event in events:
        row: dict[str, object] = {"e": event.number, "t": event.at_ns, "h": event.host, "k": event.kind}
        if event.cause != NO_CAUSE:
            row["c"] = event.cause
        row["d"] = [{"x": datum.hex()} if isinstance(datum, bytes) else datum for datum in event.data]
        yield json.dumps(row, separators=(",", ":"))


def parse(text: Iterable[str]) -> Iterator[Event]:
    """Events of lines; empty lines are passed over. Raises TraceError, with the number of the line."""
    for number, line in enumerate(text, 1):
        if line.strip():
            try:
                yield _event(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise TraceError(f"line {number} is not an event: {error!r}") from None


def _event(value: object) -> Event:
    if not isinstance(value, dict):
        raise TypeError("no object")
    row = cast("dict[str, object]", value)
    number, at_ns, host, kind, cause = row["e"], row["t"], row["h"], row["k"], row.get("c", NO_CAUSE)
    data = row["d"]
    if not (isinstance(number, int) and isinstance(at_ns, int) and isinstance(cause, int)):
        raise TypeError("e, t and c are integers")
    if not (isinstance(host, str) and isinstance(kind, str) and isinstance(data, list)):
        raise TypeError("h and k are text, d is a list")
    return Event(number, at_ns, kind, host, tuple(map(_datum, cast("list[object]", data))), cause)


def _datum(value: object) -> Datum:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return bytes.fromhex(str(cast("dict[str, object]", value)["x"]))
    raise TypeError(f"{value!r} is no datum")
