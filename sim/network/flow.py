"""One direction of one stream: what is on its way.

One rule: what arrives arrives in the order of sending, and nothing arrives behind a gap; a link that holds
something back holds back all that the stream sends after it.
"""

from collections import deque
from typing import Final, Protocol
from zlib import crc32

from haqactor.sim.network.links import Faults, Link

OPEN: Final = 0
DATA: Final = 1
END: Final = 2
RESET: Final = 3
CREDIT: Final = 4

SEGMENT_BYTES: Final = 65_536
"""What travels as one at most."""


class Receiver(Protocol):
    """Where a flow ends."""

    def opened(self) -> None:
        """The first segment has come."""
        ...

    def data_came(self, data: bytes) -> None:
        """Bytes have come."""
        ...

    def end_came(self) -> None:
        """The peer closed in order."""
        ...

    def reset_came(self) -> None:
        """The peer knows nothing of this stream (any more)."""
        ...

    def credit_came(self, size: int) -> None:
        """The peer has read ``size`` bytes."""
        ...

    def gave_up(self) -> None:
        """What was sent from here has not been taken for too long."""
        ...


class Segment:
    """``cause``: the trace event of its sending. ``departs_ns``: when its last byte leaves the sender."""

    __slots__ = ("cause", "crc", "departs_ns", "kind", "parts", "sent_ns", "size")

    def __init__(self, kind: int, size: int, sent_ns: int) -> None:
        self.kind = kind
        self.size = size
        self.sent_ns = sent_ns
        self.departs_ns = 0
        self.parts: list[bytes] = []
        self.crc = 0
        self.cause = -1


class Flow:
    """``number``: of the stream. ``receiver`` and ``back`` (the other direction) are set before anything is
    sent. ``patience_ns``: how long the sender waits for bytes to be taken; 0: for ever."""

    __slots__ = (
        "_died_ns",
        "_faults",
        "_flying",
        "_held",
        "_is_broken",
        "_is_gone",
        "_last_ns",
        "_late_until_ns",
        "_lost",
        "_resetting",
        "_tail",
        "_torn",
        "_trace",
        "_waits",
        "_world",
        "back",
        "link",
        "number",
        "patience_ns",
        "receiver",
    )

    back: "Flow"
    receiver: Receiver

    def __init__(self, faults: Faults, link: Link, number: int) -> None:
        self.link = link
        self.number = number
        self._faults = faults
        self._world = faults.world
        self._trace = faults.world.trace
        self._flying: deque[Segment] = deque()
        self._held: deque[Segment] = deque()
        self._tail: Segment | None = None  # more bytes of the same instant join it
        self._last_ns = 0
        self._late_until_ns = 0
        self._died_ns: int | None = None  # the sender's machine ended: what had not left never will
        self._is_gone = False  # the sender sends nothing again that is lost
        self._is_broken = False  # something in between has forgotten the stream
        self._lost = False  # a cut lost some of what is held
        self._torn = False  # there is a gap: only a reset passes
        self._resetting = False
        self._waits = False  # a look at what is held is due
        self.patience_ns = 0

    # -- sending

    def open(self) -> None:
        """Knock, or let in who knocked."""
        self._fly(Segment(OPEN, 0, self._world.now_ns))

    def send(self, data: bytes) -> None:
        """Send bytes for which there is credit."""
        link, settings = self.link, self.link.settings
        if settings.clog_share:
            link.clog_by_chance()
        if self._is_broken:
            self._faults.drop("broken", link.source, link.target, len(data), self.number)
            self.back.reset()
            return
        if settings.reset_share and not link.steady and link.draw(settings.reset_share):
            self._faults.drop("broken", link.source, link.target, len(data), self.number)
            self.break_stream()
            return
        size = len(data)
        if size > 1 and settings.chop_share and link.draw(settings.chop_share):
            cut = 1 + link.below(size - 1)
            self._send(data[:cut])
            self._tail = None
            data = data[cut:]
        if len(data) <= SEGMENT_BYTES:
            self._send(data)
        else:
            for start in range(0, len(data), SEGMENT_BYTES):
                self._send(data[start : start + SEGMENT_BYTES])

    def _send(self, data: bytes) -> None:
        size = len(data)
        now_ns = self._world.now_ns
        segment = self._tail
        if (
            segment is None
            or segment.sent_ns != now_ns
            or segment.size + size > SEGMENT_BYTES
            or not self._flying
            or self._flying[-1] is not segment
        ):
            segment = self._tail = Segment(DATA, 0, now_ns)
            self._fly(segment, size)
        segment.parts.append(data)
        segment.size += size
        segment.crc = crc32(data, segment.crc)
        link = self.link
        link.sent += 1
        segment.cause = self._trace.add(
            "send", link.source, link.source, link.target, size, self.number, segment.crc
        )
        if self._trace.recording:
            self._trace.bodies[segment.cause] = data

    def end(self) -> None:
        """Close in order: nothing more will be sent."""
        if self._is_broken:
            self.back.reset()
        else:
            self._fly(Segment(END, 0, self._world.now_ns))

    def credit(self, size: int) -> None:
        """Tell the peer that ``size`` bytes were read."""
        self._fly(Segment(CREDIT, size, self._world.now_ns), 0)

    def reset(self) -> None:
        """Tell the peer that there is no such stream here."""
        if not self._resetting:
            self._resetting = True
            self._fly(Segment(RESET, 0, self._world.now_ns))

    def _fly(self, segment: Segment, size: int = 0) -> None:
        segment.departs_ns, arrives_ns = self.link.schedule(size)
        self._last_ns = max(self._last_ns, arrives_ns)
        self._flying.append(segment)
        self._world.call_at(self._last_ns, self._arrive)

    # -- what goes wrong on the way

    def vanish(self) -> None:
        """The sender is gone: what has not left, or is lost, is not sent again."""
        self._is_gone = True
        self._died_ns = self._world.now_ns

    def abandon(self) -> None:
        """The sender has given the stream up: bytes still under way may come late, and its reset never."""
        self._is_gone = True
        link, settings = self.link, self.link.settings
        if link.steady:
            self.reset()
            return
        if link.draw(settings.late_share):
            self.be_late(link.exponential(settings.late_mean_ns))
        self.reset_by_chance()

    def reset_by_chance(self) -> None:
        """A reset is sent once, and may get lost."""
        link = self.link
        if not link.steady and link.draw(link.settings.half_open_share):
            self._faults.fired("half-open", link.source, link.target, self.number)
        else:
            self.reset()

    def be_late(self, for_ns: int) -> None:
        """Hold back what is under way, and what follows it, for so long."""
        self._late_until_ns = max(self._late_until_ns, self._world.now_ns + for_ns)
        self._faults.fired("late", self.link.source, self.link.target, self.number)
        self._world.call_at(self._late_until_ns, self.release)

    def forget(self) -> None:
        """Something between the ends knows nothing of the stream any more: what is sent on it is answered
        with a reset."""
        self._is_broken = self.back._is_broken = True

    @property
    def is_forgotten(self) -> bool:
        """Something between the ends has forgotten the stream."""
        return self._is_broken

    def break_stream(self) -> None:
        """Something between the ends forgets the stream. Both ends are told, or one of them: the other one
        finds out when it sends."""
        link = self.link
        self._faults.fired("reset", link.source, link.target, self.number)
        self.forget()
        told = [self, self.back]
        if link.draw(link.settings.half_open_share):
            self._faults.fired("half-open", link.source, link.target, self.number)
            told = [told[link.below(2)]]
        for flow in told:
            if link.draw(link.settings.late_share):
                flow.be_late(link.exponential(link.settings.late_mean_ns))
            flow.reset()

    # -- arriving

    def _arrive(self) -> None:
        segment = self._flying.popleft()
        if self._held or self.link.is_blocked or self._late_until_ns > self._world.now_ns:
            self._hold(segment)
        else:
            self._deliver(segment)

    def _hold(self, segment: Segment) -> None:
        link = self.link
        if link.is_cut:
            self._faults.drop("cut", link.source, link.target, segment.size, self.number, segment.cause)
            if segment.kind == RESET:
                self._resetting = False
                return
            self._lost = True
        self._held.append(segment)
        if link.is_blocked:
            link.hold(self)
        if self.patience_ns and segment.kind == DATA and not self._waits:
            self._look_again(segment)

    def _look_again(self, segment: Segment) -> None:
        self._waits = True
        self._world.call_at(max(segment.sent_ns + self.patience_ns, self._world.now_ns), self._look)

    def _look(self) -> None:
        """Has the sender waited long enough?"""
        self._waits = False
        first = next((segment for segment in self._held if segment.kind == DATA), None)
        if first is None or self._is_gone:
            return
        if first.sent_ns + self.patience_ns > self._world.now_ns:
            self._look_again(first)
        else:
            self.back.receiver.gave_up()

    def release(self) -> None:
        """Deliver what was held back, unless something still holds it."""
        if not self._held or self._late_until_ns > self._world.now_ns:
            return
        if self.link.is_blocked:
            self.link.hold(self)
            return
        if self._lost:
            self._lost = False
            self._torn = self._torn or self._is_gone
        while self._held:
            self._deliver(self._held.popleft())

    def _deliver(self, segment: Segment) -> None:
        kind, link = segment.kind, self.link
        if kind == RESET:
            self._resetting = False
            self.receiver.reset_came()
            return
        if self._died_ns is not None and segment.departs_ns > self._died_ns:
            self._torn = True
        if self._torn:
            self._faults.drop("gone", link.source, link.target, segment.size, self.number, segment.cause)
        elif kind == DATA:
            size, crc, source, target = segment.size, segment.crc, link.source, link.target
            self._trace.add("recv", target, source, target, size, self.number, crc, cause=segment.cause)
            parts = segment.parts
            self.receiver.data_came(parts[0] if len(parts) == 1 else b"".join(parts))
        elif kind == CREDIT:
            self.receiver.credit_came(segment.size)
        elif kind == END:
            self.receiver.end_came()
        else:
            self.receiver.opened()
