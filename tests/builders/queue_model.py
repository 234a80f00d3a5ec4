"""The queue machine as a person would write it: one record a message, every command applied message by
message.

One rule: slow and obvious. It shares no code with ``haqactor.machine`` but the numbers of the commands.
"""

from dataclasses import dataclass, field
from typing import Any

from haqactor.machine.commands import Op

Content = tuple[int, int, int]  # entry, body_at, row in the batch


@dataclass
class Message:
    """``until``: 0 standing, -1 parked, else the T at which it is ready again."""

    content: Content
    failures: int = 0
    until: int = 0
    suspect: bool = False
    gone: bool = False


@dataclass
class ModelQueue:
    """Messages by sequence, from 1."""

    name: str
    settings: dict[str, Any]
    messages: dict[int, Message] = field(default_factory=dict[int, Message])
    died: int = 0

    def add(self, content: Content) -> None:
        """A new last message."""
        self.messages[len(self.messages) + 1] = Message(content)

    def standing(self, low: int, high: int) -> list[int]:
        """Neither gone nor waiting."""
        known = [(seq, self.messages[seq]) for seq in range(low, high + 1) if seq in self.messages]
        return [seq for seq, message in known if not message.gone and not message.until]


@dataclass
class Model:
    """The queues of a group by uid."""

    time_ns: int = 0
    queues: dict[int, ModelQueue] = field(default_factory=dict[int, ModelQueue])
    numbers: dict[tuple[bytes, int], list[tuple[int, int]]] = field(
        default_factory=dict[tuple[bytes, int], list[tuple[int, int]]]
    )  # (producer, queue) -> for each number stored: (its crc, its queue sequence)
    batches: dict[tuple[int, int], tuple[int, int]] = field(
        default_factory=dict[tuple[int, int], tuple[int, int]]
    )  # (entry, body_at) -> (bytes as stored, messages)

    def apply(self, index: int, time_ns: int, commands: list[list[Any]], stored: list[bool]) -> None:
        """``stored``: for each command, was it a publish that the machine says is new?"""
        self.time_ns = max(self.time_ns, time_ns)
        for command, new in zip(commands, stored, strict=True):
            queue = self.queues.get(command[1]) if command[0] != Op.FOLLOW_DIRECTORY else None
            if command[0] == Op.FOLLOW_DIRECTORY:
                for uid, _version, name, settings in command[3]:
                    self.queues[uid] = ModelQueue(name, settings)
            elif command[0] == Op.PUBLISH and new and queue:
                self._publish(queue, index, command)
            elif command[0] == Op.SETTLE and queue:
                self._settle(queue, command)
            elif command[0] == Op.RETURN and queue:
                self._return(queue, command)
            elif command[0] == Op.PURGE and queue:
                spared = [seq for low, high in command[2] for seq in range(low, high + 1)]
                for seq, message in queue.messages.items():
                    message.gone = message.gone or seq not in spared
            elif command[0] == Op.TICK:
                for each in self.queues.values():
                    for message in each.messages.values():
                        if 0 < message.until <= self.time_ns:
                            message.until = 0

    def bytes_of(self, queue: ModelQueue) -> int:
        """Each message's part of its batch, message by message."""
        found = 0
        for message in queue.messages.values():
            if not message.gone:
                entry, body_at, row = message.content
                size, count = self.batches[(entry, body_at)]
                found += size * (row + 1) // count - size * row // count
        return found

    def _publish(self, queue: ModelQueue, index: int, command: list[Any]) -> None:
        _op, uid, producer, _epoch, first, count, crc, _below, _began, body_at, size = command
        self.batches[(index, body_at)] = size, count
        numbers = self.numbers.setdefault((producer, uid), [])
        assert first == len(numbers) + 1, "stored with a hole, or twice"
        for row in range(count):
            queue.add((index, body_at, row))
            numbers.append((crc, len(queue.messages)))

    def _settle(self, queue: ModelQueue, command: list[Any]) -> None:
        _op, _uid, acks, nacks, rejects, releases = command
        for low, high in acks:
            for seq in range(low, high + 1):
                if seq in queue.messages:
                    queue.messages[seq].gone = True
        for low, high, delay_ns, _reason in nacks:
            for seq in queue.standing(low, high):
                queue.messages[seq].suspect = False
                self._fail(queue, seq, delay_ns)
        for low, high, _reason in rejects:
            for seq in queue.standing(low, high):
                self._die(queue, seq, park=False)
        for low, high in releases:
            for seq in queue.standing(low, high):
                queue.messages[seq].suspect = False

    def _return(self, queue: ModelQueue, command: list[Any]) -> None:
        _op, _uid, _cause, _plain, charged, suspects = command
        for low, high in charged:
            for seq in queue.standing(low, high):
                self._fail(queue, seq, 0)
        for low, high in suspects:
            for seq in queue.standing(low, high):
                if queue.messages[seq].suspect:
                    self._fail(queue, seq, 0)
                queue.messages[seq].suspect = True

    def _fail(self, queue: ModelQueue, seq: int, delay_ns: int) -> None:
        message = queue.messages[seq]
        message.failures += 1
        limit = queue.settings["max_attempts"]
        if limit and message.failures >= limit:
            self._die(queue, seq, park=True)
            return
        if delay_ns < 0:
            doubled = queue.settings["backoff_ns"] * 2 ** (message.failures - 1)
            delay_ns = min(doubled, queue.settings["backoff_max_ns"])
        if delay_ns:
            message.until = self.time_ns + delay_ns

    def _die(self, queue: ModelQueue, seq: int, *, park: bool) -> None:
        message = queue.messages[seq]
        target = [each for each in self.queues.values() if each.name == queue.settings["dead_letter"]]
        if target:
            target[0].add(message.content)
        elif park:
            message.until = -1
            return
        message.gone = True
        queue.died += 1
