"""A group of one for tests of the machine and its dispatcher: what is proposed is committed at once."""

from typing import Any

from haqactor import wire
from haqactor.config import Limits, QueueConfig
from haqactor.ids import Index, Term
from haqactor.machine import commands
from haqactor.machine.actions import Action, Deliver, Propose
from haqactor.machine.commands import Command
from haqactor.machine.dispatcher import Dispatcher
from haqactor.machine.effects import Applied
from haqactor.machine.judge import Judged
from haqactor.machine.machine import GroupMachine

NS = 1_000_000_000
BEGAN = 1_700_000_000 * NS
PRODUCER = b"producer".ljust(16)
ALICE, BOB = b"alice".ljust(16), b"bob".ljust(16)
Q, DEAD = 10, 11


class Group:
    """``now`` in nanoseconds; T is BEGAN + now."""

    def __init__(self, limits: Limits | None = None, **settings: Any) -> None:
        self.machine = GroupMachine()
        self.limits = limits or Limits(reserve_messages=100)
        self.now = NS
        self.index = 0
        self.term = 1
        self.next = 1
        self.applied: list[Applied] = []
        self.dispatcher: Dispatcher | None = None
        rows = [
            [DEAD, 1, "q.dead", QueueConfig("q.dead").settings()],
            [Q, 1, "q", QueueConfig("q", **settings).settings()],
        ]
        self.apply(commands.follow_directory(1, [], rows))

    @property
    def d(self) -> Dispatcher:
        """The dispatcher of the present term."""
        if self.dispatcher is None:
            self.dispatcher = Dispatcher(self.machine, self.term, self.limits, self.now)
        return self.dispatcher

    def apply(self, *given: Command) -> list[Any]:
        """One entry; returns the replies."""
        self.index += 1
        header = commands.encode(BEGAN + self.now, given)
        applied = self.machine.apply(Index(self.index), Term(self.term), header, 0)
        self.applied.append(applied)
        if self.dispatcher is not None:
            self.dispatcher.on_applied(applied)
        return applied.replies

    def claim(self, first: int, count: int, **other: Any) -> Any:
        """A publish of any kind; its reply."""
        values: dict[str, Any] = {
            "uid": Q,
            "producer": PRODUCER,
            "epoch": 0,
            "crc": first,
            "below": 0,
            "began_ns": BEGAN + self.now,
        }
        values.update({"body_bytes": 10 * count, **other}, first=first, count=count, body_at=0)
        return self.apply(commands.publish(**values))[0]

    def publish(self, count: int, batches: int = 1) -> None:
        """New messages."""
        for _ in range(batches):
            assert self.claim(self.next, count, below=self.next)[0][2] is False
            self.next += count

    def subscribe(self, session: bytes, *claims: list[Any], credit: int = 512, uid: int = Q) -> list[Any]:
        """Consumer 1 of a session; what it lost."""
        lost: list[Any] = self.d.subscribe(session, 1, uid, credit, 1 << 20, list(claims), self.now)
        return lost

    def work(self, seconds: float = 0.0) -> list[Action]:
        """One turn; proposals stay in the actions."""
        self.now += int(seconds * NS)
        return self.d.work(self.now, BEGAN + self.now)

    def run(self, seconds: float = 0.0) -> list[Action]:
        """Turns until nothing is proposed; all but the proposals."""
        done: list[Action] = []
        self.now += int(seconds * NS)
        while True:
            actions = self.d.work(self.now, BEGAN + self.now)
            proposed = [action.command for action in actions if isinstance(action, Propose)]
            done += [action for action in actions if not isinstance(action, Propose)]
            if not proposed:
                return done
            self.apply(*proposed)

    def settle(self, session: bytes, uid: int = Q, **rows: list[list[Any]]) -> Judged:
        """Judge and, if there is something to do, commit."""
        judged = self.judge(session, uid, **rows)
        if judged.command is not None:
            self.apply(judged.command)
        return judged

    def judge(self, session: bytes, uid: int = Q, **rows: list[list[Any]]) -> Judged:
        """Judge only."""
        values = {name: rows.get(name, []) for name in ("acks", "nacks", "rejects", "releases", "started")}
        return self.d.judge(session, wire.Settle(1, 1, uid, 1, **values, credit_messages=0, credit_bytes=0))

    def new_term(self) -> None:
        """Another leader, with nothing but the machine."""
        self.term += 1
        self.index += 1
        self.machine.apply(Index(self.index), Term(self.term), b"", 0)
        self.dispatcher = Dispatcher(self.machine, self.term, self.limits, self.now)


def leases(actions: list[Action], session: bytes | None = None) -> list[list[int]]:
    """The lease rows [term, counter, first, last] that were delivered, in order."""
    return [
        [part.term, part.counter, low, high]
        for action in actions
        if isinstance(action, Deliver) and session in {None, action.session}
        for part in action.parts
        for low, high in part.ranges
    ]


def ranges(actions: list[Action], session: bytes | None = None) -> list[tuple[int, int]]:
    """The sequences that were delivered, in order."""
    return [(low, high) for _term, _counter, low, high in leases(actions, session)]
