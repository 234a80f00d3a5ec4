"""The reference model of a group's queues: what the machine ought to do, as a person would write it.

One rule: slow and obvious, one record a message. It shares nothing with ``haqactor.machine`` but the
commands' numbers and their decoding, so that both are not wrong in the same way.

Fed with the committed entries in order, it tells the answer to each command: for a publish its places as
``[(seq, duplicate), ...]``, for an error its code, else the plain value.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final

from haqactor.machine.commands import Command, Op, decode
from haqactor.sim.model_producers import Claimed, ModelProducers
from haqactor.sim.releases import NEWER

TICK_BUDGET: Final = 1000
PARKED: Final = -1
Answer = Any


@dataclass(slots=True)
class ModelMessage:
    """``content``: entry, offset of the batch, row. ``until_ns``: 0 standing, PARKED, else the T at which it
    is ready again. ``stored_ns``: world time at which it was first known to be stored."""

    content: tuple[int, int, int]
    stored_ns: int
    failures: int = 0
    until_ns: int = 0
    suspect: bool = False
    gone: bool = False

    @property
    def standing(self) -> bool:
        """Neither gone nor waiting."""
        return not self.gone and not self.until_ns


@dataclass(slots=True)
class ModelQueue:
    """``messages[seq - 1]``. ``deferrals``: heap of (until T, first, last), as they were made."""

    uid: int
    name: str
    version: int
    settings: dict[str, Any]
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    reserve: int = 1
    discarded: int = 0
    deferrals: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    low: int = 1

    @property
    def next_seq(self) -> int:
        """The place of the next message."""
        return len(self.messages) + 1

    @property
    def first_seq(self) -> int:
        """The first place that is not gone."""
        while self.low < self.next_seq and self.messages[self.low - 1].gone:
            self.low += 1
        return self.low

    def get(self, seq: int) -> ModelMessage | None:
        """None: there never was such a message."""
        return self.messages[seq - 1] if 1 <= seq < self.next_seq else None

    def standing(self, low: int, high: int) -> list[int]:
        """Those that are ready or leased."""
        within = range(max(low, self.first_seq), min(high, self.next_seq - 1) + 1)
        return [seq for seq in within if self.messages[seq - 1].standing]

    def holdings(self) -> tuple[int, int, int]:
        """Ready (leased ones, too), delayed, dead."""
        held = [message for message in self.messages[self.first_seq - 1 :] if not message.gone]
        parked = sum(message.until_ns == PARKED for message in held)
        ready = sum(message.standing for message in held)
        return ready, len(held) - parked - ready, parked + self.discarded


class Model:
    """A data group. ``index``: the entry applied last."""

    def __init__(self) -> None:
        self.index = 0
        self.time_ns = 0
        self.queues: dict[int, ModelQueue] = {}
        self.names: dict[str, int] = {}
        self._world_ns = 0
        self._followed = 0
        self._producers = ModelProducers()

    def apply(self, index: int, header: bytes, world_ns: int = 0) -> list[Answer]:
        """The answers to the entry's commands; none for a no-op."""
        self.index = index
        self._world_ns = world_ns
        if not header:
            return []
        decoded = decode(header, NEWER)
        self.time_ns = max(self.time_ns, decoded.time_ns)
        return [self._one(command) for command in decoded.commands]

    def _one(self, command: Command) -> Answer:
        op = command[0]
        if op == Op.TICK:
            return self._tick(command[1])
        if op == Op.FOLLOW_DIRECTORY:
            return self._follow_directory(command)
        if op == Op.LIMITS:
            self._producers.sessions_max = command[1]
            return True
        if op == Op.RAISE_VERSION:
            return True
        if op == Op.END_SESSION:
            self._producers.end(command[1], self.time_ns)
            return True
        if op == Op.PRODUCER_EPOCH:
            _op, producer, epoch, uid = command
            if uid and uid not in self.queues:
                return "not_found"
            refused = self._producers.begin(producer, epoch, self.time_ns)
            return refused or [self.time_ns, self._producers.last(producer, uid)]
        queue = self.queues.get(command[1])
        if queue is None:
            return "not_found"
        if op == Op.PUBLISH:
            return self._publish(queue, command)
        if op == Op.SETTLE:
            return self._settle(queue, command)
        if op == Op.RETURN:
            return self._return(queue, command)
        if op == Op.RESERVE:
            queue.reserve = max(queue.reserve, command[2])
            return True
        return self._purge(queue, command[2])

    # -- publishing --

    def _publish(self, queue: ModelQueue, command: Command) -> Answer:
        _op, uid, producer, epoch, first, count, crc, below, began_ns, body_at, _size = command
        if not (1 <= count <= 0xFFFF and first >= 1 and epoch >= 0):
            return "invalid_argument"
        claimed = Claimed(producer, epoch, uid, first, count, crc, below, began_ns)
        answer = self._producers.claim(claimed, queue.next_seq, self.time_ns)
        if answer is not None:
            return answer
        at = queue.next_seq
        for row in range(count):
            queue.messages.append(ModelMessage((self.index, body_at, row), self._world_ns))
        return [(at + row, False) for row in range(count)]

    # -- settling --

    def _settle(self, queue: ModelQueue, command: Command) -> Answer:
        _op, _uid, acks, nacks, rejects, releases = command
        for low, high in acks:
            for seq in range(max(low, queue.first_seq), min(high, queue.next_seq - 1) + 1):
                self._remove(queue, seq)
        for low, high, delay_ns, _reason in nacks:
            for seq in range(max(low, 1), min(high, queue.next_seq - 1) + 1):
                queue.messages[seq - 1].suspect = False
            self._fail(queue, queue.standing(low, high), delay_ns)
        for low, high, _reason in rejects:
            for seq in queue.standing(low, high):
                if queue.settings["dead_letter"] is None:
                    self._remove(queue, seq)
                    queue.discarded += 1
                else:
                    self._die(queue, seq)
        for low, high in releases:
            for seq in range(max(low, 1), min(high, queue.next_seq - 1) + 1):
                queue.messages[seq - 1].suspect = False
        return True

    def _return(self, queue: ModelQueue, command: Command) -> Answer:
        _op, _uid, _cause, _plain, charged, suspects = command
        failed = [queue.standing(low, high) for low, high in charged]
        for low, high in suspects:
            again: list[int] = []
            for seq in queue.standing(low, high):
                message = queue.messages[seq - 1]
                if message.suspect:
                    again.append(seq)
                message.suspect = True
            failed.append(again)
        for seqs in failed:
            self._fail(queue, seqs, 0)
        return True

    def _fail(self, queue: ModelQueue, seqs: list[int], delay_ns: int) -> None:
        """Charge a failure to each; then those die that have used up their attempts."""
        limit = queue.settings["max_attempts"]
        dying: list[int] = []
        row: list[int] = []
        for seq in seqs:
            message = queue.messages[seq - 1]
            message.failures += 1
            if limit and message.failures >= limit:
                dying.append(seq)
                continue
            wait_ns = delay_ns
            if wait_ns < 0:
                doubled = queue.settings["backoff_ns"] * 2 ** min(message.failures - 1, 40)
                wait_ns = min(doubled, queue.settings["backoff_max_ns"])
            if wait_ns > 0:
                message.until_ns = self.time_ns + wait_ns
                same = row and row[-1] == seq - 1 and queue.messages[seq - 2].failures == message.failures
                if row and not same:
                    self._defer(queue, row)
                    row = []
                row.append(seq)
        if row:
            self._defer(queue, row)
        for seq in dying:
            self._die(queue, seq)

    def _defer(self, queue: ModelQueue, row: list[int]) -> None:
        heappush(queue.deferrals, (queue.messages[row[0] - 1].until_ns, row[0], row[-1]))

    def _die(self, queue: ModelQueue, seq: int) -> None:
        """To the dead-letter queue; parked where there is none."""
        message = queue.messages[seq - 1]
        target = self.queues.get(self.names.get(queue.settings["dead_letter"], -1))
        if target is None or target is queue:
            message.until_ns = PARKED
            return
        target.messages.append(ModelMessage(message.content, self._world_ns))
        self._remove(queue, seq)
        queue.discarded += 1

    def _remove(self, queue: ModelQueue, seq: int) -> None:
        message = queue.messages[seq - 1]
        message.gone, message.suspect, message.until_ns, message.failures = True, False, 0, 0

    def _purge(self, queue: ModelQueue, spare: list[list[int]]) -> int:
        spared = {seq: None for low, high in spare for seq in range(low, high + 1)}
        gone = 0
        for seq in range(queue.first_seq, queue.next_seq):
            if not queue.messages[seq - 1].gone and seq not in spared:
                self._remove(queue, seq)
                gone += 1
        return gone

    # -- time and queues --

    def _tick(self, sessions: bool) -> Answer:
        budget = TICK_BUDGET
        for queue in self.queues.values():
            while queue.deferrals and budget > 0 and queue.deferrals[0][0] <= self.time_ns:
                _until, low, high = heappop(queue.deferrals)
                budget -= 1
                for seq in range(low, high + 1):
                    message = queue.messages[seq - 1]
                    message.until_ns = min(message.until_ns, 0)
        if sessions:
            self._producers.expire(self.time_ns, budget)
        return True

    def _follow_directory(self, command: Command) -> Answer:
        _op, upto, drops, ensures = command
        if upto <= self._followed:
            return True
        self._followed = upto
        for uid in drops:
            queue = self.queues.pop(uid, None)
            if queue is not None and self.names.get(queue.name) == uid:
                del self.names[queue.name]
            self._producers.forget(uid)
        for uid, version, name, settings in ensures:
            known = self.queues.get(uid)
            if known is None:
                self.queues[uid] = ModelQueue(uid, name, version, settings)
                self.names[name] = uid
            else:
                known.version, known.settings = version, settings
        return True
