"""A producer's stream to one queue: numbers, batches in flight, resending, and what a refusal means for those
behind it.

One rule: parcels are in flight in the order of their numbers, and a parcel is sent again with the same
numbers and bytes, so the servers store it once. Numbers are given when a parcel is first written to a
connection (see docs/journey-of-a-message.md, 1 and 2).
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from haqactor import wire
from haqactor.batch import Content, Contents, Packer
from haqactor.client.lane import TRANSIENT, Lane, Redirect
from haqactor.client.link import Link
from haqactor.client.parcel import Item, Parcel
from haqactor.codec import are_numbers
from haqactor.errors import Error, ProtocolError, SequenceConflict, SequenceGap, from_wire

IN_FLIGHT_MAX: Final = 256


class Identity:
    """Who publishes: 16 bytes, and the epoch of a named producer (0: anonymous)."""

    __slots__ = ("epoch", "producer")

    def __init__(self, producer: bytes, epoch: int) -> None:
        self.producer = producer
        self.epoch = epoch


class _Claim:
    """One sending of one parcel; answers to earlier sendings count only if they are good."""

    __slots__ = ("parcel", "rid", "stream")

    def __init__(self, stream: "Stream", parcel: Parcel) -> None:
        self.stream = stream
        self.parcel = parcel
        self.rid = 0

    def _is_last(self, link: Link) -> bool:
        return self.parcel.link is link and self.parcel.rid == self.rid

    def replied(self, link: Link, result: Any, blob: bytes) -> None:
        self.stream.confirmed(self.parcel, result)

    def failed(self, link: Link, answer: wire.Failed) -> None:
        if answer.code != "outcome_unknown":
            self.parcel.doubt -= 1
        if self._is_last(link):
            self.stream.refused(self.parcel, link, answer)

    def lost(self, link: Link) -> None:
        if self._is_last(link):
            self.stream.unsent(self.parcel)


class Stream:
    """Everything between one producer and one queue incarnation. ``now_ns`` reads the core's time."""

    __slots__ = (
        "_answered", "_began_ns", "_begun_link", "_now", "_packer", "_patience_ns", "_redirect",
        "_resume_ns", "_retries", "error", "gathering", "identity", "lane", "next", "parcels", "queue",
        "to_send", "uid", "used_ns",
    )  # fmt: skip

    def __init__(
        self, lane: Lane, queue: str, uid: int, identity: Identity, packer: Packer, redirect: Redirect,
        now: Callable[[], int], patience_ns: int,
    ) -> None:  # fmt: skip
        self.lane = lane
        self.queue = queue
        self.uid = uid
        self.identity = identity
        self.parcels: deque[Parcel] = deque()
        self.gathering: deque[Parcel] = deque()
        self.to_send = 0
        self.next = 0
        self.error: Error | None = None
        self.used_ns = now()
        self._packer = packer
        self._redirect = redirect
        self._now = now
        self._patience_ns = patience_ns
        self._began_ns = -1
        self._retries = False
        self._begun_link: Link | None = None
        self._answered = False
        self._resume_ns = 0
        lane.add(self)

    @property
    def waits(self) -> bool:
        """Anything not confirmed yet?"""
        return bool(self.parcels or self.gathering)

    @property
    def outstanding(self) -> int:
        """Messages that were sent and are not confirmed."""
        return sum(parcel.count for parcel in self.parcels)

    def add(self, content: Content, size: int) -> Item:
        """A message that may share its batch with others."""
        gathering = self.gathering
        if gathering and gathering[-1].takes(size):
            return gathering[-1].add(content, size)
        parcel = Parcel()
        gathering.append(parcel)
        item = parcel.add(content, size)
        self.lane.touch(self)
        return item

    def add_parcel(self, contents: Contents, seq: int | None) -> Parcel:
        """A batch with its own boundaries; ``seq``: the number that the caller chose for its first
        message."""
        parcel = Parcel(seq)
        parcel.contents = contents
        parcel.full = True
        self.gathering.append(parcel)
        self.lane.touch(self)
        return parcel

    def withdraw(self, parcel: Parcel, item: Item | None) -> None:
        """The caller was cancelled: what has no number yet is not sent."""
        if item is not None:
            parcel.withdraw(item)
        elif not parcel.first:
            parcel.contents = ()
        if not parcel.gathered and not parcel.first and parcel in self.gathering:
            self.gathering.remove(parcel)

    # -- writing

    def fill(self, link: Link) -> bool:
        """Begin, then send again what was sent before, then what is new."""
        if self.error is not None or not self.waits:
            return True
        if self._began_ns < 0:
            if self._begun_link is not link:
                self._begun_link = link
                message = wire.Begin(
                    0, self.lane.group, self.uid, self.identity.producer, self.identity.epoch
                )
                link.ask(self, message)
            return True
        if self._resume_ns > self._now():
            return True
        if self.to_send and not self.lane.probe.bug("client.not_sent_again") and not self._resend(link):
            return False
        return self._send_new(link)

    def _resend(self, link: Link) -> bool:
        for parcel in self.parcels:
            if parcel.link is None and not parcel.done:
                if not link.has_room:
                    return False
                self._write(parcel, link)
        self.to_send = 0
        return True

    def _send_new(self, link: Link) -> bool:
        while self.gathering and len(self.parcels) < IN_FLIGHT_MAX:
            parcel = self.gathering[0]
            if not parcel.full and self.parcels and not self._answered:
                return True  # something is in flight: gather until an answer comes
            if not link.has_room:
                return False
            self.gathering.popleft()
            if not parcel.gathered:
                continue
            if not parcel.full:
                self._answered = False
            self._seal(parcel, link)
        return True

    def _seal(self, parcel: Parcel, link: Link) -> None:
        first = self.next if parcel.explicit is None else parcel.explicit
        if first > self.next:
            parcel.fail(
                SequenceGap(f"seq {first} for {self.queue!r} leaves a hole: the next number is {self.next}")
            )
            return
        if first < self.next < first + parcel.gathered:
            parcel.fail(
                SequenceConflict(
                    f"seq {first} for {self.queue!r} was used, {self.next} was not: retry the same messages"
                )
            )
            return
        parcel.retry = first < self.next
        self._retries = self._retries or parcel.retry
        parcel.seal(first, self._packer)
        self.next = max(self.next, first + parcel.count)
        self.parcels.append(parcel)
        self._write(parcel, link)

    def _write(self, parcel: Parcel, link: Link) -> None:
        identity = self.identity
        below = min(other.first for other in self.parcels) if self._retries else self.parcels[0].first
        if parcel.doubt and self.lane.probe.bug("client.retry_renumbered"):
            parcel.first, self.next = self.next, self.next + parcel.count
        claim = _Claim(self, parcel)
        parcel.link = link
        parcel.doubt += 1
        message = wire.Publish(
            0,
            self.lane.group,
            self.uid,
            identity.producer,
            identity.epoch,
            parcel.first,
            parcel.count,
            below,
            self._began_ns,
        )
        claim.rid = parcel.rid = link.ask(claim, message, parcel.blob)

    # -- answers

    def replied(self, link: Link, result: Any, blob: bytes) -> None:
        """To Begin: [began_ns, last_seq]."""
        if self._began_ns >= 0:
            return
        try:
            self._began_ns, last = result
            if not are_numbers((self._began_ns, last)):
                raise ValueError("a number is out of range")
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"the reply to Begin is {result!r:.80}") from error
        self.next = last + 1
        self.lane.answered()
        self.lane.touch(self)

    def failed(self, link: Link, answer: wire.Failed) -> None:
        """Begin was refused."""
        if self._begun_link is not link:
            return
        self._begun_link = None
        if answer.code in TRANSIENT:
            self._redirect(self.lane, link, answer)
            self.lane.touch(self)
            return
        self.end(from_wire(answer.code, answer.message, answer.fields))

    def lost(self, link: Link) -> None:
        """Begin was not answered."""
        if self._begun_link is link:
            self._begun_link = None
            self.lane.touch(self)

    def confirmed(self, parcel: Parcel, runs: Any) -> None:
        """A parcel is stored."""
        if parcel.done:
            return
        parcel.confirm(runs)
        self._settled()

    def _settled(self) -> None:
        while self.parcels and self.parcels[0].done:
            self.parcels.popleft()
        self._answered = True
        self.used_ns = self._now()
        self.lane.answered()
        if self.gathering or self.to_send:
            self.lane.touch(self)

    def unsent(self, parcel: Parcel) -> None:
        """It is to be sent again."""
        parcel.link = None
        self.to_send += 1
        self.lane.touch(self)

    def refused(self, parcel: Parcel, link: Link, answer: wire.Failed) -> None:
        """A parcel was not stored, or nobody knows. Those behind it met a hole: they go again, in order."""
        if parcel.done:
            return
        at_head = self.parcels and self.parcels[0] is parcel
        if answer.code == "sequence_gap" and not at_head:
            self.lane.probe.mark("client.behind_a_hole")
            self._again_from(parcel)
            return
        overdue = answer.code == "overloaded" and self._overdue(parcel)
        if overdue and parcel.doubt:
            self.lane.probe.mark("client.overload_unknown")
            parcel.give_up_waiting()  # an earlier sending may be stored: its numbers stay its own
            parcel.refused_ns = None
        if answer.code == "overloaded" and (parcel.doubt or not overdue):
            self.lane.probe.mark("client.overloaded")
            self._again_from(parcel)
            self._resume_ns = self._now() + round(float(answer.fields.get("retry_after", 0.1)) * 1e9)
            self.lane.remind()
            return
        if answer.code in TRANSIENT and answer.code != "overloaded":
            self._again_from(parcel)
            self._redirect(self.lane, link, answer)
            return
        if answer.code == "too_large" and len(parcel.items) > 1 and not parcel.doubt and not parcel.retry:
            self._divide(parcel)
            return
        error = from_wire(answer.code, answer.message, answer.fields)
        forgotten = answer.code == "sequence_expired" and not parcel.retry and not self.identity.epoch
        stored_yet = parcel.doubt > 0 and not parcel.retry  # perhaps; then those behind it must not move up
        if forgotten or stored_yet or answer.code in ("fenced", "not_found", "sequence_gap"):
            self.end(error)
        else:
            self.lane.probe.mark("client.hole_closed")
            self._close_hole(parcel, error)

    def _overdue(self, parcel: Parcel) -> bool:
        if parcel.refused_ns is None:
            parcel.refused_ns = self._now()
        return self._now() - parcel.refused_ns >= self._patience_ns

    def _again_from(self, parcel: Parcel) -> None:
        found = False
        for other in self.parcels:
            found = found or other is parcel
            if found and not other.done:
                other.link = None
                self.to_send += 1
        self.lane.touch(self)

    def _divide(self, parcel: Parcel) -> None:
        """Messages that only travelled together are too much together: each half goes by itself, so that in
        the end only those fail that are too large alone."""
        self.lane.probe.mark("client.parcel_divided")
        at = self.parcels.index(parcel)
        pieces = parcel.divide(self._packer)
        self.parcels.remove(parcel)
        for piece in reversed(pieces):
            self.parcels.insert(at, piece)
        self._again_from(pieces[0])

    def _close_hole(self, parcel: Parcel, error: Error) -> None:
        """It was refused for good: the numbers behind it move up (they were never stored: there was a hole
        before them)."""
        behind = False
        for other in list(self.parcels):
            if other is parcel:
                behind = True
            elif behind and not parcel.retry and not other.retry and not other.done:
                if other.explicit is not None:
                    other.fail(SequenceGap(f"the message before seq {other.first} was refused: {error}"))
                    continue
                other.first -= parcel.count
                other.link = None
                self.to_send += 1
        parcel.fail(error)
        self.parcels = deque(other for other in self.parcels if not other.done)
        if not parcel.retry:
            self.next = max(
                (other.first + other.count for other in self.parcels if not other.retry), default=parcel.first
            )
        self._settled()

    def end(self, error: Error) -> None:
        """The stream is over: everything in it fails with ``error``."""
        self.error = error
        self.lane.answered()
        self.lane.drop(self)
        for parcel in [*self.parcels, *self.gathering]:
            if not parcel.done:
                parcel.fail(error)
        self.parcels.clear()
        self.gathering.clear()

    # -- the way there

    def detach(self) -> None:
        """Another leader, or none: all that is unconfirmed goes again."""
        self._begun_link = None
        self.to_send = 0
        for parcel in self.parcels:
            parcel.link = None
            self.to_send += 1

    def tick(self, now_ns: int) -> int | None:
        """Go on after an overload; returns when, while that is not over."""
        if not self._resume_ns:
            return None
        if self._resume_ns > now_ns:
            return self._resume_ns
        self._resume_ns = 0
        self.lane.touch(self)
        return None

    def expire(self, now_ns: int, patience_ns: int, error: Error) -> None:
        """No leader: what was never sent (or refused wherever it was) fails; of the rest the outcome is
        unknown."""
        overdue: list[Parcel] = []
        for parcel in [*self.gathering, *self.parcels]:
            parcel.since_ns = self.lane.since(parcel.since_ns, now_ns)
            if now_ns - parcel.since_ns >= patience_ns:
                overdue.append(parcel)
        for parcel in overdue:
            if not parcel.first:
                self.gathering.remove(parcel)
                parcel.fail(error)
        while self.parcels and not self.parcels[-1].doubt and self.parcels[-1] in overdue:
            parcel = self.parcels.pop()  # its numbers go to the next one
            self.next = self.next if parcel.retry else parcel.first
            parcel.fail(error)
        for parcel in self.parcels:
            if parcel in overdue:
                self.lane.probe.mark("client.publish_unknown")
                parcel.give_up_waiting()
