"""How the example ended: the table, and whether all was right.

One rule: what is not equal to the input is a problem, and any problem fails the run.
"""

from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.table import Table

from examples.departments.consumers import Registry
from examples.departments.producers import Flow
from examples.departments.state import Department

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False, markup=False)


@dataclass(slots=True)
class Outcome:
    """What was counted. ``stored``: messages that the queues ever held, as their leaders say."""

    events: int
    expected: dict[str, Department]
    flow: Flow = field(default_factory=Flow)
    registry: Registry = field(default_factory=Registry)
    stored: int | None = None
    start_seconds: float = 0.0
    seconds: float = 0.0
    failover_ms: float | None = None
    problems: list[str] = field(default_factory=list[str])

    @property
    def lost(self) -> int:
        """Confirmed records that no registry ever saw."""
        seen = [department.seen for department in self.registry.departments.values()]
        return sum(not any(event in known for known in seen) for event in self.flow.confirmed)

    @property
    def duplicates(self) -> int:
        """Records stored twice: as the registries saw it, or as the queues' lengths tell."""
        surplus = max(0, self.stored - self.events) if self.stored is not None else 0
        return max(self.registry.duplicates_stored, surplus)

    def all_problems(self) -> list[str]:
        """Everything that is not as it must be."""
        found = list(self.problems)
        if len(self.flow.confirmed) != self.events:
            found.append(f"{self.events - len(self.flow.confirmed)} records were never confirmed")
        if self.lost:
            found.append(f"{self.lost} confirmed records were lost")
        if self.duplicates:
            found.append(f"{self.duplicates} records were stored twice")
        if self.stored != self.events:
            found.append(f"the queues held {self.stored} messages in all")
        if self.failover_ms is None:
            found.append("no confirm came after the kill")
        for name, department in self.expected.items():
            if not self.registry.departments[name].same_as(department):
                found.append(f"the state of {name} differs from the input")
        return found

    @property
    def right(self) -> bool:
        """Whether there is no problem."""
        return not self.all_problems()


def say(text: str) -> None:
    """A line of the story."""
    _out.print(f"  {text}", markup=False, soft_wrap=True)


def fail(text: str) -> None:
    """A line about what went wrong."""
    _err.print(text, soft_wrap=True)


def show(outcome: Outcome) -> None:
    """The tables and the verdict."""
    _out.print(_counts(outcome))
    _out.print(_departments(outcome))
    problems = outcome.all_problems()
    for problem in problems:
        fail(f"WRONG: {problem}")
    if not problems:
        _out.print("[bold green]All right:[/] both departments are exactly what the input says.")


def _counts(outcome: Outcome) -> Table:
    flow, registry = outcome.flow, outcome.registry
    table = Table(title="Records through the queues", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    failover = "-" if outcome.failover_ms is None else f"{outcome.failover_ms:,.0f}"
    rows = [
        ("published", f"{flow.published:,}"),
        ("confirmed", f"{len(flow.confirmed):,}"),
        ("delivered", f"{registry.delivered:,}"),
        ("  of these redelivered", f"{registry.redelivered:,}"),
        ("acknowledged", f"{registry.acknowledged:,}"),
        ("duplicates stored", f"{outcome.duplicates:,}"),
        ("lost", f"{outcome.lost:,}"),
        ("ms from the kill to the next confirm", failover),
        ("seconds in all", f"{outcome.seconds:,.1f}"),
    ]
    for what, count in rows:
        table.add_row(what, count, style="bold" if what == "lost" else None)
    return table


def _departments(outcome: Outcome) -> Table:
    table = Table(title="The departments", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("department")
    for column in ("events", "employees", "payroll", "as the input says"):
        table.add_column(column, justify="right")
    for name, department in outcome.registry.departments.items():
        same = "yes" if department.same_as(outcome.expected[name]) else "NO"
        table.add_row(
            name, f"{len(department.seen):,}", f"{department.headcount:,}", f"{department.payroll:,}", same
        )
    return table
