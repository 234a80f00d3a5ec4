"""What happens to machines and programs: crashes, pauses, restarts, the loss of all power.

One rule: a node that was made to end is started again when the time of the fault is over.
"""

from collections.abc import Mapping
from functools import partial

from haqactor.sim.cluster import SimNode
from haqactor.sim.disk.power import cut_power_after
from haqactor.sim.nemesis.stage import Act, Stage, span
from haqactor.sim.plan import Fault


class Processes:
    """``kinds``: what it can do to a node; ``everywhere``: to all of them at once."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.kinds: Mapping[str, Act] = {
            "crash": self._crash,
            "kill": self._kill,
            "restart": self._restart,
            "pause": self._pause,
            "sandwich": self._sandwich,
            "power_cut": self._power_cut,
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
        """The power goes right after an operation of its disk, ``operations`` from now."""
        stage, medium = self._stage, node.medium
        if not node.host.alive or medium.on_operation is not None:
            return

        def cut() -> None:
            if stage.closed or not node.host.alive:
                medium.stopped = False
                return
            stage.count(fault)
            stage.crash(node)
            stage.later(fault, partial(stage.start, node))

        cut_power_after(node.host, medium, medium.operations + span(fault, "operations"), cut=cut)

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
