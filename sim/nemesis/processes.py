"""What happens to machines and programs: crashes, pauses, restarts, the loss of all power.

One rule: a node that was made to end is started again when the time of the fault is over.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from haqactor.errors import InvalidArgument, NotLeader
from haqactor.ids import GroupId, NodeId
from haqactor.nodes.group import GroupActor
from haqactor.sim.cluster import DIRECTORY, SimNode
from haqactor.sim.disk.fates import Survival
from haqactor.sim.disk.faults import Kind
from haqactor.sim.disk.power import cut_power_after
from haqactor.sim.host import Host
from haqactor.sim.nemesis.stage import Act, Stage, span
from haqactor.sim.plan import Fault
from haqactor.sim.world import NS

_LOG: Final = f"{DIRECTORY}/segment-"
_SLOW: Final = 100.0
_SLOW_NS: Final = 1_000_000_000
_STANDING_NS: Final = 50_000_000
"""So long the one that is to lead stands still before it is asked to: it has missed something by then."""
_LOOK_NS: Final = 5_000_000
STALL: Final = "nodes.stalled_turn"


def _actors(node: SimNode) -> list[GroupActor]:
    context = None if node.server is None else node.server.context
    return [] if context is None or not node.host.alive else list(context.groups.values())


def _transfer(actor: GroupActor, to: NodeId, now: int) -> None:
    try:
        actor.core.transfer(to, now)
    except (InvalidArgument, NotLeader):
        pass  # it is no voter, or under repair; or leads no more


class Processes:
    """``kinds``: what it can do to a node; ``everywhere``: to all of them at once."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stalled: dict[str, int] = {}
        self.kinds: Mapping[str, Act] = {
            "crash": self._crash,
            "kill": self._kill,
            "restart": self._restart,
            "pause": self._pause,
            "sandwich": self._sandwich,
            "power_cut": self._power_cut,
            "handover": self._handover,
            "stall": self._stall,
        }

    def _crash(self, fault: Fault, node: SimNode) -> None:
        stage = self._stage
        if node.host.alive:
            stage.count(fault)
            stage.crash(node)
            stage.later(fault, partial(stage.start, node))

    def _kill(self, fault: Fault, node: SimNode) -> None:
        """Only its program goes, as by SIGKILL: what it wrote and did not sync is still to be read."""
        stage = self._stage
        if node.host.alive:
            stage.count(fault)
            node.kill()
            stage.later(fault, partial(stage.start, node))

    def _restart(self, fault: Fault, node: SimNode) -> None:
        if node.host.alive and not node.host.paused:
            self._stage.count(fault)
            self._stop(fault, node)

    def _stop(self, fault: Fault, node: SimNode) -> None:
        """Ask it to end, as SIGTERM does; it drains first."""
        self._stage.stop(node)
        self._stage.later(fault, partial(self._stage.start_after, node, node.host.incarnation))

    def _pause(self, fault: Fault, node: SimNode) -> None:
        if node.host.alive and not node.host.paused:
            self._stage.count(fault)
            node.host.pause()
            self._stage.later(fault, node.host.resume)

    def _sandwich(self, fault: Fault, node: SimNode) -> None:
        """Paused, and then killed where it stands (Jepsen's pause and kill)."""
        stage = self._stage
        if node.host.alive and not node.host.paused:
            stage.count(fault)
            node.host.pause()

            def kill() -> None:
                stage.crash(node)
                stage.later(fault, partial(stage.start, node))

            stage.later(fault, kill)

    def _power_cut(self, fault: Fault, node: SimNode) -> None:
        """The power goes right after an operation of its disk, ``operations`` from now; ``torn``: while a
        block of several sectors is being written, and tears it. ``again``: soon after it is back it has to
        stop in order, and start once more."""
        stage, medium = self._stage, node.medium
        torn = bool(fault.args.get("torn"))
        if not node.host.alive or medium.on_operation is not None:
            return

        def cut() -> None:
            if stage.closed or not node.host.alive:
                medium.stopped = False
                return
            stage.count(fault)
            stage.crash(node, Survival.TORN if torn else None)
            stage.later(fault, partial(self._come_back, fault, node))

        operation = medium.operations + span(fault, "operations")
        cut_power_after(node.host, medium, operation, torn=_LOG if torn else "", cut=cut)

    def _come_back(self, fault: Fault, node: SimNode) -> None:
        self._stage.start(node)
        if fault.args.get("again"):
            stop = partial(self._stop_again, fault, node, node.host.incarnation)
            self._stage.after(span(fault, "again_ns"), stop)

    def _stop_again(self, fault: Fault, node: SimNode, incarnation: int) -> None:
        if node.host.alive and not node.host.paused and node.host.incarnation == incarnation:
            self._stage.tally("restart")
            self._stop(fault, node)

    def _stall(self, fault: Fault, node: SimNode) -> None:
        """Its groups' actors finish no turn; all else of the program goes on, its beats as well."""
        probe = node.probe
        if probe is not None and node.host.alive and not node.host.paused and not probe.held:
            self._stage.count(fault)
            self._stalled[node.host.name] = node.host.incarnation
            probe.held[STALL] = None
            self._stage.later(fault, probe.held.clear)

    def stalled(self, host: Host) -> bool:
        """Was this incarnation's work made to stand still? Then it may end itself."""
        return self._stalled.get(host.name) == host.incarnation

    # -- leadership that moves

    def _handover(self, fault: Fault, node: SimNode) -> None:
        """All that it leads goes to the node that is ``to`` places behind it, as the balancer and a node that
        drains do it. ``trouble``: that one is just then at a standstill (pause), or its log is (slow), or it
        crashes. ``on_ns``: as soon as it leads, and so much later, it hands over as well; 0: it keeps what it
        got."""
        stage, nodes = self._stage, self._stage.cluster.nodes
        others = [other for other in nodes if other is not node]
        taker = others[span(fault, "to") % len(others)]
        leads = [actor for actor in _actors(node) if actor.leading]
        if not leads or node.host.paused:
            return
        stage.count(fault)
        trouble = fault.args.get("trouble")
        if trouble == "pause" and taker.host.alive and not taker.host.paused:
            taker.host.pause()
            stage.later(fault, taker.host.resume)
        elif trouble == "slow":
            faults = taker.medium.faults
            faults.switch_on(Kind.SLOW, _LOG, strength=_SLOW, stall_ns=_SLOW_NS)
            stage.later(fault, partial(faults.switch_off, Kind.SLOW, _LOG))
        elif trouble == "crash":
            stage.after(_STANDING_NS, partial(self._crash_taker, fault, taker))
        stage.after(_STANDING_NS, partial(self._give, node, taker))
        if span(fault, "on_ns"):
            groups = [actor.group for actor in leads]
            self._await_leading(taker, groups, span(fault, "on_ns"), stage.cluster.world.now_ns + NS)

    def _crash_taker(self, fault: Fault, taker: SimNode) -> None:
        if taker.host.alive:
            self._stage.crash(taker)
            self._stage.later(fault, partial(self._stage.start, taker))

    @staticmethod
    def _give(node: SimNode, taker: SimNode) -> None:
        def give() -> None:
            for actor in _actors(node):
                if actor.leading:
                    actor.mailbox.put(partial(_transfer, actor, NodeId(taker.number)))

        node.host.enter(give)

    def _await_leading(self, node: SimNode, groups: list[GroupId], on_ns: int, until_ns: int) -> None:
        """Look whether it leads; then it goes on."""

        def go_on() -> None:
            for actor in _actors(node):
                if actor.leading and actor.group in groups:
                    actor.mailbox.put(actor.hand_over)

        if any(actor.leading and actor.group in groups for actor in _actors(node)):
            self._stage.after(on_ns, lambda: node.host.enter(go_on))
        elif self._stage.cluster.world.now_ns < until_ns:
            again = partial(self._await_leading, node, groups, on_ns, until_ns)
            self._stage.after(_LOOK_NS, again)

    def power_loss(self, fault: Fault) -> None:
        """All nodes crash at one instant."""
        stage = self._stage
        alive = [node for node in stage.cluster.nodes if node.host.alive]
        if alive:
            stage.count(fault)
        for node in alive:
            stage.crash(node)
            stage.later(fault, partial(stage.start, node))

    def rolling_restart(self, fault: Fault) -> None:
        """All nodes end in order and come back, one after the other."""
        stage = self._stage
        nodes = [node for node in stage.cluster.nodes if node.host.alive and not node.host.paused]
        if nodes:
            stage.count(fault)
            self._next(fault, nodes)

    def _next(self, fault: Fault, nodes: list[SimNode]) -> None:
        first, rest = nodes[0], nodes[1:]
        if first.host.alive and not first.host.paused:
            self._stop(fault, first)
        if rest:
            self._stage.after(span(fault, "gap_ns"), partial(self._next, fault, rest))
