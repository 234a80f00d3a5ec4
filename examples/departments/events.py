"""What happens to employees: the events of the example, read from JSON lines.

One rule: an event carries the employee's whole new record and its version, so that its effect does not
depend on when, or how often, it is delivered.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

DEPARTMENTS: Final = ("engineering", "sales")
KINDS: Final = ("hired", "raised", "promoted", "relocated", "left")


class BadEvent(ValueError):
    """A line of the file is no event; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Event:
    """``version``: counts the events of this employee in this department, from 1. ``salary``: a year, whole
    units.
    """

    event: str
    department: str
    kind: str
    employee: str
    version: int
    name: str
    role: str
    city: str
    salary: int

    def body(self) -> bytes:
        """As it travels."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()


def parse(line: str | bytes, where: str = "a message") -> Event:
    """One event. Raises BadEvent."""
    try:
        values: dict[str, Any] = json.loads(line)
        event = Event(**values)
    except (ValueError, TypeError) as error:
        raise BadEvent(f"{where} is no event: {error}") from error
    if event.department not in DEPARTMENTS or event.kind not in KINDS:
        raise BadEvent(f"{where}: department {event.department!r} or kind {event.kind!r} is unknown")
    return event


def read(path: Path) -> list[Event]:
    """All events of a file. Raises BadEvent that names the line."""
    with path.open(encoding="utf-8") as file:
        events = [parse(line, f"{path}:{number}") for number, line in enumerate(file, 1) if line.strip()]
    if len({event.event for event in events}) != len(events):
        raise BadEvent(f"{path} has two events of one id")
    return events


def write(events: Iterable[Event], path: Path) -> None:
    """As JSON lines."""
    with path.open("wb") as file:
        file.writelines(event.body() + b"\n" for event in events)
