"""Liveness is between nodes: one beat speaks for all groups that its sender leads.

One rule: a beat says what changed since the peer last confirmed, and a hash of what did not; only where both
sides hold the same rows does the hash speak for them. To a core, a beat that covers its group, by row or by
hash, is a heartbeat of that group.

Pure: the shell collects rows, sends, and hands the rows that come out to the cores::

    beats.beat(peer, rows) -> Beat             rows of the groups led here with the peer among their members
    beats.on_beat(peer, beat) -> rows          each to its core: core.beat(peer, row, now)
    beats.answer(peer, rows) -> BeatAnswer     then at once the answer: core.answer_row() of those groups
    beats.on_answer(peer, answer) -> rows      each to its core: core.beat_answer(peer, row, now)

Rows are made on demand, in the step in which they leave, so none speaks for a state that the core has left.
"""

import struct
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, Generic, NamedTuple, TypeVar

from haqactor.ids import GroupId, Index, NodeId, Term

_ROW: Final = struct.Struct("<4Q")
_UNCONFIRMED_MAX: Final = 16
_NUMBER_END: Final = 1 << 63
STUCK_BEATS: Final = 3


class BeatRow(NamedTuple):
    """A group as its leader has it. ``context``: the newest covering round."""

    group: GroupId
    term: Term
    commit: Index
    context: int


class AnswerRow(NamedTuple):
    """The same group as a follower has it. ``context``: the newest round heard in ``term``; ``suspect``:
    counts not."""

    group: GroupId
    term: Term
    context: int
    suspect: bool


RowT = TypeVar("RowT", BeatRow, AnswerRow)


def _check(numbers: Sequence[Any], digest: Any = b"", flags: Sequence[Any] = ()) -> None:
    """Are these what they should be? Raises ValueError."""
    right = type(digest) is bytes
    for number in numbers:  # plain loops: every beat and answer of every peer comes by here
        right = right and type(number) is int and 0 <= number < _NUMBER_END
    for flag in flags:
        right = right and type(flag) is bool
    if not right:
        raise ValueError("a number is out of range, or something else stands in its place")


class Beat(NamedTuple):
    """``seq`` counts this sender's beats to this peer; ``ack`` is the newest answer it has. ``rows`` changed
    since the peer's last confirmation, ``gone`` are groups no longer spoken for, ``digest`` hashes the rest.
    ``full``: forget what you held. ``want_all``: your last answer's hash did not match, send all."""

    seq: int
    boot: int
    ack: int
    rows: tuple[BeatRow, ...]
    gone: tuple[GroupId, ...]
    digest: bytes
    full: bool
    want_all: bool

    def to_tuple(self) -> tuple[Any, ...]:
        """Plain values for CBOR."""
        return tuple(self)

    @staticmethod
    def from_tuple(values: Sequence[Any]) -> "Beat":
        """What ``to_tuple`` made. Raises TypeError or ValueError on anything else."""
        seq, boot, ack, rows, gone, digest, full, want_all = values
        decoded = tuple([BeatRow(*row) for row in rows]) if rows else ()
        _check((seq, boot, ack, *gone), digest, (full, want_all))
        for row in decoded:
            _check(row)
        return Beat(seq, boot, ack, decoded, tuple(gone), digest, full, want_all)


class BeatAnswer(NamedTuple):
    """The same for the answer; ``seq`` is that of the beat answered, ``ack`` the newest beat that was
    understood whole."""

    seq: int
    boot: int
    ack: int
    rows: tuple[AnswerRow, ...]
    gone: tuple[GroupId, ...]
    digest: bytes
    full: bool
    want_all: bool

    def to_tuple(self) -> tuple[Any, ...]:
        """Plain values for CBOR."""
        return tuple(self)

    @staticmethod
    def from_tuple(values: Sequence[Any]) -> "BeatAnswer":
        """What ``to_tuple`` made. Raises TypeError or ValueError on anything else."""
        seq, boot, ack, rows, gone, digest, full, want_all = values
        decoded = tuple([AnswerRow(*row) for row in rows]) if rows else ()
        _check((seq, boot, ack, *gone), digest, (full, want_all))
        for row in decoded:
            _check(row[:3], b"", row[3:])
        return BeatAnswer(seq, boot, ack, decoded, tuple(gone), digest, full, want_all)


def digest_of(rows: Iterable[BeatRow | AnswerRow]) -> bytes:
    """16 bytes that stand for these rows, in the order of their groups."""
    digest = blake2b(digest_size=16)
    for row in sorted(rows):
        digest.update(_ROW.pack(*row))
    return digest.digest()


class _Said(Generic[RowT]):
    """What this node says to one peer: which rows the peer is known to hold, and what is on its way.
    ``_steady``: the confirmed rows in order and their hash, so that where nothing changes nothing is
    hashed."""

    __slots__ = ("_confirmed", "_on_the_way", "_start_over", "_steady")

    def __init__(self) -> None:
        self._confirmed: dict[GroupId, RowT] = {}
        self._steady: tuple[list[RowT], bytes] | None = None
        self._on_the_way: dict[int, dict[GroupId, RowT]] = {}
        self._start_over = True

    def say(
        self, seq: int, rows: Sequence[RowT]
    ) -> tuple[tuple[RowT, ...], tuple[GroupId, ...], bytes, bool]:
        """Changed rows, gone groups, the hash of the rest, and whether the peer starts anew."""
        ordered = sorted(rows)
        if self._steady is not None and self._steady[0] == ordered and not self._start_over:
            self._note(seq, self._confirmed)
            return (), (), self._steady[1], False
        current = {row.group: row for row in ordered}
        known: dict[GroupId, RowT] = {} if self._start_over else self._confirmed
        changed = tuple([row for group, row in current.items() if known.get(group) != row])
        gone = tuple([group for group in known if group not in current])
        same = [row for group, row in current.items() if known.get(group) == row]
        digest = digest_of(same)
        if not (changed or gone or self._start_over):
            current = self._confirmed
            self._steady = (ordered, digest)
        self._note(seq, current)
        return changed, gone, digest, self._start_over

    def _note(self, seq: int, current: dict[GroupId, RowT]) -> None:
        self._on_the_way[seq] = current
        while len(self._on_the_way) > _UNCONFIRMED_MAX:
            del self._on_the_way[next(iter(self._on_the_way))]

    def confirmed(self, seq: int) -> None:
        """The peer holds what was said in ``seq``."""
        rows = self._on_the_way.get(seq)
        if rows is None:
            return
        if rows is not self._confirmed:
            self._confirmed = rows
            self._steady = None
        self._start_over = False
        while self._on_the_way and (oldest := next(iter(self._on_the_way))) <= seq:
            del self._on_the_way[oldest]

    def start_over(self) -> None:
        """The peer holds something else: say everything next time."""
        self._confirmed = {}
        self._steady = None
        self._on_the_way.clear()
        self._start_over = True


class _Heard(Generic[RowT]):
    """What one peer says to this node."""

    __slots__ = ("_steady", "_table", "boot", "mismatch", "seq")

    def __init__(self) -> None:
        self._table: dict[GroupId, RowT] = {}
        self._steady: tuple[tuple[RowT, ...], bytes] | None = None  # the table and its hash, until it changes
        self.boot = 0
        self.seq = 0
        self.mismatch = False

    def newer(self, boot: int, seq: int) -> bool:
        """Is this the newest message so far? A new boot starts anew."""
        if boot > self.boot:
            self._table, self.boot, self.seq, self.mismatch = {}, boot, 0, False
            self._steady = None
        if boot < self.boot or seq <= self.seq:
            return False
        self.seq = seq
        return True

    def hear(
        self, rows: Sequence[RowT], gone: Sequence[GroupId], digest: bytes, full: bool
    ) -> tuple[RowT, ...]:
        """All rows that the message speaks for; the changed ones only, where the hash does not match."""
        if not (full or gone or rows):
            if self._steady is None:
                everything = tuple(self._table.values())
                self._steady = (everything, digest_of(everything))
            self.mismatch = self._steady[1] != digest
            return () if self.mismatch else self._steady[0]
        self._steady = None
        if full:
            self._table = {}
        for group in gone:
            self._table.pop(group, None)
        changed = {row.group: row for row in rows}
        same = [row for group, row in self._table.items() if group not in changed]
        self._table.update(changed)
        self.mismatch = digest_of(same) != digest
        return tuple(changed.values()) if self.mismatch else tuple(self._table.values())


class _Peer:
    __slots__ = ("answers_heard", "answers_said", "beats_heard", "beats_said", "understood")

    def __init__(self) -> None:
        self.beats_said: _Said[BeatRow] = _Said()
        self.beats_heard: _Heard[BeatRow] = _Heard()
        self.answers_said: _Said[AnswerRow] = _Said()
        self.answers_heard: _Heard[AnswerRow] = _Heard()
        self.understood = 0  # the newest beat whose hash matched


class Heartbeats:
    """A node's beats with all its peers. ``boot``: this start's epoch."""

    __slots__ = ("_boot", "_peers", "_seq")

    def __init__(self, boot: int) -> None:
        self._boot = boot
        self._peers: dict[NodeId, _Peer] = {}
        self._seq = 0

    def _peer(self, peer: NodeId) -> _Peer:
        known = self._peers.get(peer)
        if known is None:
            known = self._peers[peer] = _Peer()
        return known

    def beat(self, peer: NodeId, rows: Sequence[BeatRow]) -> Beat:
        """The next beat to ``peer``; ``rows`` of the groups that are led here, have it as a member and are
        not stuck."""
        known = self._peer(peer)
        self._seq += 1
        changed, gone, digest, full = known.beats_said.say(self._seq, rows)
        heard = known.answers_heard
        return Beat(self._seq, self._boot, heard.seq, changed, gone, digest, full, heard.mismatch)

    def on_beat(self, peer: NodeId, beat: Beat) -> tuple[BeatRow, ...] | None:
        """The rows that a beat speaks for; None where it is late or repeated, then there is nothing to
        answer."""
        known = self._peer(peer)
        restarted = beat.boot > known.beats_heard.boot
        if not known.beats_heard.newer(beat.boot, beat.seq):
            return None
        if restarted or beat.want_all:
            known.answers_said.start_over()
            known.understood = 0 if restarted else known.understood
        else:
            known.answers_said.confirmed(beat.ack)
        rows = known.beats_heard.hear(beat.rows, beat.gone, beat.digest, beat.full)
        if not known.beats_heard.mismatch:
            known.understood = beat.seq
        return rows

    def answer(self, peer: NodeId, rows: Sequence[AnswerRow]) -> BeatAnswer:
        """The answer to the beat just heard; ``rows`` of the groups that it spoke for and that are not stuck
        here."""
        known = self._peer(peer)
        seq = known.beats_heard.seq
        changed, gone, digest, full = known.answers_said.say(seq, rows)
        wants = known.beats_heard.mismatch
        return BeatAnswer(seq, self._boot, known.understood, changed, gone, digest, full, wants)

    def on_answer(self, peer: NodeId, answer: BeatAnswer) -> tuple[AnswerRow, ...]:
        """The rows that an answer speaks for; none where it is late, repeated, or of an older boot of the
        peer."""
        known = self._peer(peer)
        if answer.seq > self._seq or not known.answers_heard.newer(answer.boot, answer.seq):
            return ()
        if answer.want_all:
            known.beats_said.start_over()
        else:
            known.beats_said.confirmed(answer.ack)
        return known.answers_heard.hear(answer.rows, answer.gone, answer.digest, answer.full)

    def wants_beat(self, peer: NodeId) -> bool:
        """Did the last exchange with ``peer`` not match, so that an early beat would help?"""
        known = self._peer(peer)
        return known.answers_heard.mismatch


class Turns:
    """Which groups are stuck: work waits, and no turn was finished during the last three beats. Counted in
    beats, not in time: a stalled loop must not cost all leaderships at once."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[GroupId, tuple[int, int]] = {}  # turns, beats since they last moved

    def moving(self, group: GroupId, turns: int, waiting: bool) -> bool:
        """Called once a beat for each group: ``turns`` finished so far, ``waiting``: is there work? False:
        leave its row out."""
        last, beats = self._seen.get(group, (-1, 0))
        beats = 0 if turns != last or not waiting else beats + 1
        self._seen[group] = (turns, beats)
        return beats < STUCK_BEATS

    def still(self, group: GroupId) -> int:
        """For how many beats in a row it has not moved, though work waits."""
        return self._seen.get(group, (0, 0))[1]

    def stuck(self, group: GroupId) -> bool:
        """Was it, at the last beat?"""
        return self._seen.get(group, (0, 0))[1] >= STUCK_BEATS
