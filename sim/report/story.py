"""A trace as a story: who there is, what each event says, what led to it, and how the hosts fared.

One rule: nothing here depends on who wrote an event; an unknown kind is a dot with its data beside it.

What is known of the kinds: ``send``, ``recv`` and ``drop`` carry (source, target, bytes, stream, ...); text
after that names the message (or why it was dropped); a ``recv`` or ``drop`` has its ``send`` as cause. A
datagram has stream 0; both copies of a doubled one have the same cause.
``crash`` or ``ended`` to ``start`` is a time of darkness, ``pause`` to ``resume`` a time of stillness,
``partition`` to ``heal`` a time apart; their data name the cut and its hosts: one, or groups separated by
``|``, or pairs as ``a>b``. ``client.call`` to ``client.return`` is one operation. A host that never writes,
where others do, is a client.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from haqactor.sim.report.words import BODY_MAX, data_text, message_text
from haqactor.sim.trace import NO_CAUSE, Datum, Event

WORLD: Final = -1  #: the lane of what happens to everybody
MESSAGES: Final = ("send", "recv", "drop")
MILESTONES: Final = (
    *("start", "restart", "ended", "crash", "pause", "resume", "partition", "heal", "fault", "violation"),
)
BEATS: Final = ("Beat", "BeatAnswer", "Ping", "Pong")  #: messages that say "still here", hidden at first
_CONSEQUENCES: Final = ("send", "drop", "log", "mark", "dial", "reset")  # they lead to nothing on their host
_SLOW: Final = ("write", "fsync", "violation")
_UNCAUSED: Final = ("start", "crash")
_WORDS: Final = re.compile(r"[^\s|,;>]+")

Describe = Callable[[Event], tuple[str, str] | None]
"""What an event is about, for filters and colours, and its text; None: as it stands."""


class Lane(NamedTuple):
    """``client``: nothing here is a promise of ours."""

    name: str
    client: bool


class Row(NamedTuple):
    """One event. ``lane``: WORLD for none; ``peer``: the other end of a message, else WORLD. ``cause``: the
    number of the event that led to it; ``guessed``: nobody said so, but it happened at the same instant."""

    event: Event
    lane: int
    peer: int
    cause: int
    guessed: bool


class Span(NamedTuple):
    """``kind``: ``down``, ``paused``, ``apart``, ``call``, or ``unanswered``: a call that never returned."""

    kind: str
    lane: int
    from_ns: int
    to_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """``rows`` by the number of their event; ``fates``: of a message, by the number of its ``send``: the
    numbers of its ``recv`` and ``drop`` events, none while it is on its way; ``joined``: the ``send`` with
    which a ``send`` travelled."""

    lanes: tuple[Lane, ...]
    rows: dict[int, Row]
    spans: tuple[Span, ...]
    fates: dict[int, list[int]]
    joined: dict[int, int]
    begin_ns: int
    end_ns: int
    describe: Describe | None = None

    def words(self, number: int) -> tuple[str, str]:
        """What filters and colours go by, and the text; of a message both are those of its ``send``."""
        row = self.rows[number]
        event = row.event
        if event.kind in ("recv", "drop") and row.cause in self.fates:
            label, body = self.words(row.cause)
            return label, body if event.kind == "recv" else f"{_why(event)}: {body}"
        said = None if self.describe is None else self.describe(event)
        if said is not None:
            return said[0], said[1][:BODY_MAX]
        if event.kind not in MESSAGES:
            return event.kind, data_text(event.data)
        names = [lane.name for lane in self.lanes]
        texts = [datum for datum in event.data if isinstance(datum, str) and datum not in names]
        ends = [self.lanes[end] for end in (row.lane, row.peer) if end != WORLD]
        among = "client message" if any(end.client for end in ends) else "peer message"
        return texts[0] if texts and event.kind == "send" else among, message_text(event.data)

    def chain(self, number: int) -> list[Row]:
        """An event and everything that led to it, the first cause first."""
        found: list[Row] = []
        while number in self.rows:
            row = self.rows[number]
            found.append(row)
            number = row.cause
        return found[::-1]


def tell(events: Sequence[Event], *, clients: Iterable[str] = (), describe: Describe | None = None) -> Story:
    """Make a story of a trace. ``clients``: hosts that are none of ours, besides those that call."""
    lanes = _lanes(events, clients)
    teller = _Teller(lanes)
    for event in events:
        teller.take(event)
    begin_ns = events[0].at_ns if events else 0
    end_ns = events[-1].at_ns if events else 0
    spans = tuple(
        sorted([*teller.spans, *teller.left_open(end_ns)], key=lambda span: (span.from_ns, span.lane))
    )
    return Story(lanes, teller.rows, spans, teller.fates, teller.joined, begin_ns, end_ns, describe)


def _lanes(events: Sequence[Event], clients: Iterable[str]) -> tuple[Lane, ...]:
    calling = dict.fromkeys(clients)
    hosts: dict[str, None] = {}
    writing: dict[str, None] = {}
    worldly = {"fault", "partition", "heal", "violation", "mark"}  # may stand at a name that is no host
    for event in events:
        if event.kind.startswith("client."):
            calling[event.host] = None
        if event.kind == "fsync":
            writing[event.host] = None
        if event.host and event.kind not in worldly:
            hosts[event.host] = None
    found = [Lane(name, name in calling or (bool(writing) and name not in writing)) for name in hosts]
    return tuple(sorted(found, key=lambda lane: (lane.client, _natural(lane.name))))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name) if part]


class _Teller:
    def __init__(self, lanes: tuple[Lane, ...]) -> None:
        self.of = {lane.name: number for number, lane in enumerate(lanes)}
        self._clients = {number: None for number, lane in enumerate(lanes) if lane.client}
        self.rows: dict[int, Row] = {}
        self.spans: list[Span] = []
        self.fates: dict[int, list[int]] = {}
        self.joined: dict[int, int] = {}
        self._flying: dict[tuple[Datum, ...], deque[Event]] = {}
        self._open: dict[tuple[str, int, Datum], Event] = {}
        self._last: dict[str, Event] = {}

    def take(self, event: Event) -> None:
        lane = self.of.get(event.host, WORLD)
        peer = WORLD
        cause = event.cause
        if event.kind in MESSAGES:
            source, target = self._ends(event)
            lane, peer = (target, source) if event.kind == "recv" else (source, target)
            if event.kind == "send":
                self.fates[event.number] = []
                self._flying.setdefault(event.data[:2] + event.data[3:4], deque()).append(event)
            else:
                cause = self._land(event)
        else:
            self._spans(event, lane)
        guessed = cause == NO_CAUSE
        if guessed:
            cause = self._likely(event)
        self.rows[event.number] = Row(event, lane, peer, cause, guessed and cause != NO_CAUSE)
        if event.kind not in _CONSEQUENCES:
            self._last[event.host] = event

    def _ends(self, event: Event) -> tuple[int, int]:
        named = [self.of[datum] for datum in event.data if isinstance(datum, str) and datum in self.of]
        here = self.of.get(event.host, WORLD)
        if len(named) >= 2:
            return named[0], named[1]
        other = named[0] if named else WORLD
        return (other, here) if event.kind == "recv" else (here, other)

    def _land(self, event: Event) -> int:
        """Find the ``send``, and what travelled with it."""
        flying = self._flying.get(event.data[:2] + event.data[3:4], deque[Event]())
        cause = event.cause
        if cause == NO_CAUSE and flying:
            cause = flying[0].number
        if cause in self.fates:
            self.fates[cause].append(event.number)
            self._join(self.rows[cause].event, _size(event), flying)
            while flying and flying[0].number <= cause:
                flying.popleft()
        return cause

    def _join(self, sent: Event, size: int, flying: deque[Event]) -> None:
        """What was sent just before, at the same instant, and fills what came up to its size."""
        missing = size - _size(sent)
        for earlier in reversed([other for other in flying if other.number < sent.number]):
            if earlier.at_ns != sent.at_ns or not 0 < _size(earlier) <= missing:
                return
            missing -= _size(earlier)
            self.joined[earlier.number] = sent.number

    def _likely(self, event: Event) -> int:
        """What a host does at the instant at which something came to it, it does because of that; what it
        writes, and what a checker finds there, may take a while, and so may the end of its program."""
        last = self._last.get(event.host)
        if last is None or not event.host or event.kind in _UNCAUSED:
            return NO_CAUSE
        slow = event.kind in _SLOW or _by_error(event)
        return last.number if last.at_ns == event.at_ns or slow else NO_CAUSE

    def _spans(self, event: Event, lane: int) -> None:
        kind = event.kind
        if kind in ("crash", "ended"):
            self._close("paused", lane, event)
            if lane not in self._clients or kind == "crash" or _by_error(event):
                self._open["down", lane, None] = event
        elif kind in ("start", "restart"):
            self._close("down", lane, event)
        elif kind == "pause":
            self._open["paused", lane, None] = event
        elif kind == "resume":
            self._close("paused", lane, event)
        elif kind == "partition":
            for cut_off in self._cut_off(event):
                self._open["apart", cut_off, _cut(event)] = event
        elif kind == "heal":
            for what, cut_off, cut in list(self._open):
                if what == "apart" and _cut(event) in (None, cut):
                    self._close("apart", cut_off, event, cut)
        elif kind == "client.call":
            self._open["call", event.number, None] = event
        elif kind == "client.return":
            self._close("call", event.cause, event)

    def _cut_off(self, event: Event) -> list[int]:
        """The lanes of all groups but the largest, or what all pairs have in common; else all that are
        named, and everybody where nobody is."""
        text = " ".join(datum for datum in event.data[-1:] if isinstance(datum, str))
        found = [self._named(part) for part in text.split("|")]
        groups = sorted((group for group in found if group), key=len)
        if len(groups) > 1:
            return [lane for group in groups[:-1] for lane in group]
        pairs = [self._named(part) for part in re.split(r"[\s,;]+", text)]
        common = [lane for lane in self._named(text) if all(lane in pair for pair in pairs)]
        return common or self._named(text) or list(self.of.values())

    def _named(self, text: str) -> list[int]:
        return [self.of[word] for word in dict.fromkeys(_WORDS.findall(text)) if word in self.of]

    def _close(self, what: str, key: int, at: Event, cut: Datum = None) -> None:
        begun = self._open.pop((what, key, cut), None)
        if begun is not None:
            self.spans.append(self._span(what, key, begun, at.at_ns))

    def _span(self, what: str, key: int, begun: Event, to_ns: int) -> Span:
        lane = self.of.get(begun.host, WORLD) if what == "call" else key
        return Span(what, lane, begun.at_ns, to_ns, f"{begun.kind} {data_text(begun.data)}".strip())

    def left_open(self, end_ns: int) -> list[Span]:
        """What had not ended when the trace did."""
        spans = [self._span(what, key, begun, end_ns) for (what, key, _cut), begun in self._open.items()]
        return [span._replace(kind="unanswered") if span.kind == "call" else span for span in spans]


def _cut(event: Event) -> Datum:
    """The name of a cut and its number."""
    named = event.data[:2] if event.kind == "heal" else event.data[:-1]
    return "/".join(map(str, named)) or None


def _by_error(event: Event) -> bool:
    """A program ended that should not have; a client whose work is done is not down."""
    return event.kind == "ended" and any(datum is not None for datum in event.data)


def _why(event: Event) -> str:
    texts = [datum for datum in event.data[4:] if isinstance(datum, str)]
    return " ".join(texts) or "lost"


def _size(event: Event) -> int:
    size = event.data[2] if len(event.data) > 2 else 0
    return size if isinstance(size, int) else 0
