"""Consumers at the leader: subscriptions, credit, settlements, polls, and what the dispatcher says to them.

One rule: all of it is volatile and lives one term; what changes state (leases that end, settlements) becomes
a command in the service's draft.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from haqactor import wire
from haqactor.errors import Conflict, Error, InvalidArgument, NotFound, NotLeader, ProtocolError
from haqactor.machine.actions import Action, ConsumerGone, Deliver, LeaseLost, Opened, PollAnswered, Propose
from haqactor.machine.dispatcher import Dispatcher
from haqactor.nodes.delivery import Delivery
from haqactor.nodes.pressure import Pressure
from haqactor.nodes.sessions import ClientSession, Request

if TYPE_CHECKING:
    from haqactor.nodes.queues import QueueService

_ATTEMPTS_MAX: Final = 10_000
"""Consumers whose newest subscription is known; beyond them the one that said nothing for longest is
forgotten."""

_ENDED: Final = 1 << 62


class Consuming:
    """The consumers of one group during one term. ``later``: what waits for a queue to open, by uid."""

    def __init__(self, service: "QueueService", dispatcher: Dispatcher, pressure: Pressure) -> None:
        self.dispatcher = pressure.dispatcher = dispatcher
        self.sessions = pressure.sessions
        self.delivery = Delivery(service.actor, pressure)
        self.later: dict[int, list[Request]] = {}
        self._service = service
        self._group = service.actor.group
        self._polls: dict[tuple[bytes, int], list[Request]] = {}
        self._subscribed: dict[tuple[bytes, int], ClientSession] = {}
        self._attempts: OrderedDict[tuple[bytes, int], int] = OrderedDict()

    # -- requests

    def request(self, request: Request, now_ns: int) -> None:
        """What consumers send. Raises NotFound, ProtocolError, InvalidArgument."""
        dispatcher, session, message = self.dispatcher, request.session, request.message
        if isinstance(message, wire.Subscribe | wire.Settle | wire.Credit) and self._forgets():
            message = _without_credit(message)
        if isinstance(message, wire.Subscribe):
            self._subscribe(request, message, now_ns)
        elif isinstance(message, wire.Settle):
            self._settle(request, message)
        elif isinstance(message, wire.Credit):
            if self._is_subscribed(request):
                dispatcher.credit(session.id, message.consumer, message.messages, message.bytes)
        elif isinstance(message, wire.Extend):
            lost = dispatcher.extend(
                session.id, message.consumer, message.uid, message.leases, message.duration_ns, now_ns
            )
            session.send(wire.Reply(message.rid, lost))
        elif isinstance(message, wire.Unsubscribe):
            self._unsubscribe(request, message)
        elif isinstance(message, wire.Poll):
            dispatcher.poll_one(session.id, message.consumer, message.uid)
            self._polls.setdefault((session.id, message.consumer), []).append(request)
        else:
            raise InvalidArgument(f"a queue's group does not answer {type(message).__name__}")

    def _subscribe(self, request: Request, message: wire.Subscribe, now_ns: int) -> None:
        session = request.session
        if not session.open:
            return  # its end was heard before its turn came; nobody would ever lose these leases
        if self._overtaken(session.id, message.consumer, message.attempt):
            session.fail(message.rid, Conflict("a later subscription of this consumer was here before"))
            return
        if message.consumer < 0:
            raise ProtocolError(f"Subscribe.consumer is {message.consumer}, and must be 0 or above")
        self._remember(session.id, message.consumer, message.attempt)
        self._polls.pop((session.id, message.consumer), None)
        self.sessions[session.id] = session
        self.delivery.forget(session.id, message.consumer)
        lost = self.dispatcher.subscribe(
            session.id,
            message.consumer,
            message.uid,
            message.credit_messages,
            message.credit_bytes,
            message.claims,
            now_ns,
        )
        self._subscribed[session.id, message.consumer] = session
        lease_ns = self._service.machine.queues[message.uid].settings["lease_ns"]
        session.send(wire.Reply(message.rid, {"lease_ns": lease_ns, "lost": lost}))

    def _forgets(self) -> bool:
        """No node of ours forgets credit; one that did would be found out by its clients' watchdogs."""
        return self._service.actor.context.env.probe.buggify("nodes.credit_forgotten")

    def _overtaken(self, session: bytes, consumer: int, attempt: int) -> bool:
        """Did a later subscription of this consumer, or its end, come before this one, by another way (one of
        two ways may lead through another node)? Deliveries would go where nobody takes them any more."""
        overtaken = attempt < self._attempts.get((session, consumer), 0)
        return overtaken and not self._service.actor.context.env.probe.bug("nodes.overtaken_subscribes")

    def _remember(self, session: bytes, consumer: int, attempt: int) -> None:
        """The newest subscription of a consumer, or its end."""
        attempts = self._attempts
        attempts[session, consumer] = attempt
        attempts.move_to_end((session, consumer))
        if len(attempts) > _ATTEMPTS_MAX:
            attempts.popitem(last=False)

    def _unsubscribe(self, request: Request, message: wire.Unsubscribe) -> None:
        """Answered once what the consumer held has gone back, so that whoever looks then finds it ready. A
        lost leadership is told; the next leader knows nothing of this consumer, and says so."""
        session = request.session
        self._remember(session.id, message.consumer, _ENDED)
        self._subscribed.pop((session.id, message.consumer), None)
        command = self.dispatcher.leave(session.id, message.consumer)
        done = wire.Reply(message.rid, True)
        if command is None:
            session.send(done)
            return

        def answer(reply: Any, _now: int) -> None:
            if isinstance(reply, Error) and not isinstance(reply, NotFound):
                session.fail(message.rid, reply)
            else:
                session.send(done)

        self._service.draft.add(command, answer)

    def _is_subscribed(self, request: Request) -> bool:
        """Did this consumer's present subscription come by this very connection? Its credit is what that one
        said; what an older connection still brings was counted into it (Q15)."""
        session = request.session
        return self._subscribed.get((session.id, request.message.consumer)) is session

    def _settle(self, request: Request, message: wire.Settle) -> None:
        """Over the connection of the consumer's subscription only, or once it has ended: what another one
        still brings is said again here, and a verdict that was given must stay the last one."""
        session = request.session
        if not self._is_subscribed(request):
            if self._attempts.get((session.id, message.consumer)) != _ENDED:
                self._service.actor.context.env.probe.mark("nodes.settled_elsewhere")
                text = f"consumer {message.consumer} is to subscribe over this connection first"
                session.fail(message.rid, NotLeader(text))
                return
            message = message._replace(credit_messages=0, credit_bytes=0)
        judged = self.dispatcher.judge(session.id, message)
        if judged.later:
            self.wait(message.uid, request)
            return
        if judged.command is None and judged.refused:  # a leader that is none any more may not know the lease
            request.verdict = judged.refused
            self._service.reading.add(request)
            return
        if judged.command is None:
            session.send(wire.Reply(message.rid, judged.refused))
            return

        def answer(reply: Any, _now: int) -> None:
            if isinstance(reply, Error):
                session.fail(message.rid, reply)
            else:
                session.send(wire.Reply(message.rid, judged.refused))

        self._service.draft.add(judged.command, answer)

    def wait(self, uid: int, request: Request) -> None:
        """Try a request again when its queue has opened."""
        self.later.setdefault(uid, []).append(request)

    # -- what the dispatcher wants

    def act(self, action: Action, now_ns: int) -> None:
        """Carry out one action."""
        if isinstance(action, Deliver):
            self.delivery.add(action)
        elif isinstance(action, Propose):
            self._service.draft.add(action.command)
        elif isinstance(action, PollAnswered):
            self._polled(action)
        elif isinstance(action, Opened):
            for request in self.later.pop(action.uid, []):
                self._service.request(request, now_ns)
        else:
            self._tell(action)

    def _tell(self, action: LeaseLost | ConsumerGone) -> None:
        client = self.sessions.get(action.session)
        if client is None:
            return
        if isinstance(action, LeaseLost):
            client.send(wire.LeaseLost(self._group, action.consumer, action.leases))
        else:
            client.send(wire.ConsumerGone(self._group, action.consumer, action.code, action.message))

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
            self._service.reading.add(request)  # "nothing" is a read: confirm that this leader still leads

    # -- ends

    def disconnected(self, client: ClientSession, now_ns: int) -> None:
        """A connection ended; its session's leases wait for the grace."""
        if self.sessions.get(client.id) is client:
            del self.sessions[client.id]
            for key in [key for key in self._subscribed if key[0] == client.id]:
                del self._subscribed[key]
                self._polls.pop(key, None)
            self.dispatcher.session_lost(client.id, now_ns)

    def close(self, error: Error) -> None:
        """The term ended: nothing of it leaves any more, and everyone who waits hears ``error``."""
        for box in (self._polls, self.later):
            for requests in box.values():
                for request in requests:
                    request.session.fail(request.message.rid, error)
            box.clear()
        for (_session, consumer), client in self._subscribed.items():
            client.send(wire.ConsumerGone(self._group, consumer, error.code, str(error)))
        self._subscribed.clear()
        self.delivery.close()
        self.sessions.clear()


def _without_credit(
    message: wire.Subscribe | wire.Settle | wire.Credit,
) -> wire.Subscribe | wire.Settle | wire.Credit:
    if isinstance(message, wire.Credit):
        return message._replace(messages=0)
    return message._replace(credit_messages=0)
