"""One run: replicas, links, disks and clients on one timeline, and what all of them agree on.

One rule: everything is drawn from the seed, in the order of one heap; two runs of a plan are the same, to the
last message.
"""

from array import array
from collections.abc import Callable, Sequence
from hashlib import blake2b
from heapq import heappush
from typing import Any, Final

from haqactor.entry import Entry, Kind
from haqactor.env import Buffer
from haqactor.ids import NodeId
from haqactor.machine.commands import Header, decode
from haqactor.machine.effects import Applied
from haqactor.machine.versions import KNOWN, Versions
from haqactor.sim.cores.checkers import ALL
from haqactor.sim.cores.clients import Producer, Reader
from haqactor.sim.cores.consumers import Consumer
from haqactor.sim.cores.disk import LogDisk
from haqactor.sim.cores.faults import Faults
from haqactor.sim.cores.heap import Timeline
from haqactor.sim.cores.links import Links
from haqactor.sim.cores.messages import Request
from haqactor.sim.cores.plan import Plan
from haqactor.sim.cores.probe import CoreProbe
from haqactor.sim.cores.replica import Replica
from haqactor.sim.cores.watch import Checker, Watch
from haqactor.sim.keyed import keyed

FirstApplied = Callable[[Entry, list[list[Any]], Applied], None]
_FOLD: Final = (1 << 14) - 1


class Harness:
    """``canon``: (term, crc) of every applied entry, by index from 1. ``cut_off_ns``: since when a replica
    reaches nobody, -1 if it does. ``publishing``: may clients begin new things?"""

    def __init__(self, plan: Plan, bugs: Sequence[str] = (), checkers: Sequence[type[Checker]] = ALL) -> None:
        self.plan = plan
        self.marks: dict[str, int] = {}
        self.probes = [CoreProbe(bugs, odd=odd, marks=self.marks) for odd in (False, True)]
        self.timeline = Timeline()
        self.canon: list[tuple[int, int]] = []
        self.on_first_applied: list[FirstApplied] = []
        self.publishing = True
        self.fresh = True
        self.client_messages = 0
        self._client_delay_ns = plan.client_delay_ns
        self.delivered = 0
        self.cut_off_ns = [-1] * plan.replicas
        self._decoded: dict[tuple[bytes, Versions], Header] = {}
        self._hash = blake2b(digest_size=16)
        self._events = array("q")
        self.replicas: list[Replica] = []
        self.consumers: list[Consumer] = []
        self.watch = Watch([checker(self) for checker in checkers])
        self.links = Links(plan, self.timeline, self._arrive)
        voters = tuple(NodeId(node) for node in range(plan.replicas))
        self.disks = [
            LogDisk(voters, self.timeline, plan.sync_ns, keyed(plan.seed, "disk", node)) for node in voters
        ]
        for disk in self.disks:
            disk.constant = plan.constant
        for node in range(plan.replicas):
            self.replicas.append(Replica(self, node))
        self.fresh = False
        count = plan.producers + plan.named
        self.producers = [Producer(self, number, named=number >= plan.producers) for number in range(count)]
        self.consumers += [Consumer(self, number) for number in range(plan.consumers)]
        self.reader = Reader(self)
        self.faults = Faults(self)

    # -- messages

    def _arrive(self, envelope: tuple[int, int, Any]) -> None:
        source, target, message = envelope
        if self.links.cut[source][target]:
            self.links.dropped += 1
            return
        self.delivered = delivered = self.delivered + 1
        self._events.append(self.timeline.now_ns << 8 | source << 4 | target)
        if not delivered & _FOLD:
            self._fold()
        self.replicas[target].put(source, message)

    def to_replica(self, target: int, request: Request) -> None:
        """A client's request, on a connection that keeps order."""
        self.client_messages += 1
        timeline = self.timeline
        timeline.number = number = timeline.number + 1
        arrives = timeline.now_ns + self._client_delay_ns
        heappush(timeline.heap, (arrives, number, self.replicas[target].requested, request))

    def to_client(self, take: Callable[[Any], None], value: Any) -> None:
        """An answer, or a delivery."""
        self.client_messages += 1
        timeline = self.timeline
        timeline.number = number = timeline.number + 1
        heappush(timeline.heap, (timeline.now_ns + self._client_delay_ns, number, take, value))

    # -- what is common knowledge, to the world alone

    def first_applied(self, entry: Entry, applied: Applied) -> None:
        """An entry is applied for the first time anywhere."""
        self.canon.append((entry.term, entry.crc))
        self.note(2, entry.index, entry.crc)
        if entry.kind is Kind.COMMAND:
            given = self.decode(entry.header, KNOWN).commands
            for look in self.on_first_applied:
                look(entry, given, applied)

    def decode(self, header: Buffer, known: Versions) -> Header:
        """``commands.decode``, once for all replicas of an entry."""
        key = bytes(header), known
        found = self._decoded.get(key)
        if found is None:
            found = self._decoded[key] = decode(*key)
        return found

    def known_committed(self) -> int:
        """What any replica knows to be committed now."""
        return max(len(self.canon), *(replica.core.commit for replica in self.replicas))

    def note_cuts(self) -> None:
        """The network was cut or mended: who reaches nobody?"""
        now = self.timeline.now_ns
        for node in range(self.plan.replicas):
            others = [other for other in range(self.plan.replicas) if other != node]
            alone = all(self.links.cut[other][node] and self.links.cut[node][other] for other in others)
            if not alone:
                self.cut_off_ns[node] = -1
            elif self.cut_off_ns[node] < 0:
                self.cut_off_ns[node] = now

    # -- the hash of all that happened

    def note(self, *numbers: int) -> None:
        """Put something into the hash."""
        self._events.append(self.timeline.now_ns)
        self._events.extend(numbers)

    def _fold(self) -> None:
        self._hash.update(self._events.tobytes())
        self._events = array("q")

    def digest(self) -> str:
        """Of everything so far."""
        self._fold()
        return self._hash.hexdigest()
