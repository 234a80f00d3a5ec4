"""Publish deduplication: what each producer has stored in each queue, and for how long that is remembered.

One rule: a claim is stored at most once. What can no longer be told apart from a retry is refused
(SequenceExpired), never taken for new.

A claim is ``first .. first + count - 1`` of a producer's numbers in one queue, which begin at 1 and have no
holes. A window keeps the last 1,024 claims with their CRC and place. Sessions are in order of their last use,
so that expiry by T looks only at the oldest.
"""

from array import array
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from haqactor.errors import Error, Fenced, Overloaded, SequenceConflict, SequenceExpired, SequenceGap

WINDOW_ROWS: Final = 1024
SESSIONS_MAX: Final = 100_000
_NS: Final = 1_000_000_000
ANONYMOUS_EXPIRY_NS: Final = 600 * _NS
ROWS_EXPIRY_NS: Final = 24 * 3600 * _NS
NAMED_EXPIRY_NS: Final = 30 * 24 * 3600 * _NS
_STRIDE: Final = 3

Runs = list[list[int | bool]]


class Claim(NamedTuple):
    """What a publish asks for; see ``wire.Publish``."""

    producer: bytes
    epoch: int
    first: int
    messages: int
    crc: int
    below: int
    began_ns: int


class Window:
    """One producer in one queue. ``rows``: first, queue sequence, crc << 16 | count, one claim behind the
    other."""

    __slots__ = ("last", "rows")

    def __init__(self, last: int = 0, rows: "array[int] | None" = None) -> None:
        self.last = last
        self.rows = array("Q") if rows is None else rows

    def store(self, first: int, count: int, crc: int, queue_seq: int) -> None:
        """Remember a claim that was stored."""
        self.rows.extend((first, queue_seq, crc << 16 | count))
        self.last = first + count - 1
        if len(self.rows) > WINDOW_ROWS * _STRIDE:
            del self.rows[: len(self.rows) - WINDOW_ROWS * _STRIDE]

    def prune(self, below: int) -> None:
        """Forget claims wholly below ``below``: their producer holds the receipts."""
        rows = self.rows
        at = 0
        while at < len(rows) and rows[at] + (rows[at + 2] & 0xFFFF) <= below:
            at += _STRIDE
        if at:
            del rows[:at]

    def receipts(self, first: int, count: int, crc: int) -> Runs | Error:
        """The answer to a claim that begins at or below ``last``."""
        rows = self.rows
        end = first + count
        if end - 1 > self.last:
            return SequenceConflict(
                f"numbers {first}..{end - 1} begin among those stored (up to {self.last}) and reach beyond"
            )
        if not rows or first < rows[0]:
            return SequenceExpired(
                f"numbers {first}..{end - 1} were stored, but their receipts are no longer known"
            )
        low, high = 0, len(rows) // _STRIDE
        while high - low > 1:
            middle = (low + high) // 2
            if rows[middle * _STRIDE] <= first:
                low = middle
            else:
                high = middle
        at = low * _STRIDE
        if rows[at] == first and rows[at + 2] & 0xFFFF == count and rows[at + 2] >> 16 != crc:
            return SequenceConflict(f"numbers {first}..{end - 1} are stored with other content")
        runs: Runs = []
        while first < end:
            taken = min(end, rows[at] + (rows[at + 2] & 0xFFFF)) - first
            place = rows[at + 1] + first - rows[at]
            if runs and runs[-1][0] + runs[-1][1] == place:
                runs[-1][1] += taken
            else:
                runs.append([place, taken, True])
            first += taken
            at += _STRIDE
        return runs


class Producer:
    """One session in this group. ``epoch`` 0: anonymous."""

    __slots__ = ("ended", "epoch", "mark", "producer", "used_ns", "windows")

    def __init__(self, producer: bytes, epoch: int, used_ns: int, mark: int = 0) -> None:
        self.producer = producer
        self.epoch = epoch
        self.used_ns = used_ns
        self.ended = False
        self.mark = mark  #: see ``snapshot.View``
        self.windows: dict[int, Window] = {}

    @property
    def key(self) -> tuple[bytes, bool]:
        """A client may choose the id of a named producer for an anonymous one: they are two sessions."""
        return self.producer, self.epoch > 0


class Producers:
    """All sessions of a group, oldest use first. ``touch`` is called with a Producer before it changes."""

    __slots__ = ("_touch", "anonymous", "ended", "lenient", "mark", "named", "sessions_max", "with_rows")

    def __init__(self, touch: Callable[[Producer], None]) -> None:
        self._touch = touch
        self.anonymous: OrderedDict[bytes, Producer] = OrderedDict()
        self.ended: OrderedDict[bytes, Producer] = OrderedDict()
        self.named: OrderedDict[bytes, Producer] = OrderedDict()
        self.with_rows: OrderedDict[bytes, Producer] = (
            OrderedDict()
        )  #: those of ``named`` whose rows have not expired
        self.sessions_max = SESSIONS_MAX
        self.mark = 0  #: given to new producers
        self.lenient = False  #: a planted bug

    def __len__(self) -> int:
        return len(self.anonymous) + len(self.named)

    def last_seq(self, producer: bytes, uid: int) -> int:
        """The highest number stored in the queue, 0 if none is known."""
        found = self.named.get(producer) or self.anonymous.get(producer)
        window = found.windows.get(uid) if found is not None else None
        return window.last if window is not None else 0

    def open(self, claim: Claim, uid: int, now_ns: int) -> Window | Error:
        """The window for a claim, its session brought to life if it may be. Nothing is stored yet."""
        if claim.producer in self.ended:
            return SequenceExpired("this producer session has ended; begin a new one")
        named = claim.epoch > 0
        known = (self.named if named else self.anonymous).get(claim.producer)
        if known is not None and claim.epoch < known.epoch and not self.lenient:
            return Fenced("a newer producer of this name is open", current_token=known.epoch)
        window = known.windows.get(uid) if known is not None else None
        if window is None:
            if now_ns - claim.began_ns > (NAMED_EXPIRY_NS if named else ANONYMOUS_EXPIRY_NS):
                return SequenceExpired("this producer session expired; begin a new one")
            if known is None and len(self) >= self.sessions_max:
                return Overloaded(
                    f"the group holds {self.sessions_max} producer sessions, its limit", retry_after=1.0
                )
            if claim.first != 1:
                return SequenceGap(f"number {claim.first} where 1 is next")
        producer = self._use(known, claim.producer, claim.epoch, now_ns)
        if window is None:
            window = producer.windows[uid] = Window()
        return window

    def _use(self, known: Producer | None, producer: bytes, epoch: int, now_ns: int) -> Producer:
        sessions = self.named if epoch else self.anonymous
        if known is None:
            known = sessions[producer] = Producer(producer, epoch, now_ns, self.mark)
        else:
            self._touch(known)
            known.used_ns = now_ns
            known.epoch = epoch
            sessions.move_to_end(producer)
        if epoch:
            self.with_rows[producer] = known
            self.with_rows.move_to_end(producer)
        return known

    def fence(self, producer: bytes, epoch: int, now_ns: int) -> Error | None:
        """Begin of a named producer: older epochs are refused from here on."""
        known = self.named.get(producer)
        if known is not None and epoch < known.epoch and not self.lenient:
            return Fenced("a newer producer of this name is open", current_token=known.epoch)
        if known is None and len(self) >= self.sessions_max:
            return Overloaded(
                f"the group holds {self.sessions_max} producer sessions, its limit", retry_after=1.0
            )
        self._use(known, producer, epoch, now_ns)
        return None

    def end(self, producer: bytes, now_ns: int) -> None:
        """An anonymous session ends. Its rows go; its id stays refused until a late retry of it would be,
        too."""
        known = self.anonymous.get(producer)
        if known is None or len(self.ended) >= self.sessions_max:
            return
        self._touch(known)
        del self.anonymous[producer]
        known.windows = {}
        known.used_ns = now_ns
        known.ended = True
        self.ended[producer] = known

    def forget_queues(self, uids: dict[int, None]) -> None:
        """These queues were deleted: nothing can be published to them any more, so their windows go."""
        for sessions in (self.anonymous, self.named):
            for producer in sessions.values():
                dead = [uid for uid in producer.windows if uid in uids]
                if dead:
                    self._touch(producer)
                    for uid in dead:
                        del producer.windows[uid]

    def expire(self, now_ns: int, budget: int) -> int:
        """Let up to ``budget`` old sessions go. Returns the rest of the budget."""
        budget = self._drop(self.anonymous, now_ns - ANONYMOUS_EXPIRY_NS, budget)
        budget = self._drop(self.ended, now_ns - ANONYMOUS_EXPIRY_NS, budget)
        while budget > 0 and self.with_rows:
            producer = next(iter(self.with_rows.values()))
            if producer.used_ns >= now_ns - ROWS_EXPIRY_NS:
                break
            self._touch(producer)
            del self.with_rows[producer.producer]
            for window in producer.windows.values():
                window.rows = array("Q")
            budget -= 1
        return self._drop(self.named, now_ns - NAMED_EXPIRY_NS, budget)

    def _drop(self, sessions: "OrderedDict[bytes, Producer]", before_ns: int, budget: int) -> int:
        while budget > 0 and sessions:
            producer = next(iter(sessions.values()))
            if producer.used_ns >= before_ns:
                break
            self._touch(producer)
            del sessions[producer.producer]
            if sessions is self.named:
                self.with_rows.pop(producer.producer, None)
            budget -= 1
        return budget

    def next_due_ns(self) -> int | None:
        """The T at which a session expires next."""
        first: int | None = None
        for sessions, span in (
            (self.anonymous, ANONYMOUS_EXPIRY_NS),
            (self.ended, ANONYMOUS_EXPIRY_NS),
            (self.with_rows, ROWS_EXPIRY_NS),
            (self.named, NAMED_EXPIRY_NS),
        ):
            if sessions:
                due = sessions[next(iter(sessions))].used_ns + span + 1
                if first is None or due < first:
                    first = due
        return first

    def restore(self, producer: Producer, *, with_rows: bool) -> None:
        """Put back one of a snapshot; they come in the order of use."""
        if producer.ended:
            self.ended[producer.producer] = producer
        elif producer.epoch:
            self.named[producer.producer] = producer
            if with_rows:
                self.with_rows[producer.producer] = producer
        else:
            self.anonymous[producer.producer] = producer
