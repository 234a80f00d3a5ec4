"""The workload: producers that retry under the same numbers, consumers that settle, crash and come back,
somebody who purges, somebody who reads.

One rule: clients are honest. They keep what they are told, and never reuse a number for something else.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from haqactor.errors import Error, Fenced, InvariantViolation, NotLeader, SequenceConflict, SequenceExpired
from haqactor.machine import commands
from haqactor.machine.commands import is_list
from haqactor.sim.cores.messages import Request
from haqactor.sim.cores.plan import MS
from haqactor.sim.cores.serving import BEGAN, WORK
from haqactor.sim.keyed import keyed

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness
    from haqactor.sim.cores.replica import Replica

PATIENCE_NS: Final = 150 * MS
_PENDING_MAX: Final = 4


class Client:
    """Somebody who looks for the leader. ``target``: where it asks next."""

    def __init__(self, harness: "Harness", name: str) -> None:
        self.harness = harness
        self.random = keyed(harness.plan.seed, "client", name)
        self.target = self.random.randrange(harness.plan.replicas)

    def ask(self, request: Request) -> None:
        """Send it to the replica that is thought to lead."""
        self.harness.to_replica(self.target, request)

    def redirected(self, error: Exception | None) -> None:
        """Nobody answered there, or somebody else leads."""
        leader = error.leader if isinstance(error, NotLeader) else None
        size = self.harness.plan.replicas
        if leader is not None and 0 <= leader < size and leader != self.target:
            self.target = leader
        else:
            self.target = self.random.randrange(size)


class Claim:
    """``count`` messages from number ``first`` on, until their receipt is here."""

    __slots__ = ("asked_ns", "count", "crc", "epoch", "first")

    def __init__(self, first: int, count: int, crc: int, epoch: int) -> None:
        self.first = first
        self.count = count
        self.crc = crc
        self.epoch = epoch
        self.asked_ns = 0


class Producer(Client):
    """``epoch`` 0: anonymous. A named one restarts at times, under a higher epoch."""

    def __init__(self, harness: "Harness", number: int, *, named: bool) -> None:
        super().__init__(harness, f"producer-{number}")
        self.producer = f"producer-{number}".encode().ljust(16, b".")
        self.epoch = int(named)
        self.named = named
        self.next = 1
        self.pending: dict[int, Claim] = {}
        self.beginning = False
        self._began_asked_ns = 0
        self.confirmed = 0
        self._wait()

    def _wait(self) -> None:
        mean = self.harness.plan.publish_ns
        self.harness.timeline.after(mean // 2 + self.random.randrange(mean), self._act)

    def _act(self, _: Any) -> None:
        harness, now = self.harness, self.harness.timeline.now_ns
        self._wait()
        late = [claim for claim in self.pending.values() if now - claim.asked_ns > PATIENCE_NS]
        if late or (self.beginning and now - self._began_asked_ns > PATIENCE_NS):
            self.redirected(None)
        if self.beginning:
            if now - self._began_asked_ns > PATIENCE_NS:
                self._begin()
            return
        for claim in late:
            self._send(claim)
        if harness.publishing and len(self.pending) < _PENDING_MAX:
            if self.named and self.random.random() < 0.02:
                self.epoch += 1
                self.pending.clear()
                self._begin()
                return
            count = self.random.randrange(harness.plan.batch_max) + 1
            claim = Claim(self.next, count, self.random.randrange(1 << 32), self.epoch)
            self.pending[self.next] = claim
            self.next += count
            self._send(claim)

    def _begin(self) -> None:
        self.beginning = True
        self._began_asked_ns = self.harness.timeline.now_ns
        command = commands.producer_epoch(self.producer, self.epoch, WORK)
        epoch = self.epoch

        def begun(reply: Any) -> None:
            if not self.beginning or epoch != self.epoch:
                return
            if is_list(reply):
                self.beginning = False
                self.next = reply[1] + 1
            elif isinstance(reply, NotLeader):
                self.redirected(reply)

        self.ask(Request(lambda replica, request, _now: _serving(replica).request(command, request), begun))

    def _send(self, claim: Claim) -> None:
        claim.asked_ns = self.harness.timeline.now_ns
        below = min(self.pending)
        command = commands.publish(
            WORK, self.producer, claim.epoch, claim.first, claim.count, claim.crc, below, BEGAN, 0, 10
        )
        self.ask(
            Request(
                lambda replica, request, _now: _serving(replica).request(command, request),
                lambda reply: self._answered(claim, reply),
            )
        )

    def _answered(self, claim: Claim, reply: Any) -> None:
        if self.pending.get(claim.first) is not claim:
            return
        watch = self.harness.watch
        if isinstance(reply, list):
            del self.pending[claim.first]
            self.confirmed += 1
            for look in watch.confirmed:
                look(self.producer, claim.first, claim.count, reply)
        elif isinstance(reply, NotLeader):
            self.redirected(reply)
            claim.asked_ns = self.harness.timeline.now_ns - PATIENCE_NS + 5 * MS
        elif isinstance(reply, Fenced | SequenceConflict | SequenceExpired):
            for look in watch.refused:
                look(self.producer, claim.first, reply)
        else:
            claim.asked_ns = self.harness.timeline.now_ns - PATIENCE_NS + 5 * MS


class Reader(Client):
    """Asks for linearizable reads, and purges at times."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness, "reader")
        self._context = 0
        self._wait()

    def _wait(self) -> None:
        self.harness.timeline.after(self.random.randrange(10, 120) * MS, self._act)

    def _act(self, _: Any) -> None:
        self._wait()
        harness = self.harness
        if harness.publishing and self.random.random() < 0.01:
            self.ask(Request(lambda replica, request, _now: _serving(replica).purge(request), _ignore))
            return
        for replica in harness.replicas:
            if replica.up and not replica.paused and replica.core.is_leader:
                self._context += 1
                context = self._context
                replica.call(partial(_read, replica, context))


def _read(replica: "Replica", context: int, now: int) -> None:
    if replica.core.is_leader:
        replica.ask_read(context, replica.harness.known_committed(), now)


def _serving(replica: "Replica") -> Any:
    if replica.serving is None:
        raise InvariantViolation("a request is served where nobody serves")
    return replica.serving


def _ignore(_reply: Any) -> None:
    """Whatever came of it."""


def is_error(reply: Any) -> bool:
    """Was a request refused?"""
    return isinstance(reply, Error)
