"""The actor of one Raft group on this node: one turn takes everything that is waiting, one entry carries it,
one fsync makes it last.

One rule: a turn is synchronous. It steps the core, asks the service for one proposal, performs ``Ready`` in
its order, and ends; what needs waiting (disk, snapshots) runs beside it and comes back as an item of the
mailbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import trio

from haqactor.entry import Entry, Kind
from haqactor.errors import NotLeader, OutcomeUnknown, Overloaded
from haqactor.frame import Frame
from haqactor.ids import NO_NODE, GroupId, Index, NodeId, Term
from haqactor.nodes.applier import Applier
from haqactor.nodes.clockwork import clocks_heard
from haqactor.nodes.context import Context
from haqactor.nodes.handing import Handing
from haqactor.nodes.installs import Receiving
from haqactor.nodes.mailbox import Mailbox
from haqactor.nodes.peerwire import pack_raft
from haqactor.nodes.refusal import not_leader
from haqactor.nodes.sending import Sending
from haqactor.nodes.service import Proposal, Service
from haqactor.nodes.sessions import Disconnected, Request
from haqactor.nodes.writes import Outgoing, Write, Writes
from haqactor.raft.core import RaftCore
from haqactor.raft.messages import Append, Message
from haqactor.raft.ready import Ready, SnapshotMeta
from haqactor.raft.state import Role

_LATE_TURN_S = 0.01
"""How long a turn is held up where the simulator says so; again and again, where an actor is to stall."""

_NONE: Final = Index(0)


class RaftItem:
    """A peer's Raft message."""

    __slots__ = ("message", "sender")

    def __init__(self, sender: NodeId, message: Message) -> None:
        self.sender = sender
        self.message = message


@dataclass(frozen=True, slots=True)
class LostSight:
    """What was in flight to a peer is lost: the core is to look for its place again."""

    core: RaftCore
    peer: NodeId

    def __call__(self, _now: int) -> None:
        self.core.unreachable(self.peer)


Item = Request | Disconnected | RaftItem | Write | Callable[[int], None]


class GroupActor:
    """One replica of one group. ``leading``: clients may be served (perhaps after the no-op has applied)."""

    def __init__(
        self,
        context: Context,
        group: GroupId,
        core: RaftCore,
        make_service: "Callable[[GroupActor], Service]",
    ) -> None:
        self.context = context
        self.group = group
        self.core = core
        limits = context.limits
        self.mailbox: Mailbox[Item] = Mailbox(
            limits.mailbox_batches_max, limits.mailbox_bytes_max, context.env.probe
        )
        self.turns = 0
        self.busy = False  #: in the middle of a turn, which a turn that awaits nothing never is to others
        self.leading = False
        self.serving_term = Term(0)
        self.awaits_clocks = Term(0)  #: the term in which it would serve, but does not know the time yet
        self._writes = Writes(context.journal, group, self.mailbox.put)
        self._proposals: dict[Index, Proposal] = {}
        self._reads: list[tuple[Index, int]] = []
        self._handing = Handing(self)
        self._held: list[Request] = []
        self._held_bytes = 0
        self._stirred = True  #: something came that the service may have to do with
        self._due_ns = 0  #: when the service has something to do by itself
        self.installs_out: dict[NodeId, Sending] = {}
        self.installs_in: dict[NodeId, Receiving] = {}
        self.install_kept: Receiving | None = None  #: what broke off, for whoever offers the same again
        self.installing = 0  #: installs at their end: the journal may begin behind one before the core does
        self.service = make_service(self)
        self.applier = Applier(self)

    # -- turns

    async def run(self) -> None:
        """Until cancelled. An exception here is a broken invariant and ends the node."""
        context = self.context
        departures = context.departures
        context.timers.add(self.group, self.mailbox.wake, self._deadline_ns)
        self.mailbox.wake()
        async with trio.open_nursery() as nursery:
            self.applier.nursery = nursery
            while True:
                items = await self.mailbox.drain()
                self.busy = True
                if context.env.probe.buggify("nodes.late_turn"):
                    await trio.sleep(_LATE_TURN_S)
                while context.env.probe.buggify("nodes.stalled_turn"):  # noqa: ASYNC110 - of simulations only
                    await trio.sleep(_LATE_TURN_S)
                departures.begin()
                self._turn(items, context.now())
                departures.end()
                self.turns += 1
                self.busy = False

    def _turn(self, items: list[Item], now: int) -> None:
        if self.mailbox.called or now >= self._due_ns:
            self.mailbox.called = False
            self._stirred = True
        for item in items:
            self._take(item, now)
        self.core.tick(now)
        if self.awaits_clocks:
            self._serve(now)
        self._work(now)
        self._perform_all(now)
        if self._stirred and self.serving:  # what has just applied may have to be delivered
            self._work(now)
            self._perform_all(now)
        self._rearm(now)

    def _work(self, now: int) -> None:
        """The service's part of a turn; passed over where all that came is Raft's own, or the disk's."""
        if self._stirred and self.serving:
            self._stirred = False
            self.service.work(now)
            self._due_ns = self.service.next_deadline_ns()

    def _take(self, item: Item, now: int) -> None:
        if isinstance(item, RaftItem):
            if not (self.installing and isinstance(item.message, Append)):
                self.core.step(item.sender, item.message, now)
            return
        if isinstance(item, Write):
            self._written(item, now)
            return
        self._stirred = True
        if isinstance(item, Request):
            self._request(item, now)
        elif isinstance(item, Disconnected):
            if self.serving:
                self.service.disconnected(item, now)
        else:
            item(now)

    @property
    def serving(self) -> bool:
        """Leading, with everything up to this term's no-op applied, and the time known. The core may have
        stepped down within this term, by a message or a tick of this very turn."""
        return self.leading and self.core.is_leader and self.serving_term == self.core.term

    def _request(self, request: Request, now: int) -> None:
        if not self.leading:
            self.refuse(request)
        elif not self.serving:
            self._hold(request)
        else:
            self.service.request(request, now)

    def _hold(self, request: Request) -> None:
        size = request.size
        items_max, bytes_max = self.mailbox.items_max, self.mailbox.bytes_max
        if len(self._held) < items_max and self._held_bytes + size <= bytes_max:
            self.context.env.probe.mark("nodes.request_held")
            self._held.append(request)
            self._held_bytes += size
        elif rid := getattr(request.message, "rid", 0):
            self.context.env.probe.mark("nodes.too_many_held")
            error = Overloaded(f"the new leader of group {self.group} is not serving yet", retry_after=0.1)
            request.session.fail(rid, error)

    def _take_held(self) -> list[Request]:
        held, self._held = self._held, []
        self._held_bytes = 0
        return held

    def refuse(self, request: Request) -> None:
        """Tell a client where to go."""
        self.context.env.probe.mark("nodes.redirect")
        rid = getattr(request.message, "rid", 0)
        if rid:
            request.session.fail(rid, not_leader(self.context, self.group, self.core))

    def _deadline_ns(self, now: int) -> int:
        """When a turn is due though nobody has anything for this actor."""
        deadline = self.core.next_deadline_ns
        return min(deadline, now if self._stirred else self._due_ns) if self.serving else deadline

    def _rearm(self, now: int) -> None:
        self.context.timers.wake_by(self.group, max(self._deadline_ns(now), now + 1_000_000))

    # -- proposals and reads

    def propose(self, header: bytes, body: bytes, owner: Proposal, now: int) -> Index:
        """Append one COMMAND; the owner hears of its end. Raises NotLeader, Overloaded, TooLarge: then the
        owner hears nothing."""
        entry = self.core.propose(Kind.COMMAND, header, body, now)
        self._proposals[entry.index] = owner
        return entry.index

    def read(self, context: int, now: int) -> None:
        """Ask for a ReadIndex; ``Service.reads`` has the answer."""
        try:
            self.core.request_read(context, now)
        except (NotLeader, Overloaded):
            self.service.reads((context,), False, now)

    # -- Ready

    def _perform_all(self, now: int) -> None:
        while self.core.has_ready():
            self._perform(self.core.ready(), now)
        if self.core.wants_beat:
            self.context.beat_now()
        if self.serving:
            self.service.covered(now)

    def _perform(self, ready: Ready, now: int) -> None:
        if ready.entries or ready.hard_state is not None:
            self._writes.submit(ready.entries, ready.hard_state)
            self.applier.remember(ready.entries)
        if ready.messages_now:
            self.send(ready.messages_now)
        if ready.messages_after and not self._writes.behind(ready.messages_after):
            self.send(ready.messages_after)
        if ready.dropped_from is not None:
            self._drop_proposals(ready.dropped_from)
        if ready.role_changed:
            self._role_changed(now)
        if ready.cured and not self._writes.cured_behind():  # its barred vote has to be durable first
            self.applier.cured()
        if ready.committed is not None:
            self.applier.commit(ready.committed[1], now)
        for read in ready.reads:
            self._reads.append((read.index, read.context))
        if ready.reads_failed:
            self.service.reads(ready.reads_failed, False, now)
        if self._reads:
            self.serve_reads(now)
        for fetch in ready.fetches:
            self.applier.fetch(fetch)
        for peer, offer in ready.installs:
            self.applier.install(peer, offer)

    def _written(self, write: Write, now: int) -> None:
        self._writes.finished()
        if write.hard_state is not None:
            self.core.hard_state_durable(write.hard_state)
        if write.index:
            self.core.durable(write.term, write.index, now)
        if write.messages:
            self.send(write.messages)
        if write.cured:
            self.applier.cured()

    def send(self, messages: "list[tuple[NodeId, Message]] | Outgoing") -> None:
        """Hand messages to the peers' links; what a link drops, Raft sends again."""
        packed: tuple[Message, bytes] | None = None
        for peer, message in messages:
            link = self.context.peers.get(peer)
            if link is None or not link.connected:
                self.core.unreachable(peer)
                continue
            if packed is None or packed[0] is not message:
                packed = (message, pack_raft(self.group, message))
            if not link.send(packed[1]) and isinstance(message, Append):
                self.core.unreachable(peer)

    def _drop_proposals(self, first: Index, upto: Index = _NONE) -> None:
        """From ``first`` on other entries stand there, or none; those up to ``upto`` are not applied here: a
        snapshot stands for them. An owner holds its bodies."""
        for index in [index for index in self._proposals if index >= first or index <= upto]:
            self.context.env.probe.mark("nodes.proposal_overwritten")
            self._proposals.pop(index).failed(
                OutcomeUnknown("another leader took over; it may be stored yet")
            )

    # -- roles

    def _role_changed(self, now: int) -> None:
        core = self.core
        leading = core.role is Role.LEADER
        if leading != self.leading or (leading and self.serving_term not in (Term(0), core.term)):
            if self.leading:
                self._stepped_down(now)
            self.leading = leading
            if leading:
                self.context.log.info("leads", group=self.group, term=core.term)
        self.context.leaders.update(self.group, core.leader, core.term)

    def _stepped_down(self, now: int) -> None:
        self.leading = False
        self.context.log.info("leads no more", group=self.group, term=self.core.term, leader=self.core.leader)
        for request in self._take_held():
            self.refuse(request)
        if self.serving_term:
            self.service.follow(now)
        self.serving_term = self.awaits_clocks = Term(0)

    # -- applying (called by the applier)

    def apply(self, entry: Entry, now: int) -> None:
        """One committed entry."""
        self._stirred = True
        self.service.apply(entry, now)
        if entry.kind is Kind.NOOP and self.leading and entry.term == self.core.term:
            self.awaits_clocks = entry.term
            self._serve(now)

    def _serve(self, now: int) -> None:
        """Its term's no-op has applied: it serves as soon as it knows the time."""
        term = self.awaits_clocks
        if not self.leading or not self.core.is_leader or term != self.core.term:
            self.awaits_clocks = Term(0)
            return
        if not clocks_heard(self.context, now):
            return
        self.serving_term, self.awaits_clocks = term, Term(0)
        self.service.lead(term, now)
        held = self._take_held()
        for request in [] if self.context.env.probe.bug("nodes.held_forgotten") else held:
            self.service.request(request, now)
        self.mailbox.wake()

    def take_proposal(self, index: Index) -> Proposal | None:
        """The owner of an entry that applies now."""
        return self._proposals.pop(index, None)

    def serve_reads(self, now: int) -> None:
        """Answer the reads whose index has been applied."""
        applied = self.applier.applied
        due = tuple(context for index, context in self._reads if index <= applied)
        if due:
            self._reads = [read for read in self._reads if read[0] > applied]
            self.service.reads(due, True, now)

    def restored(self, meta: SnapshotMeta, chunks: list[bytes], now: int) -> None:
        """A snapshot from the leader replaced the state. Where the next one has done so already, its entries
        are what the journal holds, and it is the one to become. (A newer one of this replica's own holds no
        more than what is applied.)"""
        self.installing -= 1
        if self.applier.applied < meta.index < self.context.journal.groups[self.group].snapshot_index:
            return
        if self.core.snapshot_installed(meta, now):  # else what is applied went past it meanwhile
            self.service.restore(chunks)
            self.applier.restored(meta)
            self._drop_proposals(Index(self.core.last_index + 1), meta.index)
        self.applier.go_on(now)

    def directory_moved(self, now: int) -> None:
        """This node's copy of the directory changed; what waited for it is looked at again by ``work``."""
        if self.serving:
            self.service.directory_moved(now)

    def hand_over(self, now: int) -> None:
        """Give leadership to the peer that is furthest along."""
        self._handing.over(now)

    def give_back(self, now: int) -> None:
        """Hand leadership to the preferred voter."""
        self._handing.back(now)

    def lost_sight(self, peer: NodeId) -> None:
        """The core is to look for a peer's place again."""
        self.mailbox.put_once(LostSight(self.core, peer))

    def suspect(self, peer: NodeId) -> None:
        """The peer's process died before our eyes."""
        if self.core.leader == peer:
            self.mailbox.put_once(self.core.suspect_leader)

    def status(self) -> dict[str, Any]:
        """What the admin sees."""
        core = self.core
        return {
            "group": self.group,
            "role": core.role.name.lower(),
            "leader": core.leader if core.leader != NO_NODE else None,
            "term": core.term,
            "last_index": core.last_index,
            "commit": core.commit,
            "applied": self.applier.applied,
            "suspect": core.suspect,
            **self.service.status(),
        }


def to_group(actor: GroupActor, sender: NodeId, frame: Frame, message: Message) -> None:
    """Put a peer's message into the mailbox; when it is full the message is dropped, for Raft repeats it."""
    if actor.mailbox.full:
        actor.context.env.probe.mark("nodes.peer_message_dropped")
        actor.context.count("peer_messages_dropped")
        return
    actor.mailbox.put(RaftItem(sender, message), frame.size)
