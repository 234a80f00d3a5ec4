"""All of a machine's state as one hash.

One rule: more than the machine's own digest, which leaves out what it takes long to hash: where each message
is stored, and what became of dead letters.
"""

from hashlib import blake2b

from haqactor.machine.batches import COLUMNS
from haqactor.machine.machine import GroupMachine


def digest(machine: GroupMachine) -> bytes:
    """16 bytes, equal for machines that applied the same entries, snapshots between or not."""
    parts = [machine.digest()]
    for uid in sorted(machine.queues):
        queue = machine.queues[uid]
        batches, head = queue.batches, queue.batches.head
        if len(batches):
            parts += [getattr(batches, name)[head:].tobytes() for name, _code in COLUMNS]
        if queue.deferrals or queue.holders or queue.origins:
            origins = [(o.uid, o.seq, o.reason, o.attempts, o.died_ns) for o in queue.origins.values()]
            rest = (sorted(queue.deferrals), list(queue.holders), list(queue.origins), origins)
            parts.append(repr(rest).encode())
        parts.append(b"|")
    return blake2b(b"".join(parts), digest_size=16).digest()
