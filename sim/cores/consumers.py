"""Consumers of the workload: they hold leases, settle them in every way, crash, hang, and come back with
claims.

One rule: a consumer believes the newest connection only, and claims what it still holds.
"""

from typing import TYPE_CHECKING, Any

from haqactor.errors import Error, NotLeader
from haqactor.machine.actions import Deliver, LeaseLost
from haqactor.sim.cores.clients import PATIENCE_NS, Client
from haqactor.sim.cores.messages import Request
from haqactor.sim.cores.plan import MS

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness
    from haqactor.sim.cores.replica import Replica

_CREDIT = 8
_KINDS = ("acks",) * 16 + ("nacks", "nacks", "rejects", "releases", "hang", "late")


class Consumer(Client):
    """``held``: sequence -> lease (term, counter). ``settling``: sequences whose settlement is on its way."""

    def __init__(self, harness: "Harness", number: int) -> None:
        super().__init__(harness, f"consumer-{number}")
        self._name = number
        self._life = 0
        self.session = b""
        self.held: dict[int, tuple[int, int]] = {}
        self.expires_ns: dict[int, int] = {}
        self.settling: dict[int, str] = {}
        self.connection = 0
        self.attached = False
        self._asked_ns = 0
        self._heard_ns = 0
        self._born()
        self._wait()

    def _born(self) -> None:
        self._life += 1
        self.session = f"consumer-{self._name}-{self._life}".encode().ljust(16, b".")
        self.held.clear()
        self.expires_ns.clear()
        self.settling.clear()
        self.attached = False
        self._asked_ns = -PATIENCE_NS

    def _wait(self) -> None:
        self.harness.timeline.after(self.random.randrange(10, 40) * MS, self._act)

    def _act(self, _: Any) -> None:
        self._wait()
        now = self.harness.timeline.now_ns
        if self.harness.publishing and self.random.random() < 0.002:
            self._die()
        if self.attached and now - self._heard_ns > PATIENCE_NS:
            self.attached = False
            self.redirected(None)
        if not self.attached:
            if now - self._asked_ns > PATIENCE_NS:
                self.redirected(None)
                self._subscribe()
            return
        self._settle()
        if now - self._asked_ns > PATIENCE_NS // 3:
            self._ping()

    def _die(self) -> None:
        session = self.session
        self.ask(Request(lambda replica, _request, now: _lost(replica, session, now), _nothing))
        self.connection += 1
        self._born()

    def _subscribe(self) -> None:
        self.connection += 1
        connection, session = self.connection, self.session
        self._asked_ns = self.harness.timeline.now_ns
        self.settling.clear()
        claims = [
            [*lease, sequence, sequence, self.random.random() < 0.2] for sequence, lease in self.held.items()
        ]

        def serve(replica: "Replica", request: Request, now: int) -> None:
            if replica.serving is None or 10 not in replica.machine.queues:
                return
            lost = replica.serving.subscribe(
                session, claims, _CREDIT, lambda action: self._told(connection, action), now
            )
            replica.answer(request, lost)

        self.ask(Request(serve, lambda reply: self._subscribed(connection, reply)))

    def _subscribed(self, connection: int, reply: Any) -> None:
        if connection != self.connection or self.attached:
            return
        if isinstance(reply, Error):
            self.redirected(reply)
            self._asked_ns = self.harness.timeline.now_ns - PATIENCE_NS + 5 * MS
            return
        self.attached = True
        self._heard_ns = self._asked_ns = self.harness.timeline.now_ns
        for low, high in reply:
            for sequence in range(low, high + 1):
                self._drop(sequence)

    def _drop(self, sequence: int) -> None:
        self.held.pop(sequence, None)
        self.expires_ns.pop(sequence, None)
        self.settling.pop(sequence, None)

    def _told(self, connection: int, action: Deliver | LeaseLost) -> None:
        if connection != self.connection:
            return
        self._heard_ns = self.harness.timeline.now_ns
        if isinstance(action, LeaseLost):
            self._give_credit(sum(row[3] - row[2] + 1 for row in action.leases))
            for term, counter, low, high in action.leases:
                for sequence in range(low, high + 1):
                    if self.held.get(sequence) == (term, counter):
                        self._drop(sequence)
            return
        for part in action.parts:
            for low, high in part.ranges:
                for sequence in range(low, high + 1):
                    self.held[sequence] = (part.term, part.counter)
                    self.expires_ns[sequence] = self.harness.timeline.now_ns + action.lease_ns
                    self.settling.pop(sequence, None)

    def _give_credit(self, count: int) -> None:
        session = self.session

        def serve(replica: "Replica", _request: Request, _now: int) -> None:
            if replica.serving is not None:
                replica.serving.dispatcher.credit(session, 1, count, 0)
                replica.serving.stirred = True

        self.ask(Request(serve, _nothing))

    def _settle(self) -> None:
        chosen = [sequence for sequence in self.held if sequence not in self.settling]
        if not chosen:
            return
        if len(chosen) > 1 and self.random.random() < 0.5:
            chosen = self.random.sample(chosen, self.random.randrange(1, len(chosen)))
        kind = self.random.choice(_KINDS) if self.harness.publishing else "acks"
        for sequence in chosen:
            self.settling[sequence] = kind
        if kind == "hang":
            return
        rows: list[list[Any]] = [[*self.held[sequence], sequence, sequence] for sequence in chosen]
        if kind == "late":  # after the lease, whatever became of it
            late_ns = int(self.harness.plan.lease_ns * (1 + self.random.random()))
            self.harness.timeline.after(late_ns, lambda _: self._send("acks", rows))
            return
        if kind == "nacks":
            rows = [[*row, self.random.choice((-1, 0, 30 * MS)), "again"] for row in rows]
        elif kind == "rejects":
            rows = [[*row, "never"] for row in rows]
        self._send(kind, rows)

    def _send(self, kind: str, rows: list[list[Any]]) -> None:
        connection, session = self.connection, self.session

        def serve(replica: "Replica", request: Request, _now: int) -> None:
            if replica.serving is not None:
                replica.serving.settle(session, {kind: rows}, request)

        self.ask(Request(serve, lambda reply: self._settled(connection, kind, rows, reply)))

    def _settled(self, connection: int, kind: str, rows: list[list[Any]], reply: Any) -> None:
        if isinstance(reply, Error):
            if connection == self.connection:
                self.attached = False
                self._asked_ns = -PATIENCE_NS
            return
        refused = {number: True for low, high in reply for number in range(low, high + 1)}
        if kind == "acks":
            good = [row[2] for row in rows if row[2] not in refused]
            for look in self.harness.watch.acknowledged:
                look(good)
        if connection == self.connection:
            self._heard_ns = self.harness.timeline.now_ns
            for term, counter, sequence, *_ in rows:
                if self.held.get(sequence) == (term, counter):
                    self._drop(sequence)

    def _ping(self) -> None:
        connection = self.connection
        self._asked_ns = self.harness.timeline.now_ns

        def heard(reply: Any) -> None:
            if connection != self.connection:
                return
            if reply is True:
                self._heard_ns = self.harness.timeline.now_ns
            else:
                self.attached = False
                self.redirected(reply if isinstance(reply, NotLeader) else None)

        session = self.session
        self.ask(Request(lambda replica, request, _now: _known(replica, session, request), heard))


def _known(replica: "Replica", session: bytes, request: Request) -> None:
    if replica.serving is not None:
        replica.answer(request, session in replica.serving.sessions)


def _lost(replica: "Replica", session: bytes, now: int) -> None:
    if replica.serving is not None:
        replica.serving.sessions.pop(session, None)
        replica.serving.dispatcher.session_lost(session, now)
        replica.serving.stirred = True


def _nothing(_reply: Any) -> None:
    """Nobody waits for this answer."""
