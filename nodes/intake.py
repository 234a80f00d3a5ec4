"""What peers say, sorted to the actors that it is for; and how the links to them fare.

One rule: a frame that has nobody to go to yet is kept for a moment, within a bound, where losing it would
cost an election's wait."""

from haqactor.errors import ProtocolError, Unauthorized
from haqactor.frame import Frame
from haqactor.ids import GroupId, NodeId
from haqactor.nodes import installs
from haqactor.nodes.beats import Beats
from haqactor.nodes.context import Context
from haqactor.nodes.group import GroupActor, RaftItem, to_group
from haqactor.nodes.peerwire import PeerOp, parse_raft
from haqactor.raft.messages import Append

_EARLY_GROUPS_MAX = 2048
_EARLY_EACH_MAX = 8


class Intake:
    """The receiver of all peer connections, and the watcher of all links, of one node."""

    def __init__(self, context: Context, beats: Beats) -> None:
        self._context = context
        self._beats = beats
        self._early: dict[GroupId, list[RaftItem]] = {}
        self._foreign: dict[NodeId, bool] = {}

    def started(self, actor: GroupActor) -> None:
        """A group runs now: give it what came before it."""
        for item in self._early.pop(actor.group, ()):
            actor.mailbox.put(item)

    # -- frames

    def peer_connected(self, peer: NodeId, boot: int) -> None:
        """A peer dialled in: dial back without waiting, also where it was started again meanwhile."""
        link = self._context.peers.get(peer)
        if link is not None:
            link.heard_boot(boot)

    def peer_frame(self, peer: NodeId, boot: int, frame: Frame) -> None:
        """A checked peer's frame. Raises ProtocolError."""
        if frame.kind == PeerOp.RAFT:
            self._raft(peer, frame)
        elif frame.kind == PeerOp.BEAT:
            self._beats.on_beat(peer, frame)
        elif frame.kind == PeerOp.BEAT_ANSWER:
            self._beats.on_answer(peer, frame)
        elif frame.kind == PeerOp.INSTALL:
            actor = self._context.groups.get(installs.group_of(frame))
            if actor is not None:
                installs.on_frame(actor, peer, frame)
        else:
            raise ProtocolError(f"peer frame kind {frame.kind} is unknown")

    def _raft(self, peer: NodeId, frame: Frame) -> None:
        group, message = parse_raft(frame)
        actor = self._context.groups.get(group)
        if actor is not None:
            to_group(actor, peer, frame, message)
        elif not isinstance(message, Append) and len(self._early) < _EARLY_GROUPS_MAX:
            early = self._early.setdefault(group, [])
            early.append(RaftItem(peer, message))
            del early[:-_EARLY_EACH_MAX]

    # -- links

    def link_up(self, peer: NodeId) -> None:
        """What was in flight on the old connection is lost, and a peer that restarted has to hear again how
        far its log agrees, also in idle groups. Fresh groups need not wait out an election timeout."""
        for actor in self._context.groups.values():
            sending = actor.installs_out.get(peer)
            if sending is not None:
                self._context.env.probe.mark("nodes.install_cut")
                sending.cut()
            actor.lost_sight(peer)
            if actor.core.term == 0:
                actor.mailbox.put_once(actor.core.campaign_soon)

    def link_died(self, peer: NodeId) -> None:
        """Groups that it led look for another leader at once."""
        for actor in self._context.groups.values():
            actor.suspect(peer)

    def link_foreign(self, peer: NodeId) -> None:
        """When most of the cluster says so, this directory is in the wrong place. Raises Unauthorized: the
        node ends."""
        self._foreign[peer] = True
        if len(self._foreign) * 2 > len(self._context.peers):
            raise Unauthorized(
                f"most of the cluster refuses this node: {self._context.config.data_dir} belongs to another "
                "cluster, or its disk was replaced"
            )
