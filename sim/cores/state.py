"""All of a machine's state as a value to compare.

One rule: more than the machine's own digest, which leaves out what it takes long to hash: where each message
is stored, what became of dead letters, and how many bytes a queue holds.
"""

from array import array
from operator import attrgetter
from typing import Any, Final, TypeAlias

from haqactor.machine.batches import COLUMNS
from haqactor.machine.machine import GroupMachine

Digest: TypeAlias = tuple[bytes, tuple[Any, ...]]
_columns: Final[Any] = attrgetter(*(name for name, _code in COLUMNS))


def digest(machine: GroupMachine) -> Digest:
    """Equal for machines that applied the same entries, snapshots between or not; other entries do not change
    it."""
    columns: list[bytes | array[int]] = [machine.digest()]
    rest: list[Any] = [machine.held.messages, machine.held.bytes]
    for uid in sorted(machine.queues):
        queue = machine.queues[uid]
        batches, head = queue.batches, queue.batches.head
        if len(batches):
            found = _columns(batches)
            columns += [column[head:] for column in found] if head else found
        columns.append(b"|")
        rest.append(queue.bytes)
        if queue.deferrals or queue.holders or queue.origins:
            rest += (uid, *sorted(queue.deferrals), tuple(queue.holders), tuple(queue.origins.items()))
    return b"".join(columns), tuple(rest)
