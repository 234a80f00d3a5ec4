"""How much a queue may hold: publishes beyond that are refused by its leader, before they are in the log.

One rule: what is under way counts, so that a queue never holds more than its limit by a publish; a retry of
what is stored passes, for it adds nothing. Dead letters are never refused: they were in the group before.

A message counts until it is settled: ready, leased, deferred and parked ones alike.
"""

from collections.abc import Callable
from typing import Any, Final

from haqactor import wire
from haqactor.config import Limits
from haqactor.errors import Overloaded
from haqactor.machine.machine import GroupMachine
from haqactor.machine.queue import Queue

RETRY_AFTER_S: Final = 0.5
Answer = Callable[[Any, int], None]


class Quota:
    """Of one group at its leader."""

    def __init__(self, machine: GroupMachine, limits: Limits) -> None:
        self._machine = machine
        self._limits = limits
        self._under_way: dict[int, int] = {}

    def admit(self, message: wire.Publish, answer: Answer) -> Answer:
        """Count this publish until it is answered: the answer to use. Raises Overloaded."""
        queue = self._machine.queues[message.uid]
        if message.first <= self._machine.producers.last_seq(message.producer, message.uid):
            return answer
        self._check(queue, message.count)
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

    def _check(self, queue: Queue, count: int) -> None:
        bound = self._limits.queue_messages_max
        own: int = queue.settings.get("max_messages", 0)
        if own and own < bound:
            bound = own
        held = queue.depth + self._under_way.get(queue.uid, 0)
        if held + count > bound:
            mine = own == bound
            raised = "declare it with a higher max_messages" if mine else "raise limits.queue_messages_max"
            raise Overloaded(
                f"queue {queue.name!r} holds {held} of {bound} messages: consume or purge some, or {raised}",
                retry_after=RETRY_AFTER_S,
            )
