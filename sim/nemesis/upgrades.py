"""What operators do with releases: they upgrade all nodes in turn or only some, and go back.

One rule: going back is theirs to do only while some node never ran the newer release. After that a node of
the older one may have to refuse its log by name; it is then upgraded again.
"""

from collections.abc import Mapping
from functools import partial

from haqactor.errors import UnknownVersion
from haqactor.machine.versions import Versions
from haqactor.sim.atlas import leaves
from haqactor.sim.cluster import SimNode
from haqactor.sim.nemesis.stage import Act, Stage, span
from haqactor.sim.plan import Fault
from haqactor.sim.releases import NEWER, OLDER


class Upgrades:
    """``kinds``: what it can do to a node."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.kinds: Mapping[str, Act] = {"downgrade": self._downgrade}

    def upgrade(self, fault: Fault) -> None:
        """The victims get the newer release, one after the other."""
        nodes = [node for node in self._stage.victims(fault) if node.release != NEWER]
        if nodes:
            self._stage.count(fault)
            self._next(fault, nodes)

    def _next(self, fault: Fault, nodes: list[SimNode]) -> None:
        self._replace(fault, nodes[0], NEWER)
        if nodes[1:]:
            self._stage.after(span(fault, "gap_ns"), partial(self._next, fault, nodes[1:]))

    def _downgrade(self, fault: Fault, node: SimNode) -> None:
        if node.release != OLDER:
            self._stage.count(fault)
            self._replace(fault, node, OLDER)

    def _replace(self, fault: Fault, node: SimNode, to: Versions) -> None:
        """Another program on its disk, which runs from its next start on; who is down or stands still now is
        started by what brought it there."""
        stage = self._stage
        node.release = to
        if not node.host.alive or node.host.paused:
            return
        if fault.args.get("crash"):
            stage.crash(node)
            stage.later(fault, partial(stage.start, node))
        else:
            stage.stop(node)
            stage.later(fault, partial(stage.start_after, node, node.host.incarnation))

    def excuse(self, node: SimNode, error: BaseException) -> list[BaseException]:
        """Those of the errors for which its operator is not to blame. A node whose release is too old after
        all had run the newer one ends loudly, and gets the newer one; where one never did, it is a bug."""
        found = leaves(error)
        if node.ran[-1] == OLDER and all(NEWER in each.ran for each in self._stage.cluster.nodes):
            rest = [each for each in found if not isinstance(each, UnknownVersion)]
            if len(rest) < len(found):
                node.release = NEWER
            return rest
        return found
