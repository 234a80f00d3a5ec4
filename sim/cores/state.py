"""All of a machine's state as one hash.

One rule: more than the machine's own digest, which leaves out what it takes long to hash: where each message
is stored, and what became of dead letters.
"""

from hashlib import blake2b

from haqactor.machine.batches import COLUMNS
from haqactor.machine.machine import GroupMachine


def digest(machine: GroupMachine) -> bytes:
    """16 bytes, equal for machines that applied the same entries, snapshots between or not."""
    found = blake2b(machine.digest(), digest_size=16)
    for uid in sorted(machine.queues):
        queue = machine.queues[uid]
        head = queue.batches.head
        for name, _code in COLUMNS:
            found.update(getattr(queue.batches, name)[head:].tobytes())
        found.update(
            repr((sorted(queue.deferrals), list(queue.holders), list(queue.origins.items()))).encode()
        )
    return found.digest()
