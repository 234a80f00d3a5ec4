"""Faults as they strike: each kind of a plan's faults, and how it is undone.

One rule: damage to durable bytes never reaches more replicas at once than a quorum can spare; everything else
may hit anybody at any time.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from haqactor.errors import InvalidArgument, NotLeader
from haqactor.ids import NodeId
from haqactor.sim.cores.plan import MS, Fault

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness
    from haqactor.sim.cores.replica import Replica


class Faults:
    """``fired``: how often each kind did something (drift: at how many replicas). After ``end`` nothing
    strikes any more."""

    def __init__(self, harness: "Harness") -> None:
        self._harness = harness
        self._over = False
        drifting = sum(bool(ppm) for ppm in harness.plan.drift_ppm)
        self.fired: dict[str, int] = {"drift": drifting} if drifting else {}
        for fault in harness.plan.faults:
            harness.timeline.at(fault.at_ns, self._strike, fault)

    def end(self) -> None:
        """The rest of the run is free of faults."""
        self._over = True

    def _strike(self, fault: Fault) -> None:
        if self._over:
            return
        replica = self._target(fault.target)
        done: bool = getattr(self, f"_{fault.kind}")(fault, replica)
        if done:
            self.fired[fault.kind] = self.fired.get(fault.kind, 0) + 1
            self._harness.note(5, replica.node, fault.span_ns)

    def _target(self, target: int) -> "Replica":
        replicas = self._harness.replicas
        if target >= 0:
            return replicas[target]
        leaders = [replica for replica in replicas if replica.up and replica.core.is_leader]
        return max(leaders, key=lambda replica: replica.core.term) if leaders else replicas[0]

    def _later(self, fault: Fault, undo: Callable[[], object]) -> None:
        def undone(_: None) -> None:
            if not self._over:
                undo()

        self._harness.timeline.after(fault.span_ns, undone)

    # -- processes

    def _stop(self, fault: Fault, replica: "Replica", *, torn: bool = False, rotted: bool = False) -> bool:
        if not replica.up:
            return False
        replica.crash(torn=torn, rotted=rotted)
        for peer in self._harness.replicas:
            if peer is not replica and fault.number % 3:
                peer.call(partial(_unreachable, peer, replica.node))
                if fault.number % 3 == 2:
                    peer.call(partial(self._suspect, peer, replica.node))
        self._later(fault, lambda: self.revive(replica))
        return True

    @staticmethod
    def _suspect(peer: "Replica", gone: NodeId, now: int) -> None:
        if peer.core.leader == gone:
            peer.core.suspect_leader(now)

    @staticmethod
    def revive(replica: "Replica") -> None:
        """Start what is down, resume what is paused."""
        if not replica.up:
            replica.start()
        elif replica.paused:
            replica.resume()

    def _crash(self, fault: Fault, replica: "Replica") -> bool:
        return self._stop(fault, replica)

    def _restart(self, fault: Fault, replica: "Replica") -> bool:
        return self._stop(fault._replace(span_ns=MS), replica)

    def _tear(self, fault: Fault, replica: "Replica") -> bool:
        return self._stop(fault, replica, torn=True)

    def _rot(self, fault: Fault, replica: "Replica") -> bool:
        replicas = self._harness.replicas
        spoilt = sum(1 for other in replicas if other.rotted or (other.disk.suspect and other is not replica))
        if replica.rotted or (spoilt + 1) * 2 >= len(replicas):
            return False
        return self._stop(fault, replica, rotted=True)

    def _power(self, fault: Fault, replica: "Replica") -> bool:
        for each in self._harness.replicas:
            self._stop(fault, each, torn=fault.number % 5 == 0)
        return True

    def _pause(self, fault: Fault, replica: "Replica") -> bool:
        if not replica.up or replica.paused:
            return False
        replica.paused = True
        self._later(fault, lambda: self.revive(replica) if replica.paused else None)
        return True

    def _sandwich(self, fault: Fault, replica: "Replica") -> bool:
        """Paused and cut off; when it wakes, it hears everybody but the leader of that time."""
        if not replica.up or replica.paused:
            return False
        replica.paused = True
        cut, node = self._harness.links.cut, replica.node
        for row in cut:
            row[node] = True
        self._harness.note_cuts()

        def wake() -> None:
            leader = self._target(-1)
            for other, row in enumerate(cut):
                row[node] = other == leader.node != node
            self._harness.note_cuts()
            self.revive(replica)
            self._later(fault, self._mend)

        self._later(fault, wake)
        return True

    def _slow(self, fault: Fault, replica: "Replica") -> bool:
        replica.disk.stall_ns = (fault.number % 4 + 1) * 40 * MS
        self._later(fault, lambda: setattr(replica.disk, "stall_ns", 0))
        return True

    def _handover(self, fault: Fault, replica: "Replica") -> bool:
        size = len(self._harness.replicas)

        def hand_over(now: int) -> None:
            try:
                replica.core.transfer(NodeId((replica.node + 1 + fault.number % (size - 1)) % size), now)
            except (InvalidArgument, NotLeader):
                pass

        replica.call(hand_over)
        return True

    # -- the network

    def _mend(self) -> None:
        self._harness.links.heal()
        self._harness.note_cuts()

    def _isolate(self, fault: Fault, replica: "Replica") -> bool:
        self._harness.links.isolate([replica.node])
        self._harness.note_cuts()
        self._later(fault, self._mend)
        return True

    def _split(self, fault: Fault, replica: "Replica") -> bool:
        size = len(self._harness.replicas)
        inside = [node for node in range(size) if fault.number >> node & 1]
        self._harness.links.isolate(inside)
        self._harness.note_cuts()
        self._later(fault, self._mend)
        return True

    def _oneway(self, fault: Fault, replica: "Replica") -> bool:
        links = self._harness.links
        for other in range(len(self._harness.replicas)):
            if other != replica.node and fault.number >> other & 1:
                if fault.number & 1 << 20:
                    links.cut[replica.node][other] = True
                else:
                    links.cut[other][replica.node] = True
        self._harness.note_cuts()
        self._later(fault, self._mend)
        return True

    def _clog(self, fault: Fault, replica: "Replica") -> bool:
        links = self._harness.links
        for other in range(len(self._harness.replicas)):
            links.slow[replica.node][other] = fault.number >> other & 63 and (fault.number >> other & 63) * MS
        self._later(fault, self._mend)
        return True

    def _hold(self, fault: Fault, replica: "Replica") -> bool:
        links = self._harness.links
        other = (replica.node + 1 + fault.number % (len(self._harness.replicas) - 1)) % len(
            self._harness.replicas
        )
        links.hold(replica.node, other)
        self._later(fault, lambda: links.release(replica.node, other))
        return True

    def _reset(self, fault: Fault, replica: "Replica") -> bool:
        for peer in self._harness.replicas:
            if peer is not replica:
                peer.call(partial(_unreachable, peer, replica.node))
                replica.call(partial(_unreachable, replica, peer.node))
        return True


def _unreachable(replica: "Replica", peer: NodeId, _now: int) -> None:
    replica.core.unreachable(peer)
