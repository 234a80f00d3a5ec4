"""How much a queue may hold: publishes beyond that are refused by its leader, before they are in the log.

One rule: what is under way counts, so that no publish takes a queue above its limit; those that are refused
get room in the order in which they came (``haqactor.nodes.line``). A retry of what is stored passes, for it
adds nothing. Dead letters are never refused: they were in the group before.

A message counts until it is settled: ready, leased, deferred and parked ones alike.
"""

from typing import Any, Final

from haqactor import wire
from haqactor.config import Limits
from haqactor.errors import Overloaded
from haqactor.machine.machine import GroupMachine
from haqactor.machine.queue import Queue
from haqactor.nodes.line import Line
from haqactor.nodes.proposals import Answer

RETRY_AFTER_S: Final = 0.5


class Quota:
    """Of one group at its leader."""

    def __init__(self, machine: GroupMachine, limits: Limits) -> None:
        self._machine = machine
        self._limits = limits
        self._under_way: dict[int, int] = {}
        self._lines: dict[int, Line] = {}

    def admit(self, message: wire.Publish, answer: Answer, asked_ns: int) -> Answer:
        """Count this publish until it is answered: the answer to use. Raises Overloaded."""
        queue = self._machine.queues[message.uid]
        if message.first <= self._machine.producers.last_seq(message.producer, message.uid):
            return answer
        self._check(queue, message, asked_ns)
        uid, count = message.uid, message.count
        self._under_way[uid] = self._under_way.get(uid, 0) + count

        def answered(reply: Any, now_ns: int) -> None:
            left = self._under_way[uid] - count
            if left:
                self._under_way[uid] = left
            else:
                del self._under_way[uid]
            answer(reply, now_ns)

        return answered

    def _check(self, queue: Queue, message: wire.Publish, asked_ns: int) -> None:
        bound = self._limits.queue_messages_max
        own: int = queue.settings.get("max_messages", 0)
        if own and own < bound:
            bound = own
        held = queue.depth + self._under_way.get(queue.uid, 0)
        if message.count <= bound and self._admits(queue.uid, message, bound - held, asked_ns):
            return  # what can never fit has no place that others wait behind
        mine = own == bound
        raised = "declare it with a higher max_messages" if mine else "raise limits.queue_messages_max"
        raise Overloaded(
            f"queue {queue.name!r} holds {held} of {bound} messages: consume or purge some, or {raised}",
            retry_after=RETRY_AFTER_S,
        )

    def _admits(self, uid: int, message: wire.Publish, room: int, asked_ns: int) -> bool:
        """Is there room, also for all that were refused before?"""
        line = self._lines.get(uid)
        if line is None:
            if message.count <= room:
                return True
            for other in [other for other in self._lines if other not in self._machine.queues]:
                del self._lines[other]
            line = self._lines[uid] = Line()
        admitted = line.admits(message.producer, message.first, message.count, room, asked_ns)
        if not len(line):
            del self._lines[uid]
        return admitted
