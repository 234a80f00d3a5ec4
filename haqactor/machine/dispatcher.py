"""The leader's dispatcher: credit, leases, openings and timers of all queues of a group, for one term.

One rule: it is made when the leader's no-op has applied and dies with the term. It decides, and the log makes
it true: what changes a message is a command that it proposes, and takes effect here only in ``on_applied``.

The shell calls the methods below as requests arrive, ``on_applied`` for every entry, then ``work`` until
``next_deadline_ns`` is in the future. ``now_ns`` is the monotonic clock; ``time_ns`` is the leader's T
(``LoggedTime.now``). Deliveries leave after a covering round.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from haqactor.config import Limits
from haqactor.env import NullProbe, Probe
from haqactor.errors import InvalidArgument, NotFound, NotLeader
from haqactor.machine import commands, picking
from haqactor.machine.actions import Action, ConsumerGone, Opened, PollAnswered, Propose
from haqactor.machine.claims import Claims
from haqactor.machine.commands import Cause, Command, Range
from haqactor.machine.credit import Consumer
from haqactor.machine.desk import Desk
from haqactor.machine.effects import Applied, Awake, Effect, Purged, QueueDropped, Reserved, Settled, Ticked
from haqactor.machine.intervals import IntervalSet, minus
from haqactor.machine.judge import Judged, check, held_by, judge, started_ranges
from haqactor.machine.leases import Expiry, Key, Lease
from haqactor.machine.machine import GroupMachine
from haqactor.machine.opening import Opening
from haqactor.machine.receipts import Receipts
from haqactor.machine.room import Room
from haqactor.wire import Rows, Settle, lease_rows

_NS: Final = 1_000_000_000
_NULL: Final = NullProbe()


def nobody_died(_session: bytes) -> bool:
    """The default of ``died``."""
    return False


class Dispatcher:
    """``died``: is this session known to have died with an earlier boot of this very node (an embedded
    client)? ``room``: what connections take."""

    def __init__(
        self,
        machine: GroupMachine,
        term: int,
        limits: Limits,
        now_ns: int,
        died: Callable[[bytes], bool] = nobody_died,
        probe: Probe = _NULL,
        room: Room | None = None,
    ) -> None:
        self._probe = probe
        self._room = Room() if room is None else room
        self._machine = machine
        self._term = term
        self._window = limits.reserve_messages
        self._grace_ns = round(limits.grace * _NS)
        self._began_ns = now_ns
        self._died = died
        self._closed: dict[bytes, bool] = {}
        self._desks: dict[int, Desk] = {}
        self._active: dict[int, bool] = {}
        self._unopened: dict[int, bool] = {}
        self._expiry = Expiry()
        self._receipts = Receipts()
        self._consumers: dict[Key, Consumer] = {}
        self._lost: dict[Key, Consumer] = {}
        self._actions: list[Action] = []
        self._counter = 0
        self._serial = 0
        self._ticking = False
        self._wakes_ns = machine.wakes_ns()
        if machine.producers.sessions_max != limits.producer_sessions_max:
            self._actions.append(Propose(commands.limits(limits.producer_sessions_max)))

    # -- consumers --

    def subscribe(
        self,
        session: bytes,
        consumer: int,
        uid: int,
        credit_messages: int,
        credit_bytes: int,
        claims: Rows,
        now_ns: int,
    ) -> list[Range]:
        """A consumer comes, or comes back with what it holds. Returns ranges it lost. Raises NotFound,
        ProtocolError."""
        lease_rows(claims, 1)
        desk = self._desk(uid)
        key = (session, consumer)
        known = self._consumers.get(key)
        if known is not None and known.uid != uid:
            self.unsubscribe(session, consumer)
            known = None
        if known is None:
            known = self._consumers[key] = desk.consumers[key] = Consumer(key, uid)
        self._lost.pop(key, None)
        known.started = IntervalSet()
        known.polls = 0
        weighed = Claims(desk, known, self._term, now_ns + desk.queue.settings["lease_ns"], self._next_serial)
        lost = weighed.weigh(claims)
        self._actions += weighed.notices
        self._return_unclaimed(desk, known, weighed.kept)
        size = sum(
            -(-row.body_bytes * (row.last - row.first + 1) // row.total)
            for low, high in weighed.kept
            for row in desk.queue.batches.locate(low, high)
        )
        known.subscribe(credit_messages, credit_bytes, weighed.kept.total, size)
        desk.opening.heard(key)
        self._active[uid] = True
        return lost

    def _return_unclaimed(self, desk: Desk, consumer: Consumer, kept: IntervalSet) -> None:
        """Leases that a consumer which came back does not name never reached it (or it let them go): back,
        uncharged."""
        unclaimed: list[Lease] = []
        for lease in list(consumer.leases.values()):
            pieces = minus(lease.held, kept)
            if not pieces:
                continue
            part = desk.leases.split(lease, pieces, self._next_serial())
            unclaimed.append(part)
            if not lease.held:
                desk.leases.drop(lease)
                consumer.leases.pop(lease.serial, None)
        if unclaimed:
            command, _notice = desk.give_back(consumer, unclaimed, Cause.UNSUBSCRIBED)
            self._actions.append(Propose(command))

    def credit(self, session: bytes, consumer: int, messages: int, size: int) -> None:
        """More credit; for a consumer that is not known, nothing."""
        known = self._consumers.get((session, consumer))
        if known is not None and (messages > 0 or size > 0):
            known.give(messages, size)
            self._active[known.uid] = True

    def room_again(self, session: bytes) -> None:
        """Its connection takes more again."""
        self._active.update((known.uid, True) for key, known in self._consumers.items() if key[0] == session)

    def unsubscribe(self, session: bytes, consumer: int) -> None:
        """As ``leave``, the command among the actions."""
        if (command := self.leave(session, consumer)) is not None:
            self._actions.append(Propose(command))

    def leave(self, session: bytes, consumer: int) -> Command | None:
        """A consumer goes; the command that returns what it holds, uncharged, if it holds anything."""
        key = (session, consumer)
        known = self._consumers.get(key)
        desk = self._desks.get(known.uid) if known is not None else None
        if known is None or desk is None:
            for uid in self._unopened:  # a holder that an older leader knew, with nothing to claim
                self._desks[uid].opening.heard(key)
                self._active[uid] = True
            return None
        command: Command | None = None
        if known.leases:
            command, _notice = desk.give_back(known, list(known.leases.values()), Cause.UNSUBSCRIBED)
        self._forget(desk, known)
        return command

    def _forget(self, desk: Desk, consumer: Consumer) -> None:
        desk.opening.heard(consumer.key)
        desk.consumers.pop(consumer.key, None)
        self._consumers.pop(consumer.key, None)
        self._lost.pop(consumer.key, None)
        self._active[desk.uid] = True

    def session_lost(self, session: bytes, now_ns: int) -> None:
        """The session's connection broke: nothing more is sent to it; its leases go back unless it returns
        within the grace."""
        for consumer in [c for key, c in self._consumers.items() if key[0] == session and c.connected]:
            consumer.lost_ns = now_ns + self._grace_ns
            consumer.polls = 0
            self._lost[consumer.key] = consumer

    def session_closed(self, session: bytes) -> None:
        """The session ended in order: all its consumers go, and no queue waits for it any more."""
        for key in [key for key in self._consumers if key[0] == session]:
            self.unsubscribe(*key)
        self._closed[session] = True
        for desk in self._desks.values():
            if not desk.opening.open:
                desk.opening.closed(session)
                self._active[desk.uid] = True

    def poll_one(self, session: bytes, consumer: int, uid: int) -> None:
        """One message for a subscribed consumer, whatever its credit; answered by ``PollAnswered``, once the
        queue has opened. Raises NotFound, NotLeader (it subscribed to an earlier leader, or never)."""
        desk = self._desk(uid)
        known = desk.consumers.get((session, consumer))
        if known is None:
            raise NotLeader(f"consumer {consumer} is to subscribe to queue {uid} here first", term=self._term)
        known.polls += 1
        self._active[uid] = True

    # -- settlements --

    def judge(self, session: bytes, settle: Settle) -> Judged:
        """Judge a settlement and freeze what is accepted; the shell proposes ``command`` and answers with
        ``refused`` once it has applied. Credit and started ranges are taken in. Raises NotFound,
        ProtocolError, InvalidArgument."""
        check(settle)
        desk = self._desk(settle.uid)
        key = (session, settle.consumer)
        judged = judge(desk, key, settle, self._term)
        if judged.later:
            return judged
        known = desk.consumers.get(key)
        if known is not None:
            known.started = started_ranges(settle.started)
            for rows in (settle.acks, settle.nacks, settle.rejects, settle.releases):
                for row in rows:
                    if known.reported < (row[0], row[1]) and row[0] <= self._term:
                        known.reported = (row[0], row[1])
            known.give(settle.credit_messages, settle.credit_bytes)
        self._active[settle.uid] = True
        return judged

    def extend(
        self, session: bytes, consumer: int, uid: int, leases: Rows, duration_ns: int, now_ns: int
    ) -> list[Range]:
        """Renew leases until ``now_ns + duration_ns``. Returns the ranges whose lease is lost. Raises
        NotFound, ProtocolError."""
        lease_rows(leases)
        if duration_ns <= 0:
            raise InvalidArgument(f"a lease cannot be renewed for {duration_ns} ns")
        desk = self._desk(uid)
        by_lease: dict[tuple[int, int], IntervalSet] = {}
        for term, counter, low, high in leases:
            by_lease.setdefault((term, counter), IntervalSet()).add(low, high)
        lost: list[Range] = []
        for lease_id, wanted in by_lease.items():
            held = IntervalSet()
            for lease in held_by(desk, (session, consumer), lease_id):
                pieces = [piece for low, high in wanted for piece in lease.held.within(low, high)]
                if pieces:
                    self._renew(desk, lease, pieces, now_ns + duration_ns)
                for piece in pieces:
                    held.add(*piece)
            for low, high in wanted:
                for first, last in held.missing(low, high):
                    lost += minus(
                        desk.queue.gone.missing(max(first, desk.queue.low), last), desk.leases.acking
                    )
        return lost

    def _renew(self, desk: Desk, lease: Lease, pieces: list[Range], expires_ns: int) -> None:
        if sum(high - low + 1 for low, high in pieces) < lease.held.total:
            lease = desk.leases.split(lease, pieces, self._next_serial())
            self._consumers[lease.key].leases[lease.serial] = lease
        desk.leases.renew(lease, expires_ns)

    def purge(self, uid: int) -> Command | None:
        """The command that purges a queue, sparing what is leased. Nothing is leased until it has applied.
        None: the queue has not opened; try again at ``Opened``. Raises NotFound."""
        desk = self._desk(uid)
        if not desk.opening.open:
            self._active[uid] = True
            return None
        desk.purges += 1
        return commands.purge(uid, list(picking.busy(desk)))

    def leased(self, uid: int) -> tuple[int, int]:
        """How many messages of a queue are leased (or being settled); how many consumers it has."""
        desk = self._desks.get(uid)
        return (desk.leased_count(), len(desk.consumers)) if desk is not None else (0, 0)

    def info(self, uid: int) -> dict[str, Any]:
        """What ``wire.Info`` asks for, but for group and leader. Raises NotFound."""
        found = self._machine.info(uid)
        leased, found["consumers"] = self.leased(uid)
        found["leased"] = min(leased, found["ready"])
        found["ready"] -= found["leased"]
        return found

    # -- the log --

    def on_applied(self, applied: Applied) -> None:
        """Take in what an entry of this term did."""
        for effect in applied.effects:
            self._take_in(effect)

    def _take_in(self, effect: Effect) -> None:
        if isinstance(effect, Ticked):
            self._ticking = False
            self._wakes_ns = self._machine.wakes_ns()
            return
        uid = getattr(effect, "uid", -1)
        desk = self._desks.get(uid)
        if isinstance(effect, Settled):
            self._look_at_deferrals(effect)
        if desk is None:
            return
        self._active[uid] = True
        if isinstance(effect, Settled):
            self._settled(desk, effect)
        elif isinstance(effect, Awake):
            desk.put_back(effect.ready)
        elif isinstance(effect, Purged):
            desk.purges -= 1
            for low, high in effect.gone:
                desk.returned.discard(low, high)
        elif isinstance(effect, Reserved):
            desk.reserving = False
        elif isinstance(effect, QueueDropped):
            self._dropped(desk)
        # Published, QueueChanged: that it is active is all

    def _settled(self, desk: Desk, effect: Settled) -> None:
        leases = desk.leases
        for low, high in effect.moved:
            leases.frozen.discard(low, high)
        for low, high in effect.acks:
            leases.acking.discard(low, high)
        for ranges in (effect.gone, effect.deferred):
            for low, high in ranges:
                desk.returned.discard(low, high)
        desk.put_back(minus(effect.ready, leases.leased))
        if desk.opening.applied(effect.moved):
            self._actions.append(Opened(desk.uid))

    def _look_at_deferrals(self, effect: Settled) -> None:
        queue = self._machine.queues.get(effect.uid)
        if effect.deferred and queue is not None and queue.deferrals:
            until = queue.deferrals[0][0]
            self._wakes_ns = until if self._wakes_ns is None else min(self._wakes_ns, until)

    def _dropped(self, desk: Desk) -> None:
        for consumer in list(desk.consumers.values()):
            self._actions.append(
                ConsumerGone(*consumer.key, desk.uid, "not_found", f"queue {desk.queue.name} was deleted")
            )
            for lease in consumer.leases.values():
                lease.held = IntervalSet()  # or it would expire, in a queue that is not there any more
            self._forget(desk, consumer)
        self._actions.append(Opened(desk.uid))  # what waited for that hears that the queue is gone
        del self._desks[desk.uid]
        self._unopened.pop(desk.uid, None)
        self._active.pop(desk.uid, None)

    # -- work --

    def work(self, now_ns: int, time_ns: int) -> list[Action]:
        """What there is to do now; bounded, so call again while ``next_deadline_ns`` is not in the future."""
        actions, self._actions = self._actions, []
        self._room.begin()
        for consumer in list(self._lost.values()):
            if consumer.lost_ns > now_ns:
                break
            self._give_up(consumer, actions)
        while (lease := self._expiry.pop(now_ns)) is not None:
            self._expire(self._desks[lease.uid], lease, actions)
        if now_ns >= self._began_ns + self._grace_ns:
            self._active.update(self._unopened)
            self._closed.clear()
        active, self._active = self._active, {}
        for uid in active:
            self._serve(self._desks[uid], now_ns, actions)
        self._tick(now_ns, time_ns, actions)
        return actions

    def _give_up(self, consumer: Consumer, actions: list[Action]) -> None:
        desk = self._desks[consumer.uid]
        if consumer.leases:
            command, _notice = desk.give_back(consumer, list(consumer.leases.values()), Cause.SESSION_LOST)
            actions.append(Propose(command))
        self._forget(desk, consumer)

    def _expire(self, desk: Desk, lease: Lease, actions: list[Action]) -> None:
        consumer = desk.consumers[lease.key]
        cause = Cause.EXPIRED if consumer.connected else Cause.SESSION_LOST
        command, notice = desk.give_back(consumer, [lease], cause)
        actions += (Propose(command), notice)
        self._active[desk.uid] = True

    def _serve(self, desk: Desk, now_ns: int, actions: list[Action]) -> None:
        if not desk.opening.open:
            self._open(desk, now_ns, actions)
        if desk.opening.open and not desk.purges:
            picker = picking.Picker(desk, partial(self._begin_lease, desk, now_ns), self._room)
            self._answer_polls(desk, picker, actions)
            actions += picker.run()
            if picker.more:
                self._active[desk.uid] = True
        self._raise_reserve(desk, actions)

    def _open(self, desk: Desk, now_ns: int, actions: list[Action]) -> None:
        early = desk.opening.waiting and self._probe.bug("machine.opens_at_once")
        if not early and not desk.opening.due(now_ns):
            return
        self._unopened.pop(desk.uid, None)
        ranges = desk.unclaimed()
        desk.opening.begin_return(ranges)
        if ranges:
            for low, high in ranges:
                desk.leases.frozen.add(low, high)
            actions.append(Propose(commands.return_(desk.uid, Cause.LEADER_CHANGE, ranges, [], [])))
        else:
            actions.append(Opened(desk.uid))

    def _answer_polls(self, desk: Desk, picker: picking.Picker, actions: list[Action]) -> None:
        for consumer in list(desk.consumers.values()):
            while consumer.polls and picking.may_poll(desk, consumer) and picker.has_room(consumer):
                delivery = picker.one(consumer)
                if delivery is None and picking.anything_ready(desk):
                    break
                consumer.polls -= 1
                if delivery is not None:
                    actions.append(delivery)
                actions.append(PollAnswered(*consumer.key, desk.uid, delivery is not None))

    def _begin_lease(self, desk: Desk, now_ns: int, consumer: Consumer) -> Lease:
        self._counter += 1
        expires_ns = now_ns + desk.queue.settings["lease_ns"]
        lease = Lease((self._term, self._counter), desk.uid, consumer.key, self._next_serial(), expires_ns)
        desk.leases.add(lease)
        consumer.leases[lease.serial] = lease
        return lease

    def _raise_reserve(self, desk: Desk, actions: list[Action]) -> None:
        """Keep half a window of sequences between the cursor and the mark, and every consumer named."""
        if desk.reserving or not desk.consumers:
            return
        queue = desk.queue
        if queue.reserve - desk.cursor > self._window // 2 and all(
            key in queue.holders for key in desk.consumers
        ):
            row = queue.batches.at_or_after(desk.cursor, queue.next_seq)
            if row is None or row.last < queue.reserve:
                return
        upto = max(desk.cursor, queue.low) + self._window
        row = queue.batches.at_or_after(max(desk.cursor, queue.low), queue.next_seq)
        if row is not None:
            upto = max(upto, row.last + 1)
        names = dict.fromkeys(desk.consumers)
        if not desk.opening.open:
            names = {**queue.holders, **names}
        desk.reserving = True
        actions.append(Propose(commands.reserve(desk.uid, upto, [list(key) for key in names])))

    def _tick(self, now_ns: int, time_ns: int, actions: list[Action]) -> None:
        if self._ticking:
            return
        sessions = now_ns >= self._began_ns + self._grace_ns
        due = self._machine.producers.next_due_ns() if sessions else None
        if (self._wakes_ns is not None and self._wakes_ns <= time_ns) or (due is not None and due <= time_ns):
            self._ticking = True
            actions.append(Propose(commands.tick(sessions)))

    def next_deadline_ns(self, now_ns: int, time_ns: int) -> int | None:
        """When ``work`` is needed though nothing happens; None: not at all; ``now_ns`` or less: at once."""
        if self._actions or self._active:
            return now_ns
        due = [consumer.lost_ns for consumer in self._lost.values()]
        expiry = self._expiry.next_ns()
        if expiry is not None:
            due.append(expiry)
        if self._unopened:
            due.append(self._began_ns + self._grace_ns)
        if not self._ticking:
            if self._wakes_ns is not None:
                due.append(now_ns + max(0, self._wakes_ns - time_ns))
            sessions = self._machine.producers.next_due_ns()
            if sessions is not None:
                due.append(max(now_ns + max(0, sessions - time_ns), self._began_ns + self._grace_ns))
        return min(due, default=None)

    def _desk(self, uid: int) -> Desk:
        desk = self._desks.get(uid)
        if desk is None:
            queue = self._machine.queues.get(uid)
            if queue is None:
                raise NotFound(f"queue {uid} does not exist (any more)")
            gone = self._closed
            holders = list(queue.holders)
            opening = Opening(holders, self._began_ns + self._grace_ns, lambda s: s in gone or self._died(s))
            desk = self._desks[uid] = Desk(queue, opening, self._expiry, self._receipts, self._probe)
            if not opening.open:
                self._unopened[uid] = True
            self._active[uid] = True
        return desk

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial
