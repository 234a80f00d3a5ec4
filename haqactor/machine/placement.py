"""Which group a new queue goes to.

One rule: the same everywhere and for ever for the same directory: the groups with the fewest queues, and
among them the winner of a rendezvous over (group, name), so that queues are even and names spread.
"""

from collections.abc import Mapping
from hashlib import blake2b


def score(group_uid: int, name: str) -> int:
    """The 64-bit weight of a group for a name."""
    return int.from_bytes(blake2b(f"{group_uid}:{name}".encode(), digest_size=8).digest(), "little")


def choose(name: str, groups: Mapping[int, tuple[int, int]]) -> int:
    """The group for a new queue. ``groups``: group -> (uid, queues it holds); not empty."""
    fewest = min(count for _uid, count in groups.values())
    return max(
        (score(uid, name), -group, group) for group, (uid, count) in groups.items() if count == fewest
    )[2]
