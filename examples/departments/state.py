"""A department in memory, built from its events.

One rule: an event counts once, however often it is delivered, and an older record never replaces a newer one.
"""

from collections import Counter
from dataclasses import dataclass, field

from examples.departments.events import DEPARTMENTS, Event


@dataclass(slots=True)
class Department:
    """``employees``: each one's newest event; ``kinds``: how many events of each kind; ``seen``: event id to
    the
    queue's sequence number under which it came first."""

    employees: dict[str, Event] = field(default_factory=dict[str, Event])
    kinds: Counter[str] = field(default_factory=Counter[str])
    seen: dict[str, int] = field(default_factory=dict[str, int])

    def apply(self, event: Event, seq: int = 0) -> bool:
        """Take an event in; False if it was known already."""
        if event.event in self.seen:
            return False
        self.seen[event.event] = seq
        self.kinds[event.kind] += 1
        known = self.employees.get(event.employee)
        if known is None or known.version < event.version:
            self.employees[event.employee] = event
        return True

    @property
    def headcount(self) -> int:
        """Who is still there."""
        return sum(event.kind != "left" for event in self.employees.values())

    @property
    def payroll(self) -> int:
        """What they earn together, a year."""
        return sum(event.salary for event in self.employees.values() if event.kind != "left")

    def same_as(self, other: "Department") -> bool:
        """Equal in everything but the sequence numbers."""
        return (
            self.employees == other.employees
            and self.kinds == other.kinds
            and self.seen.keys() == other.seen.keys()
        )


def expected(events: list[Event]) -> dict[str, Department]:
    """The departments as the input alone makes them."""
    departments = {name: Department() for name in DEPARTMENTS}
    for event in events:
        departments[event.department].apply(event)
    return departments
