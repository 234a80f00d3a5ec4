"""The machine of a data group: its queues and producer windows, as a function of the group's log.

One rule: ``apply`` is total and deterministic. It reads the entry and the state, no clock, no configuration,
no body; what a client did wrong is a reply, and only what this version does not know stops the node.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from haqactor.env import Buffer, NullProbe, Probe
from haqactor.errors import (
    DataDamaged,
    Error,
    InvalidArgument,
    InvariantViolation,
    NotFound,
    SequenceGap,
    UnknownVersion,
)
from haqactor.ids import Index, Term
from haqactor.machine import snapshot, views
from haqactor.machine.batches import Located
from haqactor.machine.chain import chained
from haqactor.machine.commands import Command, Header, Op, Range, decode
from haqactor.machine.effects import (
    Applied,
    Awake,
    Effect,
    Published,
    Purged,
    QueueChanged,
    QueueDropped,
    Reserved,
    Settled,
    Ticked,
)
from haqactor.machine.held import Held
from haqactor.machine.intervals import IntervalSet
from haqactor.machine.producers import Claim, Producer, Producers
from haqactor.machine.queue import Moves, Origin, Queue
from haqactor.machine.versions import KNOWN, Agreed, Versions

TICK_BUDGET: Final = 1000
"""Timers that act in one tick at most, so that no entry is a long pause."""
_NULL: Final = NullProbe()
Decode: TypeAlias = Callable[[Buffer, Versions], Header]


class GroupMachine:
    """``queues``: uid to Queue (read only for others). ``held``: the sum over them. ``time_ns``: the T of the
    last entry. ``index``, ``term``: of the last entry applied. ``dir_index``: the change of the directory
    that was followed last. ``known``: the versions that this release can apply. ``decode``: reads headers;
    what it returns is not changed here, so it may return the same value to several machines."""

    def __init__(self, probe: Probe = _NULL, known: Versions = KNOWN, decode: Decode = decode) -> None:
        self._probe = probe
        self._decode = decode
        self._agreed = Agreed(probe, known)
        self.index = Index(0)
        self.term = Term(0)
        self.time_ns = 0
        self.dir_index = 0
        self.queues: dict[int, Queue] = {}
        self.held = Held()
        self.producers = self._no_producers()
        self._names: dict[str, int] = {}
        self._chain: int = 0
        self._views = 0
        self._view: snapshot.View | None = None
        self._handlers: dict[int, Callable[[Command, list[Effect]], Any]] = {
            Op.PUBLISH: self._publish,
            Op.SETTLE: self._settle,
            Op.RETURN: self._return,
            Op.RESERVE: self._reserve,
            Op.PURGE: self._purge,
            Op.TICK: self._tick,
            Op.PRODUCER_EPOCH: self._producer_epoch,
            Op.END_SESSION: self._end_session,
            Op.FOLLOW_DIRECTORY: self._follow_directory,
            Op.LIMITS: self._limits,
            Op.RAISE_VERSION: self._raise_version,
        }

    def apply(self, index: Index, term: Term, header: Buffer, body_bytes: int) -> Applied:
        """Apply the next entry; an empty header (a no-op, a configuration) only moves ``index`` on. Raises
        UnknownVersion on one that this release does not know, InvariantViolation on one out of order."""
        if index <= self.index or term < self.term:
            raise InvariantViolation(f"entry {index} (term {term}) behind {self.index} (term {self.term})")
        self.index, self.term = index, term
        applied = Applied(index, term, [], [])
        if not len(header):
            return applied
        try:
            self._apply(header, applied)
        except UnknownVersion:
            if not self._agreed.passes_over():
                raise
        except snapshot.MALFORMED as error:
            raise InvariantViolation(f"entry {index} cannot be applied: {error!r:.80}") from error
        return applied

    @property
    def version(self) -> int:
        """The newest that the group has agreed on."""
        return self._agreed.version

    def _apply(self, header: Buffer, applied: Applied) -> None:
        version, time_ns, commands = self._decode(header, self._agreed.known)
        self._agreed.allow(version, applied.index)
        self.time_ns = max(self.time_ns, time_ns)
        handlers, effects = self._handlers, applied.effects
        for command in commands:
            handler = handlers.get(command[0])
            if handler is None:
                raise InvariantViolation(f"a command of another kind of group: {command!r:.80}")
            reply = handler(command, effects)
            applied.replies.append(reply)
            self._chain = chained(self._chain, self.index, command[0], reply)

    def _no_producers(self) -> Producers:
        producers = Producers(self._touch_producer)
        producers.lenient = self._probe.bug("machine.fence_ignored")
        return producers

    # -- commands --

    def _publish(self, command: Command, effects: list[Effect]) -> Any:
        _op, uid, producer, epoch, first, count, crc, below, began_ns, body_at, body_bytes = command
        queue = self.queues.get(uid)
        if queue is None:
            return NotFound(f"queue {uid} does not exist (any more)")
        if not (1 <= count <= 0xFFFF and first >= 1 and epoch >= 0):
            return InvalidArgument(f"a claim of {count} messages from number {first}")
        window = self.producers.open(
            Claim(producer, epoch, first, count, crc, below, began_ns), uid, self.time_ns
        )
        if isinstance(window, Error):
            self._probe.mark("machine.claim_refused")
            return window
        if not epoch:
            window.prune(below)
        if first <= window.last and not self._probe.bug("machine.no_dedup"):
            self._probe.mark("machine.dedup_hit")
            return window.receipts(first, count, crc)
        if first > window.last + 1:
            self._probe.mark("machine.sequence_gap")
            return SequenceGap(f"number {first} where {window.last + 1} is next")
        self._touch(queue)
        row = Located(0, 0, self.index, body_at, body_bytes, 0, count, self.time_ns)
        queue_seq = queue.append(count, row)
        window.store(first, count, crc, queue_seq)
        effects.append(Published(uid, queue_seq, count))
        return [[queue_seq, count, False]]

    def _settle(self, command: Command, effects: list[Effect]) -> Any:
        _op, uid, acks, nacks, rejects, releases = command
        queue = self.queues.get(uid)
        if queue is None:
            return NotFound(f"queue {uid} does not exist (any more)")
        self._touch(queue)
        moves = Moves()
        for low, high in acks:
            queue.retire(low, high, moves)
        for low, high, delay_ns, reason in nacks:
            if queue.suspects:
                queue.suspects.discard(low, high)
            for run in queue.fail([(low, high)], self.time_ns, delay_ns, moves):
                self._bury(queue, *run, reason, moves, effects)
        if rejects and self._probe.bug("machine.rejects_unordered"):
            rejects = rejects[::-1]
        for low, high, reason in rejects:
            for piece in queue.standing(low, high):
                for first, last, failures in queue.failures.runs(*piece):
                    self._reject(queue, first, last, failures, reason, moves, effects)
        if releases:
            queue.put_back(releases, moves, cleared=True)
        moved = [(row[0], row[1]) for rows in (nacks, rejects, releases) for row in rows]
        effects.append(_settled(uid, acks, moved, moves))
        return True

    def _reject(
        self,
        queue: Queue,
        low: int,
        high: int,
        failures: int,
        reason: str,
        moves: Moves,
        effects: list[Effect],
    ) -> None:
        if queue.settings["dead_letter"] is None:
            self._probe.mark("machine.discarded")
            queue.discarded += queue.retire(low, high, moves)
        else:
            self._bury(queue, low, high, failures, reason, moves, effects)

    def _bury(
        self,
        queue: Queue,
        low: int,
        high: int,
        attempts: int,
        reason: str,
        moves: Moves,
        effects: list[Effect],
    ) -> None:
        """To the dead-letter queue, which refers to the stored entry; without one the messages are parked."""
        target = self.queues.get(self._names.get(queue.settings["dead_letter"], -1))
        if target is None or target is queue:
            self._probe.mark("machine.parked")
            queue.park(low, high, moves)
            return
        self._probe.mark("machine.dead_lettered")
        self._touch(target)
        for row in queue.batches.locate(low, high):
            origin = Origin(queue.uid, row.first, reason, attempts, self.time_ns)
            count = row.last - row.first + 1
            first = target.append(count, row._replace(enqueued_ns=self.time_ns), origin)
            effects.append(Published(target.uid, first, count))
        queue.discarded += queue.retire(low, high, moves)

    def _return(self, command: Command, effects: list[Effect]) -> Any:
        _op, uid, _cause, ranges, charged, suspects = command
        queue = self.queues.get(uid)
        if queue is None:
            return NotFound(f"queue {uid} does not exist (any more)")
        self._touch(queue)
        moves = Moves()
        if suspects:
            self._probe.mark("machine.suspects")
        queue.put_back(ranges, moves, cleared=False)
        failed = [(low, high) for low, high in charged] + queue.suspect(suspects, moves)
        for run in queue.fail(failed, self.time_ns, 0, moves):
            self._bury(queue, *run, "attempts used up: its consumers were lost", moves, effects)
        moved = [(low, high) for rows in (ranges, charged, suspects) for low, high in rows]
        effects.append(_settled(uid, (), moved, moves))
        return True

    def _reserve(self, command: Command, effects: list[Effect]) -> Any:
        _op, uid, upto, holders = command
        queue = self.queues.get(uid)
        if queue is None:
            return NotFound(f"queue {uid} does not exist (any more)")
        self._touch(queue)
        queue.reserve = max(queue.reserve, upto)
        queue.holders = {(row[0], row[1]): True for row in holders}
        effects.append(Reserved(uid))
        return True

    def _purge(self, command: Command, effects: list[Effect]) -> Any:
        _op, uid, spare = command
        queue = self.queues.get(uid)
        if queue is None:
            return NotFound(f"queue {uid} does not exist (any more)")
        self._touch(queue)
        moves = Moves()
        purged = queue.purge(IntervalSet((low, high) for low, high in spare), moves)
        self._probe.mark("machine.purged")
        effects.append(Purged(uid, tuple(moves.gone)))
        return purged

    def _tick(self, command: Command, effects: list[Effect]) -> Any:
        budget = TICK_BUDGET
        for queue in self.queues.values():
            if queue.deferrals and queue.deferrals[0][0] <= self.time_ns and budget > 0:
                self._touch(queue)
                ready, budget = queue.wake(self.time_ns, budget)
                effects.append(Awake(queue.uid, tuple(ready)))
        if command[1]:
            self.producers.expire(self.time_ns, budget)
        effects.append(Ticked())
        return True

    def _producer_epoch(self, command: Command, _effects: list[Effect]) -> Any:
        _op, producer, epoch, uid = command
        if uid and uid not in self.queues:
            return NotFound(f"queue {uid} does not exist (any more)")
        refused = self.producers.fence(producer, epoch, self.time_ns)
        if refused is not None:
            self._probe.mark("machine.fenced")
        return refused or [self.time_ns, self.producers.last_seq(producer, uid)]

    def _end_session(self, command: Command, _effects: list[Effect]) -> Any:
        self.producers.end(command[1], self.time_ns)
        return True

    def _limits(self, command: Command, _effects: list[Effect]) -> Any:
        self.producers.sessions_max = command[1]
        return True

    def _raise_version(self, command: Command, _effects: list[Effect]) -> Any:
        return self._agreed.raise_to(command[1])

    def _follow_directory(self, command: Command, effects: list[Effect]) -> Any:
        _op, upto, drops, ensures = command
        if upto <= self.dir_index:
            return True
        self.dir_index = upto
        for uid in drops:
            queue = self.queues.get(uid)
            if queue is not None:
                self._probe.mark("machine.queue_dropped")
                self._touch(queue)
                del self.queues[uid]
                self.held.leave(queue)
                if self._names.get(queue.name) == uid:
                    del self._names[queue.name]
                effects.append(QueueDropped(uid))
        if drops:
            self.producers.forget_queues(dict.fromkeys(drops))
        for row in ensures:
            snapshot.check(row, int, int, str, dict)
            uid, version, name, settings = row
            queue = self.queues.get(uid)
            if queue is None:
                self.queues[uid] = Queue(uid, name, version, settings, self._views, self.held)
                self._names[name] = uid
            else:
                self._touch(queue)
                queue.version, queue.settings = version, settings
            effects.append(QueueChanged(uid, version))
        return True

    # -- views --

    def locate(self, uid: int, ranges: Iterable[Range]) -> list[Located]:
        """Where the messages of ``ranges`` are stored, batch by batch, in order. Raises NotFound."""
        queue = self._queue(uid)
        return [row for low, high in ranges for row in queue.batches.locate(low, high)]

    def peek(self, uid: int, limit: int, first: int = 0) -> list[Located]:
        """Where the first ``limit`` messages from ``first`` on that are not settled are stored, leased and
        deferred ones included. Raises NotFound."""
        return views.peek(self._queue(uid), limit, first)

    def failures(self, uid: int, low: int, high: int) -> tuple[Range, ...]:
        """(sequence, failures so far) where there were some. Raises NotFound."""
        return self._queue(uid).failures_of(low, high)

    def info(self, uid: int) -> dict[str, Any]:
        """``ready`` counts leased ones too (the dispatcher knows them). Raises NotFound."""
        return views.info(self._queue(uid))

    def last_seq(self, producer: bytes, uid: int) -> int:
        """The highest number of the producer that is stored in the queue; 0 if none is known."""
        return self.producers.last_seq(producer, uid)

    def wakes_ns(self) -> int | None:
        """The T at which the first deferral ends."""
        return min((queue.deferrals[0][0] for queue in self.queues.values() if queue.deferrals), default=None)

    def live_entries(self) -> list[Range]:
        """Sorted ranges of the indexes of all entries whose bodies may still be needed."""
        return views.live_entries(self.queues.values())

    def digest(self) -> bytes:
        """16 bytes, equal on replicas that applied the same entries, snapshots between or not."""
        found = blake2b(digest_size=16)
        state = (self.version, self.index, self.time_ns, self.dir_index, self._chain)
        found.update(array("Q", (*state, len(self.producers), len(self.producers.ended))).tobytes())
        for uid in sorted(self.queues):
            found.update(views.fingerprint(self.queues[uid]))
        return found.digest()

    # -- snapshots --

    def snapshot_chunks(self) -> Iterator[bytes]:
        """The state as of now, in chunks, to be read while the machine goes on. A newer call makes older ones
        raise Conflict."""
        if self._view is not None:
            self._view.stale = True
        self._views += 1
        self.producers.mark = self._views
        view = self._view = snapshot.View(self._views)
        head = ["machine", self.version, self.index, self.term, self.time_ns, self.dir_index, self._chain]
        head.append(self.producers.sessions_max)
        known = self.producers
        sessions = [*known.ended.values(), *known.named.values(), *known.anonymous.values()]
        with_rows = dict.fromkeys(known.with_rows)
        chunks = self._chunks(view, snapshot.chunk(head), list(self.queues.values()), sessions, with_rows)
        next(chunks)  # so that its end is noticed though nobody reads it
        return chunks

    def _chunks(
        self,
        view: snapshot.View,
        head: bytes,
        queues: list[Queue],
        sessions: list[Producer],
        with_rows: dict[bytes, None],
    ) -> Iterator[bytes]:
        try:
            yield b""  # begun
            yield head
            for queue in queues:
                yield from view.take(queue.uid, queue, snapshot.encode_queue)
            held = dict.fromkeys(queue.uid for queue in queues)
            yield from snapshot.producer_chunks(self._producer_rows(view, sessions, with_rows, held))
            yield snapshot.chunk(["end"])
        finally:
            view.stale = True
            if self._view is view:
                self._view = None

    def _producer_rows(
        self,
        view: snapshot.View,
        sessions: list[Producer],
        with_rows: dict[bytes, None],
        held: dict[int, None],
    ) -> Iterator[list[Any]]:
        for producer in sessions:
            row = view.take(producer.key, producer, snapshot.encode_producer)
            if self._probe.bug("machine.snapshot_without_windows"):
                continue
            row[4] = [window for window in row[4] if window[0] in held]
            yield [*row, row[1] > 0 and row[0] in with_rows]

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Replace the whole state by that of a snapshot. Raises DataDamaged if it is not complete or not one,
        UnknownVersion, InvariantViolation on a kind of chunk that is not known; the machine is then of no
        use."""
        self._probe.mark("machine.restored")
        self.queues.clear()
        self.held = Held()
        self._names.clear()
        self.producers = self._no_producers()
        self.producers.mark = self._views
        if self._view is not None:
            self._view.stale = True
            self._view = None
        kind = ""
        try:
            for row in snapshot.read(chunks):
                kind = row[0]
                self._restore_chunk(kind, row)
        except snapshot.MALFORMED as error:
            raise DataDamaged(f"a snapshot holds what no release writes: {error}") from error
        if kind != "end":
            raise DataDamaged("a snapshot has no end")
        for queue in self.queues.values():
            snapshot.restore_totals(queue, self.held)

    def _restore_chunk(self, kind: str, row: list[Any]) -> None:
        if kind == "machine":
            snapshot.check(row[2:], *[int] * 6)
            self._agreed.restore(row[1])
            self.index, self.term, self.time_ns, self.dir_index, self._chain, limit = row[2:]
            self.producers.sessions_max = limit
        elif kind == "queue":
            queue = snapshot.restore_queue(row)
            queue.mark = self._views
            self.queues[queue.uid] = queue
            self._names[queue.name] = queue.uid
        elif kind == "column":
            snapshot.restore_column(self.queues[row[1]], *row[2:])
        elif kind == "origins":
            snapshot.restore_origins(self.queues[row[1]], row[2])
        elif kind == "producers":
            for item in row[1]:
                if self._probe.bug("machine.restored_without_windows"):
                    item[4] = []
                producer = snapshot.restore_producer(item)
                producer.mark = self._views
                self.producers.restore(producer, with_rows=item[5])
        elif kind != "end":
            raise InvariantViolation(f"a snapshot holds {kind!r}, which this release does not know")

    def _touch(self, queue: Queue) -> None:
        if self._view is not None and not self._probe.bug("machine.snapshot_not_frozen"):
            self._view.keep(queue.uid, queue, snapshot.encode_queue)

    def _touch_producer(self, producer: Producer) -> None:
        if self._view is not None:
            self._view.keep(producer.key, producer, snapshot.encode_producer)

    def _queue(self, uid: int) -> Queue:
        queue = self.queues.get(uid)
        if queue is None:
            raise NotFound(f"queue {uid} does not exist (any more)")
        return queue


def _settled(uid: int, acks: Iterable[Any], moved: Iterable[Range], moves: Moves) -> Settled:
    return Settled(
        uid,
        tuple([(low, high) for low, high in acks]),
        tuple(moved),
        tuple(moves.ready),
        tuple(moves.deferred),
        tuple(moves.gone),
    )
