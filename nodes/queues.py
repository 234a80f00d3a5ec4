"""The service of a data group: clients' requests become commands, committed commands become replies and
deliveries.

One rule: what changes state goes through the log; what only the leader knows (credit, leases) goes to the
dispatcher; what is read is confirmed by a ReadIndex."""

from typing import TYPE_CHECKING, Any

from haqactor import batch, wire
from haqactor.config import MIB
from haqactor.entry import Entry, Kind
from haqactor.errors import (
    Error,
    InvalidArgument,
    InvariantViolation,
    NotFound,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    ProtocolError,
    TooLarge,
)
from haqactor.ids import Index, Term
from haqactor.machine import commands, effects
from haqactor.machine.actions import Action, ConsumerGone, Deliver, LeaseLost, Opened, PollAnswered, Propose
from haqactor.machine.dispatcher import Dispatcher
from haqactor.machine.effects import Applied
from haqactor.machine.machine import GroupMachine
from haqactor.nodes import peeking
from haqactor.nodes.clockwork import GroupTime
from haqactor.nodes.delivery import Delivery
from haqactor.nodes.embedding import died
from haqactor.nodes.missing import Missing
from haqactor.nodes.proposals import Draft, answer_request, seal
from haqactor.nodes.sessions import ClientSession, Disconnected, Request
from haqactor.nodes.timers import NEVER_NS

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_EXTRAS_BYTES_MAX = 80 * 1024
_WORK_PASSES = 4


class QueueService:
    """One data group's replica; the leader's parts exist only while it leads."""

    def __init__(self, actor: "GroupActor", missing: Missing) -> None:
        self.actor = actor
        self.machine = GroupMachine()
        self.time = GroupTime(actor.context, actor.group)
        self.dispatcher: Dispatcher | None = None
        self.delivery: Delivery | None = None
        self.sessions: dict[bytes, ClientSession] = {}
        self._missing = missing
        self._draft = Draft()
        self._open: dict[Index, Draft] = {}
        self._reading: dict[int, list[Request]] = {}
        self._to_read: list[Request] = []
        self._read_context = 0
        self._polls: dict[tuple[bytes, int], list[Request]] = {}
        self._later: dict[int, list[Request]] = {}
        self._subscribed: dict[tuple[bytes, int], ClientSession] = {}
        self._following = False

    # -- terms

    def lead(self, term: Term, now_ns: int) -> None:
        """Begin to serve: a new dispatcher over the applied state."""
        actor, limits = self.actor, self.actor.context.limits
        self.time.begin(self.machine.time_ns, now_ns)
        self.dispatcher = Dispatcher(self.machine, term, limits, now_ns, self._died)
        self.delivery = Delivery(actor, self.sessions)
        self._draft = Draft()
        self._following = False

    def _died(self, session: bytes) -> bool:
        context = self.actor.context
        return died(session, context.identity.nonce, context.boot)

    def follow(self, now_ns: int) -> None:
        """Stop serving: everyone who waits is told to go to the new leader."""
        error = NotLeader("leadership moved", leader=self.actor.core.leader, term=self.actor.core.term)
        self._draft.failed(error)
        self._draft = Draft()
        for draft in self._open.values():
            draft.failed(OutcomeUnknown("leadership moved; the next leader may store it yet"))
        self._open.clear()
        boxes = (self._reading, self._polls, self._later)
        waiting = [request for box in boxes for requests in box.values() for request in requests]
        for request in [*self._to_read, *waiting]:
            request.session.fail(request.message.rid, error)
        self._to_read.clear()
        for box in boxes:
            box.clear()
        for request in self._missing.take_all(self.actor.group):
            self.actor.refuse(request)
        for (_session, consumer), client in self._subscribed.items():
            client.send(wire.ConsumerGone(self.actor.group, consumer, error.code, str(error)))
        self._subscribed.clear()
        if self.delivery is not None:
            self.delivery.close()
        self.dispatcher = self.delivery = None
        self.sessions.clear()

    # -- applying

    def apply(self, entry: Entry, now_ns: int) -> None:
        """One committed entry, on every replica; on the leader also its consequences."""
        header = entry.header if entry.kind is Kind.COMMAND else b""
        applied = self.machine.apply(entry.index, entry.term, header, len(entry.body))
        owner = self.actor.take_proposal(entry.index)
        if self.dispatcher is not None:
            self.dispatcher.on_applied(applied)
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
            self._missing.wait(self.actor.group, uid, request, gone=gone)
            self.actor.mailbox.wake()
            return
        if isinstance(message, wire.Publish):
            self._publish(request, message)
        elif isinstance(message, wire.Info | wire.Peek):
            self._to_read.append(request)
        elif isinstance(message, wire.Begin):
            self._begin(request, message, now_ns)
        elif isinstance(message, wire.End):
            self._draft.add(commands.end_session(message.producer), answer_request(request))
        elif isinstance(message, wire.Purge):
            self._purge(request, message)
        else:
            self._consume(request, message, now_ns)

    def _awaited(self, message: wire.Await) -> bool:
        queue = self.machine.queues.get(message.uid)
        if message.gone:
            return queue is None
        return queue is not None and queue.version >= message.version

    def _publish(self, request: Request, message: wire.Publish) -> None:
        head = batch.head(request.blob)
        limits = self.actor.context.limits
        if self.actor.context.journal.space_low:
            raise Overloaded("the leader's disk is nearly full; free space on it", retry_after=1.0)
        alone = limits.message_bytes_max + _EXTRAS_BYTES_MAX
        bound = alone if head.count == 1 else max(batch.PACKED_BYTES_MAX, 0) + _EXTRAS_BYTES_MAX
        if head.content_bytes > bound or head.size > bound + batch.HEAD_BYTES + head.table_bytes:
            raise TooLarge(
                f"a message or batch of {head.content_bytes} bytes is over the limit of "
                f"{limits.message_bytes_max}",
                limit=limits.message_bytes_max,
            )
        if (
            head.count != message.count
            or len(message.producer) != 16
            or message.first < 1
            or message.epoch < 0
        ):
            raise ProtocolError("Publish and its batch disagree, or its numbers are out of range")
        at = self._draft.body_bytes
        command = commands.publish(
            message.uid,
            message.producer,
            message.epoch,
            message.first,
            head.count,
            head.crc,
            message.below,
            message.began_ns,
            at,
            head.size,
        )
        self._draft.add(command, answer_request(request), request.blob)
        if self._draft.body_bytes >= MIB:
            self._seal(self.actor.context.now())

    def _begin(self, request: Request, message: wire.Begin, now_ns: int) -> None:
        if len(message.producer) != 16:
            raise ProtocolError("Begin.producer must be 16 bytes")
        if message.epoch:
            command = commands.producer_epoch(message.producer, message.epoch, message.uid)
            self._draft.add(command, answer_request(request))
        else:
            request.session.send(wire.Reply(message.rid, [self.time.now(now_ns), 0]))

    def _purge(self, request: Request, message: wire.Purge) -> None:
        command = self._leading().purge(message.uid)
        if command is None:
            self._later.setdefault(message.uid, []).append(request)
        else:
            self._draft.add(command, _surely(request))

    def _leading(self) -> Dispatcher:
        if self.dispatcher is None:
            raise NotLeader("not serving", leader=self.actor.core.leader, term=self.actor.core.term)
        return self.dispatcher

    def _consume(self, request: Request, message: Any, now_ns: int) -> None:
        dispatcher, session = self._leading(), request.session
        if isinstance(message, wire.Subscribe):
            if not session.open:
                return  # its end was heard before its turn came; nobody would ever lose these leases
            self._polls.pop((session.id, message.consumer), None)
            self.sessions[session.id] = session
            if self.delivery is not None:
                self.delivery.forget(session.id, message.consumer)
            lost = dispatcher.subscribe(
                session.id,
                message.consumer,
                message.uid,
                message.credit_messages,
                message.credit_bytes,
                message.claims,
                now_ns,
            )
            self._subscribed[session.id, message.consumer] = session
            lease_ns = self.machine.queues[message.uid].settings["lease_ns"]
            session.send(wire.Reply(message.rid, {"lease_ns": lease_ns, "lost": lost}))
        elif isinstance(message, wire.Settle):
            self._settle(request, message)
        elif isinstance(message, wire.Credit):
            dispatcher.credit(session.id, message.consumer, message.messages, message.bytes)
        elif isinstance(message, wire.Extend):
            lost = dispatcher.extend(
                session.id, message.consumer, message.uid, message.leases, message.duration_ns, now_ns
            )
            session.send(wire.Reply(message.rid, lost))
        elif isinstance(message, wire.Unsubscribe):
            dispatcher.unsubscribe(session.id, message.consumer)
            self._subscribed.pop((session.id, message.consumer), None)
            session.send(wire.Reply(message.rid, True))
        elif isinstance(message, wire.Poll):
            dispatcher.poll_one(session.id, message.consumer, message.uid)
            self._polls.setdefault((session.id, message.consumer), []).append(request)
        else:
            raise InvalidArgument(f"a queue's group does not answer {type(message).__name__}")

    def _settle(self, request: Request, message: wire.Settle) -> None:
        session = request.session
        judged = self._leading().judge(session.id, message)
        if judged.later:
            self._later.setdefault(message.uid, []).append(request)
            return
        if judged.command is None:
            session.send(wire.Reply(message.rid, judged.refused))
            return

        def answer(reply: Any, _now: int) -> None:
            if isinstance(reply, Error):
                session.fail(message.rid, reply)
            else:
                session.send(wire.Reply(message.rid, judged.refused))

        self._draft.add(judged.command, answer)

    def disconnected(self, session: Disconnected, now_ns: int) -> None:
        """A connection ended; its session's leases wait for the grace."""
        client = session.session
        self._missing.drop(client)
        if self.sessions.get(client.id) is client and self.dispatcher is not None:
            del self.sessions[client.id]
            for key in [key for key in self._subscribed if key[0] == client.id]:
                del self._subscribed[key]
                self._polls.pop(key, None)
            self.dispatcher.session_lost(client.id, now_ns)

    # -- a turn's end

    def work(self, now_ns: int) -> None:
        """Follow the directory, let the dispatcher choose, seal the draft into an entry, ask for reads and
        cover."""
        if self.dispatcher is None or self.delivery is None:
            return
        self._follow_directory()
        for action in self.dispatcher.work(now_ns, self.time.now(now_ns)):
            self._act(action, now_ns)
        if self._draft.commands:
            self._seal(now_ns)
        self.delivery.seal(now_ns)
        if self._to_read:
            self._read_context += 1
            self._reading[self._read_context] = self._to_read
            self._to_read = []
            self.actor.read(self._read_context, now_ns)

    def _follow_directory(self) -> None:
        if self._following:
            return
        wanted = self._missing.wanted(self.actor.group, self.machine)
        if wanted is not None:
            self._following = True
            self._draft.add(wanted, self._followed)

    def _followed(self, _reply: Any, _now: int) -> None:
        self._following = False
        self.actor.mailbox.wake()

    def _seal(self, now_ns: int) -> None:
        draft, self._draft = self._draft, Draft()
        seal(self.actor, draft, draft.header(self.time.now(now_ns)), self._open, now_ns, self._kept)

    def _kept(self, draft: Draft) -> None:
        self._draft = draft

    def _act(self, action: Action, now_ns: int) -> None:
        group = self.actor.group
        if isinstance(action, Deliver):
            if self.delivery is not None:
                self.delivery.add(action)
        elif isinstance(action, Propose):
            self._draft.add(action.command)
        elif isinstance(action, PollAnswered):
            self._polled(action)
        elif isinstance(action, Opened):
            later = self._later.pop(action.uid, [])
            for request in later:
                self.request(request, now_ns)
        else:
            client = self.sessions.get(action.session)
            if client is None:
                return
            if isinstance(action, LeaseLost):
                client.send(wire.LeaseLost(group, action.consumer, action.leases))
            elif isinstance(action, ConsumerGone):
                client.send(wire.ConsumerGone(group, action.consumer, action.code, action.message))

    def _polled(self, action: PollAnswered) -> None:
        waiting = self._polls.get((action.session, action.consumer))
        if not waiting:
            return
        request = waiting.pop(0)
        if not waiting:
            del self._polls[action.session, action.consumer]
        if action.found:
            request.session.send(wire.Reply(request.message.rid, True))
        else:
            self._to_read.append(request)  # "nothing" is a read: confirm that this leader still leads

    def directory_moved(self, now_ns: int) -> None:
        """What waited for a queue may have lost its reason to."""
        for request in self._missing.take_all(self.actor.group):
            if request.session.open:
                self.request(request, now_ns)

    def covered(self, now_ns: int) -> None:
        """Let deliveries go whose round has a quorum."""
        if self.delivery is not None:
            self.delivery.release()

    def reads(self, contexts: tuple[int, ...], ok: bool, now_ns: int) -> None:
        """Answer Info, Peek and empty polls."""
        for context in contexts:
            for request in self._reading.pop(context, ()):
                if not ok:
                    self.actor.refuse(request)
                else:
                    self._answer_read(request)

    def _answer_read(self, request: Request) -> None:
        message = request.message
        queue = self.machine.queues.get(message.uid)
        if isinstance(message, wire.Poll):
            request.session.send(wire.Reply(message.rid, False))
        elif queue is None:
            request.session.fail(message.rid, NotFound("the queue was deleted"))
        elif isinstance(message, wire.Info):
            info = self._leading().info(message.uid)
            info.update(group=self.actor.group, leader=self.actor.context.node)
            request.session.send(wire.Reply(message.rid, info))
        else:
            peeking.start(self.actor, self.machine, request)

    # -- the rest of Service

    def next_deadline_ns(self) -> int:
        """When the dispatcher has something to do by itself."""
        if self.dispatcher is None:
            return NEVER_NS
        now_ns = self.actor.context.now()
        deadline = self.dispatcher.next_deadline_ns(now_ns, self.time.now(now_ns))
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
        return {"queues": len(self.machine.queues), "time_ns": self.machine.time_ns}


def _surely(request: Request) -> Any:
    """As ``answer_request``, but a lost leadership is an unknown outcome: repeating a purge is not the same
    purge."""
    plain = answer_request(request)

    def answer(reply: Any, now: int) -> None:
        if isinstance(reply, NotLeader):
            reply = OutcomeUnknown("the leader changed before the outcome was known")
        plain(reply, now)

    return answer
