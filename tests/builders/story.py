"""Short runs for the checkers: what clients and hosts did, told line by line, and heard by all checkers.

One rule: time moves on by a millisecond with every line, unless the line says otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from haqactor.sim.checkers.final import Final
from haqactor.sim.checkers.panel import Panel
from haqactor.sim.checkers.registry import checkers
from haqactor.sim.watch.history import Kind, Op, Outcome
from haqactor.sim.watch.observed import (
    Append,
    Apply,
    Chosen,
    Commit,
    Event,
    Leader,
    Snapshot,
    Started,
    Sync,
    Told,
    Vote,
)

MS = 1_000_000
HOSTS = ("n0", "n1", "n2")


@dataclass
class Story:
    """``final``: how it ends; by default nothing is left, and there was no liveness phase."""

    panel: Panel = field(default_factory=lambda: Panel(checkers()))
    final: Final = field(default_factory=lambda: Final(remaining={}))
    now_ns: int = 0

    def tick(self) -> int:
        self.now_ns += MS
        return self.now_ns

    # -- clients --

    def begin(
        self, kind: Kind, value: bytes | None = None, *, client: str = "c1", queue: str = "q", **out: Any
    ) -> Op:
        return self.panel.history.call(client, kind, queue, value, self.tick(), **out)

    def end(self, op: Op, outcome: Outcome = "ok", **out: Any) -> Op:
        return self.panel.history.returned(op, self.tick(), outcome, **out)

    def did(
        self,
        kind: Kind,
        value: bytes | None = None,
        outcome: Outcome = "ok",
        *,
        client: str = "c1",
        queue: str = "q",
        **out: Any,
    ) -> Op:
        return self.end(self.begin(kind, value, client=client, queue=queue), outcome, **out)

    def publish(self, value: bytes, seq: int | None = None, **more: Any) -> Op:
        """Confirmed at ``seq``, unless ``outcome`` says otherwise."""
        out: dict[str, Any] = more if seq is None else {"seq": seq, **more}
        return self.did("publish", value, **out)

    def deliver(self, value: bytes, seq: int, *, client: str = "w1", queue: str = "q", **out: Any) -> Op:
        return self.panel.history.delivered(client, queue, value, self.tick(), seq=seq, **out)

    def settle(self, kind: Kind, seq: int, outcome: Outcome = "ok", *, queue: str = "q", **out: Any) -> Op:
        op = self.begin(kind, client="w1", queue=queue, seq=seq, **out)
        return self.end(op, outcome)

    # -- hosts --

    def see(self, event: Event) -> None:
        self.panel.on_event(event)

    def append(self, host: str, index: int, term: int, crc: int | None = None) -> None:
        self.see(Append(self.tick(), host, 1, index, term, 100 * term + index if crc is None else crc))

    def sync(self, host: str, index: int, term: int, *, hard: int | None = None, vote: str = "") -> None:
        self.see(Sync(self.tick(), host, 1, index, term, term if hard is None else hard, vote))

    def store(self, index: int, term: int, *hosts: str) -> None:
        """An entry is appended and durable there."""
        for host in hosts:
            self.append(host, index, term)
            self.sync(host, index, term)

    def vote(self, host: str, term: int, candidate: str, *, durable: bool = True) -> None:
        if durable:
            self.sync(host, 0, 0, hard=term, vote=candidate)
        self.see(Vote(self.tick(), host, 1, term, candidate))

    def told(self, host: str, term: int, index: int) -> None:
        self.see(Told(self.tick(), host, 1, term, index))

    def lead(self, host: str, term: int, last_index: int = 0, last_term: int = 0) -> None:
        self.see(Leader(self.tick(), host, 1, term, last_index, last_term))

    def commit(self, host: str, index: int, term: int, by: int = 0) -> None:
        self.see(Commit(self.tick(), host, 1, index, term, by, (HOSTS,) if by else ()))

    def apply(
        self, host: str, index: int, term: int, digest: bytes = b"same", crc: int | None = None
    ) -> None:
        known = 100 * term + index if crc is None else crc
        self.see(Apply(self.tick(), host, 1, index, term, known, digest, b"", []))

    def snapshot(self, host: str, index: int, term: int, digest: bytes, *, installed: bool = False) -> None:
        self.see(Snapshot(self.tick(), host, 1, index, term, digest, installed))

    def start(
        self,
        host: str,
        term: int,
        vote: str,
        index: int,
        last: int,
        *,
        suspect: bool = False,
        damaged: bool = False,
    ) -> None:
        known = Started(self.tick(), host, 1, 2, term, vote, index, last, suspect=suspect, damaged=damaged)
        self.see(known)

    def choose(
        self, low: int, high: int, counter: int, holder: str = "w1", *, host: str = "n0", **more: Any
    ) -> None:
        fields: dict[str, Any] = {"uid": 7, "term": 1, **more}
        self.see(
            Chosen(self.tick(), host, 1, counter=counter, holder=holder, ranges=((low, high),), **fields)
        )

    # -- the end --

    def broken(self) -> list[str]:
        """The invariants that do not hold, sorted."""
        self.final.now_ns = max(self.final.now_ns, self.tick())
        return sorted(violation.invariant for violation in self.panel.finish(self.final))


@dataclass(frozen=True)
class Case:
    """A story, and what it breaks: "" for nothing."""

    breaks: str
    name: str
    tell: Callable[[Story], None]
    promise: str  # the invariant that it is about

    def __str__(self) -> str:
        return f"{self.promise} {'breaks' if self.breaks else 'holds'}: {self.name}"


class Cases:
    """A table of them, filled by decorated functions, whose docstrings are their names."""

    def __init__(self) -> None:
        self.rows: list[Case] = []

    def holds(self, promise: str) -> Callable[[Callable[[Story], None]], Callable[[Story], None]]:
        return self._row(promise, "")

    def breaks(self, promise: str) -> Callable[[Callable[[Story], None]], Callable[[Story], None]]:
        return self._row(promise, promise)

    def _row(self, promise: str, breaks: str) -> Callable[[Callable[[Story], None]], Callable[[Story], None]]:
        def add(tell: Callable[[Story], None]) -> Callable[[Story], None]:
            self.rows.append(Case(breaks, (tell.__doc__ or "").strip(), tell, promise))
            return tell

        return add
