"""A consumer as the core sees it: subscribed at a leader, with credit, parts that it holds, settlements and
renewals.

One rule: whatever the consumer holds is claimed again, lease by lease, at every new leader before anything
else is said there. Credit is what it could still take: it comes back with a message's settlement, or when its
lease was lost.
"""

from collections.abc import Callable
from typing import Any, Final

from haqactor import wire
from haqactor.client.answers import Judged, Subscribed
from haqactor.client.credit import Credit
from haqactor.client.demand import Demand, PollEntry
from haqactor.client.gathering import Settlements
from haqactor.client.holdings import Holdings
from haqactor.client.lane import TRANSIENT, Lane, Redirect
from haqactor.client.link import Link
from haqactor.client.listening import Counts, Listener, Unheard
from haqactor.client.outcome import Outcome
from haqactor.client.part import BUFFERED, GONE, HANDED, SETTLING, Part
from haqactor.client.renewing import Renewals
from haqactor.client.settling import REJECT, RELEASE, Settlement
from haqactor.client.stalls import Watchdog
from haqactor.errors import Error, ProtocolError, from_wire

CLAIMS_MAX: Final = 8192
"""Rows of 38 bytes at most, in one frame."""


class Subscription:
    """``credit_*``: the whole credit; 0 for one whose messages are asked for one by one (``want``)."""

    __slots__ = (
        "_attempt", "_now", "_redirect", "_subscribing", "buffer", "closing", "consumer", "counts",
        "credit", "demand", "drained", "error", "holdings", "lane", "lease_ns", "link", "listener", "parts",
        "paused", "received_ns", "renewals", "settlements", "since_ns", "started", "uid", "unanswered",
        "watchdog",
    )  # fmt: skip

    def __init__(
        self,
        lane: Lane,
        uid: int,
        consumer: int,
        credit: tuple[int, int],
        redirect: Redirect,
        now: Callable[[], int],
    ) -> None:
        self.lane = lane
        self.uid = uid
        self.consumer = consumer
        self.credit = Credit(*credit)
        self.listener: Listener = Unheard()
        self.counts = Counts()
        self.holdings = Holdings(self.credit, self.counts)
        self.buffer = self.holdings.buffer
        self.parts = self.holdings.parts
        self.settlements = Settlements(self.credit.messages)
        self.unanswered = self.settlements.unanswered
        self.started: Outcome[None] = Outcome()
        self.drained: Outcome[None] | None = None
        self.error: Error | None = None
        self.closing = False
        self.paused = False
        self.link: Link | None = None
        self.lease_ns = 0
        self.demand = Demand()
        self.since_ns: int | None = None
        self.received_ns = now()
        self.renewals = Renewals(self)
        self.watchdog = Watchdog(self, now())
        self._subscribing: Link | None = None
        self._attempt = 0
        self._redirect = redirect
        self._now = now
        lane.add(self)

    @property
    def waits(self) -> bool:
        """It always wants its leader."""
        return True

    def now_ns(self) -> int:
        """The core's time."""
        return self._now()

    # -- what the shell takes and gives

    def take(self, now_ns: int) -> tuple[Part, int] | None:
        """The next message; ones whose lease ran out or was lost in the buffer are dropped."""
        taken = self.holdings.take(now_ns)
        if taken is None:
            self._nothing(now_ns)
        self.received_ns = now_ns
        return taken

    def take_part(self, now_ns: int) -> tuple[Part, list[tuple[int, int]]] | None:
        """All that is left of the next part: it and its runs of rows."""
        taken = self.holdings.take_part(now_ns)
        if taken is None:
            self._nothing(now_ns)
        self.received_ns = now_ns
        return taken

    def _nothing(self, now_ns: int) -> None:
        self.received_ns = now_ns
        if self.paused:
            self._resume()
        elif self.credit.owed_messages:
            self.lane.touch(self)

    def settle(self, verb: int, part: Part, first: int, last: int, more: list[Any], loud: bool) -> Settlement:
        """Hand rows that are handed out to the next Settle."""
        pending = self.settlements.pending
        rows = last - first + 1
        part.states[first : last + 1] = bytes([SETTLING]) * rows
        part.handed -= rows
        if verb == 0:
            pending.ack(part, first, last)
        else:
            pending.other(verb, part, first, last, more)
        self.counts.settled[verb] += rows
        if loud:
            pending.loud.update(dict.fromkeys(part.seq(row) for row in range(first, last + 1)))
        pending.gathered += rows
        self._gathered()
        return pending

    def ack(self, part: Part, row: int) -> None:
        """``settle`` for the one case that is hot: a message whose body ended cleanly."""
        part.states[row] = SETTLING
        part.handed -= 1
        settlements = self.settlements
        pending = settlements.pending
        acks = pending.acks
        if acks and acks[-1][0] is part and acks[-1][2] + 1 == row:
            acks[-1][2] = row
        else:
            pending.ack(part, row, row)
        self.counts.settled[0] += 1
        pending.gathered += 1
        if pending.gathered > settlements.much:
            self._gathered()
        elif not self.unanswered:
            self.lane.touch(self)

    def _gathered(self) -> None:
        if self.settlements.close_full() or self.settlements.due:
            self.lane.touch(self)

    def release_buffer(self) -> None:
        """Give back what was not handed out, uncharged."""
        for part in self.buffer:
            part.taken = part.count
            for first, last in part.runs(BUFFERED):
                rows = last - first + 1
                part.states[first : last + 1] = bytes([SETTLING]) * rows
                pending = self.settlements.pending
                pending.other(RELEASE, part, first, last, [])
                pending.gathered += rows
                self.counts.settled[RELEASE] += rows
                self.settlements.close_full()
        self.buffer.clear()
        self.lane.touch(self)

    def reject_part(self, part: Part, reason: str) -> None:
        """Nobody can ever read these messages: all that are still held can go."""
        part.taken = part.count
        for state in (BUFFERED, HANDED):
            for first, last in part.runs(state):
                if state == BUFFERED:
                    part.handed += last - first + 1
                self.settle(REJECT, part, first, last, [reason], loud=False)

    def pause(self) -> None:
        """Nobody receives: subscribe anew without credit, and without a claim to what was not handed out; so
        that goes back uncharged, and no other comes until somebody receives again."""
        if self.paused or not self.credit.messages:
            return
        self.paused = True
        self.holdings.forget_buffer()
        self.subscribe_anew()

    def _resume(self) -> None:
        self.paused = False
        self.subscribe_anew()

    def subscribe_anew(self) -> None:
        """At the leader as it is known now, with a claim to what is held."""
        if self.link is not None:
            self.link.withdraw(self.demand.polls)
        self.demand.detach()
        self.link = None
        self._subscribing = None
        self.lane.touch(self)

    @property
    def hungry(self) -> bool:
        """Does whoever receives have nothing, though the leader may send something?"""
        if self.error is not None or self.closing or self.paused:
            return False
        if not self.credit.messages:
            return bool(self.demand)
        return not self.buffer and self.holdings.held < self.credit.messages

    def _whole(self) -> tuple[int, int]:
        held_bytes = self.holdings.bytes() + sum(settlement.bytes for settlement in self.unanswered)
        return self.credit.restate(self.holdings.held, held_bytes)

    def want(self, messages: int) -> None:
        """More or fewer messages are asked for one by one; 0: as many as before, and some may have been lost
        on their way."""
        self.demand.wanted += messages
        known = self.link is not None or self._subscribing is not None
        if messages >= 0 and known and self._give():
            self.lane.touch(self)

    def poll(self, entry: PollEntry) -> None:
        """Ask (again) for one message, if any is ready."""
        self.demand.poll(entry)
        self.lane.touch(self)

    def _give(self) -> int:
        more = self.demand.give()
        self.credit.owe(more, more * self.credit.size)
        return more

    # -- writing

    def fill(self, link: Link) -> bool:
        """Subscribe, then settle, renew, and give credit."""
        if self.error is not None:
            return True
        if self.link is not link:
            if self._subscribing is None:
                self._subscribe(link)
            return True
        for settlement in self.settlements.unsent:
            if not link.has_room:
                return False
            self._write(settlement, link)
        self.renewals.fill(link)
        if self.settlements.due:
            self._write(self.settlements.close(), link)
        elif not self.paused:
            messages, size = self.credit.take_owed()
            if messages:
                self.watchdog.moved(self._now())
                link.send(wire.Credit(self.lane.group, self.consumer, messages, size))
        if self.demand.polls:
            self.demand.write(link, wire.Poll(0, self.lane.group, self.uid, self.consumer))
        return True

    def _subscribe(self, link: Link) -> None:
        claims = self.holdings.claims()
        if len(claims) > CLAIMS_MAX:  # what was not handed out can go back, and come again
            self.holdings.forget_buffer()
            claims = self.holdings.claims()
        messages, size = self._whole()
        if self.paused:
            messages = size = 0
        if not self.credit.messages:  # none to begin with says so: what it settles gives none back
            messages = size = 0
            self.demand.detach()
            self._give()
        self._subscribing = link
        self._attempt += 1
        message = wire.Subscribe(
            0, self.lane.group, self.uid, self.consumer, self._attempt, messages, size, claims
        )
        link.ask(Subscribed(self, self._attempt), message)

    def _write(self, settlement: Settlement, link: Link) -> None:
        acks, nacks, rejects, releases = settlement.wire_rows()
        started = self.holdings.started()
        messages = size = 0
        if not self.paused:
            messages, size = self.credit.with_settlement(settlement.messages, settlement.bytes)
        self.watchdog.moved(self._now())
        message = wire.Settle(
            0,
            self.lane.group,
            self.uid,
            self.consumer,
            acks,
            nacks,
            rejects,
            releases,
            started,
            messages,
            size,
        )
        settlement.sent, settlement.attempt, settlement.link = True, self._attempt, link
        sending = Judged(self, settlement)
        settlement.rid = sending.rid = link.ask(sending, message)

    # -- answers

    def awaits(self, link: Link, attempt: int) -> bool:
        """Is it this answer to Subscribe that counts? An older one's is of no interest any more."""
        return self._subscribing is link and self._attempt == attempt

    def accepted(self, link: Link, result: Any) -> None:
        """The reply to Subscribe: {lease_ns, lost}. Raises ProtocolError."""
        self._subscribing = None
        try:
            self.lease_ns = int(result["lease_ns"])
            lost = [(int(first), int(last)) for first, last in result["lost"]]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(f"the reply to Subscribe is {result!r:.80}") from error
        self.link = link
        now_ns = self._now()
        if lost:
            self.lane.probe.mark("client.claim_lost")
        for part in list(self.parts):
            for first, last in lost:
                self._lose(part, first, last)
        self.renewals.claimed(now_ns)
        self.watchdog.moved(now_ns)
        self.lane.answered()
        self.lane.touch(self)
        self.started.resolve(None)
        self.listener.subscribed()

    def declined(self, link: Link, answer: wire.Failed) -> None:
        """Subscribe was refused."""
        self._subscribing = None
        self._turned_away(link, answer)

    def _turned_away(self, link: Link, answer: wire.Failed) -> None:
        self.link = None
        if answer.code in TRANSIENT:
            self._redirect(self.lane, link, answer)
            self.lane.touch(self)
        else:
            self.end(from_wire(answer.code, answer.message, answer.fields))

    def unheard(self) -> None:
        """Subscribe was not answered."""
        self._subscribing = None
        self.lane.touch(self)

    def judged(self, settlement: Settlement, result: Any, *, final: bool) -> None:
        """A settlement was judged: its last sending (``final``) or an earlier one."""
        if settlement not in self.unanswered:
            return
        refused = settlement.judged(result, final=final)
        if refused is None:
            self.lane.probe.mark("client.verdict_awaited")
            return
        empty = settlement.retire()
        self.unanswered.remove(settlement)
        if settlement.attempt != self._attempt and self.credit.messages and not self.paused:
            # The answer was on its way when we subscribed anew, and counted as held what it was about.
            self.lane.probe.mark("client.settled_while_subscribing")
            self.credit.owe(settlement.messages, settlement.bytes)
        for part in empty:
            self.holdings.forget_empty(part)
        quiet = settlement.quiet(refused) if refused else []
        if refused:
            self.lane.probe.mark("client.settlement_refused")
        self.counts.refused += len(refused)
        settlement.outcome.resolve(refused)
        if quiet:
            self.listener.refused(quiet)
        self.lane.answered()
        self.lane.touch(self)
        self._check_drained()

    def settle_failed(self, settlement: Settlement, link: Link, answer: wire.Failed) -> None:
        """The leader could not judge it: again, at the next one."""
        if settlement in self.unanswered:
            settlement.sent = False
            if link is self.link:
                self._turned_away(link, answer)
            else:
                self.lane.touch(self)

    def gone(self, link: Link, code: str, message: str) -> None:
        """The node ended the consumer."""
        if link is self.link or link is self._subscribing:
            self._subscribing = None
            self.settlements.detach()
            self._turned_away(link, wire.Failed(0, code, message, {}))

    def delivered(self, link: Link, lease_ns: int, rows: wire.Rows, blob: bytes) -> None:
        """Parts arrived."""
        if link is not self.link or self.closing:
            return  # not claimed by the subscription that is on its way, or left to Unsubscribe
        at = 0
        self.watchdog.heard(self._now())
        deadline_ns = self._now() + lease_ns
        for row in rows:
            part = Part(row, b"", deadline_ns)
            part.blob = blob[at : at + part.blob_bytes] if len(rows) > 1 else blob
            at += part.blob_bytes
            self.parts[part] = None
            self.buffer.append(part)
            self.counts.delivered += part.count
            self.counts.redelivered += len(part.attempt_rows)
            self.demand.delivered(part.count)
        if at != len(blob):
            raise ProtocolError(f"a delivery's parts hold {at} bytes of {len(blob)}")
        self.listener.arrived()

    def lease_lost(self, rows: wire.Rows) -> None:
        """The node says that leases ended."""
        for term, counter, first, last in wire.lease_rows(rows):
            for part in list(self.parts):
                if part.term == term and part.counter == counter:
                    self._lose(part, first, last)
        self.lane.touch(self)

    def _lose(self, part: Part, first: int, last: int) -> None:
        for row in range(part.count):
            if first <= part.seq(row) <= last and part.states[row] in (BUFFERED, HANDED):
                self.lose(part, row)

    def lose(self, part: Part, row: int) -> None:
        """The lease on one message is lost."""
        was = part.states[row]
        if was in (BUFFERED, HANDED):
            self.holdings.lose(part, row)
            self.lane.touch(self)
            if was == HANDED:
                self.renewals.lost(part, row)

    # -- the way there, and the end

    def detach(self) -> None:
        """Another leader, or none: subscribe there, claim, and settle again."""
        self.link = None
        self._subscribing = None
        self.settlements.detach()
        self.renewals.detach()
        self.demand.detach()

    def expire(self, now_ns: int, patience_ns: int, error: Error) -> None:
        """No leader: whoever waits for a verdict, the start, a poll or an extension hears so; settlements are
        driven on."""
        since = self.lane.since
        self.since_ns = since(self.since_ns, now_ns)
        if now_ns - self.since_ns >= patience_ns:
            self.started.fail(error)
        if self.settlements.expire(since, now_ns, patience_ns, error) and self.drained is not None:
            self.drained.fail(error)
        for entry in list(self.demand.polls):
            entry.since_ns = since(entry.since_ns, now_ns)
            if now_ns - entry.since_ns >= patience_ns:
                entry.ended(error)
        self.renewals.expire(now_ns, patience_ns, error)

    def drain(self) -> Outcome[None]:
        """Take no more; decided once every settlement was judged. All of them are sent without waiting for
        those before."""
        self.closing = True
        self.settlements.leave()
        self.holdings.forget_buffer()
        self.lane.touch(self)
        if self.drained is None or self.drained.done:  # several tasks may leave: all wait for the same
            self.drained = Outcome()
        drained = self.drained
        self._check_drained()
        return drained

    def _check_drained(self) -> None:
        if self.drained is not None and not self.settlements:
            self.drained.resolve(None)

    def end(self, error: Error) -> None:
        """It is over: everything that waits hears ``error``."""
        self.error = error
        self.lane.drop(self)
        self.buffer.clear()
        for part in list(self.parts):
            for row in range(part.count):
                if part.states[row] == HANDED:
                    part.move(row, GONE)
                    self.renewals.lost(part, row)
        self.parts.clear()
        self.started.fail(error)
        self.settlements.end(error)
        if self.drained is not None:
            self.drained.fail(error)
        self.demand.end(error)
        self.renewals.end(error)
        self.listener.arrived()
