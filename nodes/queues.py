"""The service of a data group: clients' requests become commands, committed commands become replies and
deliveries.

One rule: what changes state goes through the log; what only the leader knows (credit, leases) goes to the
dispatcher; what is read is confirmed by a ReadIndex."""

from typing import TYPE_CHECKING, Any

from haqactor import wire
from haqactor.config import MIB
from haqactor.entry import Entry, Kind
from haqactor.errors import (
    Error,
    Fenced,
    InvariantViolation,
    NotFound,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    ProtocolError,
)
from haqactor.ids import Index, Term
from haqactor.machine import commands, effects
from haqactor.machine.dispatcher import Dispatcher
from haqactor.machine.effects import Applied
from haqactor.machine.fencing import Fencing
from haqactor.machine.machine import GroupMachine
from haqactor.machine.room import Room
from haqactor.nodes import peeking, publishing
from haqactor.nodes.clockwork import GroupTime
from haqactor.nodes.consuming import Consuming
from haqactor.nodes.embedding import died
from haqactor.nodes.missing import Missing
from haqactor.nodes.pressure import Pressure
from haqactor.nodes.proposals import AGAIN_NS, Draft, answer_request, seal
from haqactor.nodes.quota import Quota
from haqactor.nodes.raising import Raising
from haqactor.nodes.reading import Reads
from haqactor.nodes.sessions import Disconnected, Request
from haqactor.nodes.timers import NEVER_NS

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor


class QueueService:
    """One data group's replica; ``consuming`` exists only while it leads. ``draft``: this turn's commands."""

    def __init__(self, actor: "GroupActor", missing: Missing) -> None:
        self.actor = actor
        self.machine = GroupMachine(actor.context.env.probe, actor.context.versions)
        self.time = GroupTime(actor.context, actor.group)
        self.consuming: Consuming | None = None
        self.reading = Reads(actor)
        self.draft = Draft()
        self._missing = missing
        self._open: dict[Index, Draft] = {}
        self._following = False
        self._raising = Raising(actor)
        self._quota = Quota(actor.group, self.machine, actor.context.limits)
        self._wall_ahead_ns = 0  # of a planted bug
        self._fencing = Fencing(missing.directory, self.machine)

    # -- terms

    def lead(self, term: Term, now_ns: int) -> None:
        """Begin to serve: a new dispatcher over the applied state."""
        self.time.begin(self.machine.time_ns, now_ns)
        context = self.actor.context
        self._wall_ahead_ns = context.env.clock.wall_ns() - now_ns
        pressure = Pressure(self.actor)
        dispatcher = Dispatcher(
            self.machine, term, context.limits, now_ns, self._died, context.env.probe, Room(pressure.takes)
        )
        self.consuming = Consuming(self, dispatcher, pressure)
        self.draft = Draft()
        self._following = False
        self._raising.begin()
        self._fencing = Fencing(self._missing.directory, self.machine)
        self._quota = Quota(self.actor.group, self.machine, context.limits)

    def _died(self, session: bytes) -> bool:
        context = self.actor.context
        return died(session, context.identity.nonce, context.boots)

    def follow(self, now_ns: int) -> None:
        """Stop serving: everyone who waits is told to go to the new leader."""
        error = NotLeader("leadership moved", leader=self.actor.core.leader, term=self.actor.core.term)
        self.draft.failed(error)
        self.draft = Draft()
        for draft in self._open.values():
            self.actor.context.env.probe.mark("nodes.outcome_unknown")
            draft.failed(OutcomeUnknown("leadership moved; the next leader may store it yet"))
        self._open.clear()
        for request in self.reading.take_all():
            request.session.fail(request.message.rid, error)
        for request in self._missing.take_all(self.actor.group):
            self.actor.refuse(request)
        if self.consuming is not None:
            self.consuming.close(error)
        self.consuming = None

    # -- applying

    def apply(self, entry: Entry, now_ns: int) -> None:
        """One committed entry, on every replica; on the leader also its consequences."""
        header = entry.header if entry.kind is Kind.COMMAND else b""
        applied = self.machine.apply(entry.index, entry.term, header, len(entry.body))
        owner = self.actor.take_proposal(entry.index)
        if self.consuming is not None:
            self.consuming.dispatcher.on_applied(applied)
            self._consequences(applied, now_ns)
        if owner is not None:
            owner.applied(applied.replies, now_ns)

    def _consequences(self, applied: Applied, now_ns: int) -> None:
        for effect in applied.effects:
            if isinstance(effect, effects.QueueChanged | effects.QueueDropped):
                for request in self._missing.take(self.actor.group, effect.uid):
                    self.request(request, now_ns)

    # -- requests

    def request(self, request: Request, now_ns: int) -> None:
        """A client's request at the serving leader."""
        try:
            self._request(request, now_ns)
        except InvariantViolation:
            raise
        except Error as error:
            rid = getattr(request.message, "rid", 0)
            if rid:
                request.session.fail(rid, error)
            elif isinstance(error, ProtocolError):
                request.session.abort()

    def _request(self, request: Request, now_ns: int) -> None:
        message = request.message
        uid = getattr(message, "uid", None)
        if isinstance(message, wire.Await) and self._awaited(message):
            request.session.send(wire.Reply(message.rid, True))
            return
        if uid is not None and (self.machine.queues.get(uid) is None or isinstance(message, wire.Await)):
            if isinstance(message, wire.Credit):
                return
            gone = isinstance(message, wire.Await) and message.gone
            self.actor.context.env.probe.mark("nodes.waits_for_directory")
            self._missing.wait(self.actor.group, uid, request, gone=gone)
            self.actor.mailbox.wake()
            return
        if isinstance(message, wire.Publish):
            self._publish(request, message)
        elif self.draft.full and not isinstance(message, wire.Credit):
            raise Overloaded("too much waits to be stored", retry_after=0.1)
        elif isinstance(message, wire.Info | wire.Peek):
            self.reading.add(request)
        elif isinstance(message, wire.Begin):
            self._begin(request, message, now_ns)
        elif isinstance(message, wire.End):
            self.draft.add(commands.end_session(message.producer), answer_request(request))
        elif isinstance(message, wire.Purge):
            self._purge(request, message)
        else:
            self._leading().request(request, now_ns)

    def _awaited(self, message: wire.Await) -> bool:
        queue = self.machine.queues.get(message.uid)
        if message.gone:  # a queue that the group has yet to make is not gone
            return queue is None and self._missing.deleted(self.actor.group, message.uid)
        return queue is not None and queue.version >= message.version

    def _publish(self, request: Request, message: wire.Publish) -> None:
        context = self.actor.context
        self._check_epoch(message.producer, message.epoch)
        early = context.env.probe.bug("nodes.confirm_at_append")
        if context.journal.space_low:
            context.env.probe.mark("nodes.disk_nearly_full")
            raise Overloaded("the leader's disk is nearly full; free space on it", retry_after=1.0)
        command = publishing.checked(message, request.blob, context.limits, self.draft.body_bytes)
        answer = self._quota.admit(message, len(request.blob), answer_request(request), context.now())
        self.draft.add(command, None if early else answer, request.blob)
        if early:
            queue = self.machine.queues[message.uid]
            request.session.send(wire.Reply(message.rid, [[queue.next_seq, message.count, False]]))
        if self.draft.body_bytes >= MIB:
            self._seal(context.now())

    def _begin(self, request: Request, message: wire.Begin, now_ns: int) -> None:
        if len(message.producer) != 16 or message.epoch < 0:
            raise ProtocolError("Begin.producer must be 16 bytes, and its epoch 0 or above")
        if message.epoch:
            self._check_epoch(message.producer, message.epoch)
            command = commands.producer_epoch(message.producer, message.epoch, message.uid)
            self.draft.add(command, answer_request(request))
        else:
            request.session.send(wire.Reply(message.rid, [self.time.now(now_ns), 0]))

    def _check_epoch(self, producer: bytes, epoch: int) -> None:
        """Group 0 may have told this node of a newer producer that this group's log does not know yet."""
        newest = self._missing.directory.epochs.current(producer)
        if 0 < epoch < newest and not self.actor.context.env.probe.bug("machine.fence_ignored"):
            self.actor.context.env.probe.mark("nodes.fenced_by_directory")
            raise Fenced("a newer producer of this name is open", current_token=newest)

    def _purge(self, request: Request, message: wire.Purge) -> None:
        consuming = self._leading()
        command = consuming.dispatcher.purge(message.uid)
        if command is None:
            self.actor.context.env.probe.mark("nodes.purge_waits")
            consuming.wait(message.uid, request)
        else:
            self.draft.add(command, _surely(request))

    def _leading(self) -> Consuming:
        if self.consuming is None:
            raise NotLeader("not serving", leader=self.actor.core.leader, term=self.actor.core.term)
        return self.consuming

    def disconnected(self, session: Disconnected, now_ns: int) -> None:
        """A connection ended; its session's leases wait for the grace."""
        self._missing.drop(session.session)
        if self.consuming is not None:
            self.consuming.disconnected(session.session, now_ns)

    # -- a turn's end

    def work(self, now_ns: int) -> None:
        """Follow the directory, let the dispatcher choose, seal the draft into an entry, ask for reads and
        cover."""
        consuming = self.consuming
        if consuming is None:
            return
        self._follow_directory()
        self._fence()
        if raising := self._raising.wanted(self.machine.version):
            self.draft.add(raising)
        lease_ns = now_ns
        if self.actor.context.env.probe.bug("nodes.leases_on_wall_clock"):
            lease_ns = self.actor.context.env.clock.wall_ns() - self._wall_ahead_ns
        for action in consuming.dispatcher.work(lease_ns, self.time.now(now_ns)):
            consuming.act(action, now_ns)
        if self.draft.commands:
            self._seal(now_ns)
        consuming.delivery.seal(now_ns)
        self.reading.ask(now_ns)

    def _follow_directory(self) -> None:
        if self._following:
            return
        wanted = self._missing.wanted(self.actor.group, self.machine)
        if wanted is not None:
            self._following = True
            self.draft.add(wanted, self._followed)

    def _followed(self, _reply: Any, _now: int) -> None:
        self._following = False
        self.actor.mailbox.wake()

    def _fence(self) -> None:
        for command in self._fencing.wanted():
            self.draft.add(command)
        if self._fencing.waits:
            self.actor.mailbox.wake()

    def _seal(self, now_ns: int) -> None:
        draft, self.draft = self.draft, Draft()
        time_ns, version = self.time.now(now_ns), self.machine.version
        seal(self.actor, draft, lambda one: one.header(time_ns, version), self._open, now_ns, self._kept)

    def _kept(self, draft: Draft) -> None:
        self.draft = draft

    def directory_moved(self, now_ns: int) -> None:
        """What waited for a queue may have lost its reason to."""
        for request in self._missing.take_all(self.actor.group):
            if request.session.open:
                self.request(request, now_ns)

    def covered(self, now_ns: int) -> None:
        """Let deliveries go whose round has a quorum."""
        if self.consuming is not None:
            self.consuming.delivery.release()

    def reads(self, contexts: tuple[int, ...], ok: bool, now_ns: int) -> None:
        """Answer Info, Peek, empty polls and refused settlements."""
        for request in self.reading.take(contexts, ok):
            self._answer_read(request)

    def _answer_read(self, request: Request) -> None:
        message = request.message
        queue = self.machine.queues.get(message.uid)
        if isinstance(message, wire.Poll):
            request.session.send(wire.Reply(message.rid, False))
        elif isinstance(message, wire.Settle):
            request.session.send(wire.Reply(message.rid, request.verdict))
        elif queue is None:
            request.session.fail(message.rid, NotFound("the queue was deleted"))
        elif isinstance(message, wire.Info):
            info = self._leading().dispatcher.info(message.uid)
            info.update(group=self.actor.group, leader=self.actor.context.node)
            request.session.send(wire.Reply(message.rid, info))
        else:
            peeking.start(self.actor, self.machine, request)

    # -- the rest of Service

    def next_deadline_ns(self) -> int:
        """When the dispatcher has something to do by itself, or a kept draft is to be tried again."""
        if self.consuming is None:
            return NEVER_NS
        now_ns = self.actor.context.now()
        deadline = self.consuming.dispatcher.next_deadline_ns(now_ns, self.time.now(now_ns))
        if self.draft.commands:  # kept: nothing else may come to try it again
            deadline = min(now_ns + AGAIN_NS, NEVER_NS if deadline is None else deadline)
        return NEVER_NS if deadline is None else deadline

    def snapshot_chunks(self) -> Any:
        """A frozen view of the machine."""
        return self.machine.snapshot_chunks()

    def live_entries(self) -> list[tuple[Index, Index]]:
        """Ranges of entries that messages still refer to."""
        return [(Index(first), Index(last)) for first, last in self.machine.live_entries()]

    def restore(self, chunks: list[bytes]) -> None:
        """Become the state of a snapshot."""
        self.machine.restore(chunks)

    def digest(self) -> bytes:
        """A hash of the replicated state."""
        return self.machine.digest()

    def status(self) -> dict[str, Any]:
        """For the admin."""
        machine = self.machine
        return {
            "queues": len(machine.queues),
            "messages": machine.held.messages,
            "bytes": machine.held.bytes,
            "time_ns": machine.time_ns,
            "version": machine.version,
        }


def _surely(request: Request) -> Any:
    """As ``answer_request``, but a lost leadership is an unknown outcome: repeating a purge is not the same
    purge."""
    plain = answer_request(request)

    def answer(reply: Any, now: int) -> None:
        if isinstance(reply, NotLeader):
            reply = OutcomeUnknown("the leader changed before the outcome was known")
        plain(reply, now)

    return answer
