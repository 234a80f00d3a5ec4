"""The kinds of work that a run's clients may do, and the queues that they need for it.

One rule: a kind adds to what clients do and takes nothing away; with none of them producers publish message
by message, and consumers settle message by message.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

WORK: Final[dict[str, str]] = {
    "admin": "a queue of its own is declared, filled, purged, deleted and declared anew",
    "alter": "settings of queues that are in use are changed, and impossible declarations refused",
    "backlog": "consumers take little at a time, and need long for it",
    "batches": "producers publish batches",
    "bodies": "consumers handle messages in bodies that may fail or be cancelled",
    "bursts": "producers publish many messages at once, and then nothing",
    "consumer_batches": "consumers take and settle whole batches",
    "consumer_crash": "consumers' hosts crash and come back",
    "dead_letters": "a queue has a dead-letter queue",
    "getters": "consumers ask for one message at a time",
    "impatient": "some producers give up soon where no leader answers or a node is overloaded",
    "implicit": "named producers let their session number the messages",
    "large": "many messages are large, and cannot be packed",
    "monotonous": "many messages are such that the journal packs them",
    "parked": "a queue parks what failed too often",
    "peeks": "the watcher looks at messages, too, and at all queues",
    "pipelines": "producers have several publishes under way at once",
    "producer_crash": "producers' hosts crash and come back under the same name",
    "proxy": "some clients let one node pass everything on",
    "purges": "a queue that is in use is emptied now and then",
    "reads": "each queue has somebody who looks at it all the time",
    "rejects": "consumers reject some messages",
    "rivals": "two producers of one name fence each other",
    "slow": "consumers hold some messages longer than their lease",
    "stranger": "a node of another cluster has the nodes for its seeds",
}

ALONE: Final[Mapping[str, float]] = {
    "backlog": 0.2,
    "bursts": 0.2,
    "impatient": 0.2,
    "large": 0.4,
    "monotonous": 0.25,
    "purges": 0.1,
    "reads": 0.3,
    "stranger": 0.1,
}
"""Kinds that are drawn each for itself, and in which share of the seeds; the others are drawn together."""

SHARED: Final = ("orders", "bills")
DEAD: Final = "bills.dead"
PARKING: Final = "chores"
OWN: Final = "scratch"


def queues(work: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The queues that producers publish to, and how they are declared."""
    kinds = dict.fromkeys(work)
    lease = 1.0 if "slow" in kinds else 3.0
    found: dict[str, dict[str, Any]] = {
        name: {"lease": lease, "max_attempts": 0, "backoff": 0.2} for name in SHARED
    }
    if "dead_letters" in kinds:
        found["bills"] = {"lease": lease, "max_attempts": 3, "backoff": 0.1, "dead_letter": DEAD}
    if "parked" in kinds:
        found[PARKING] = {"lease": lease, "max_attempts": 2, "backoff": 0.1}
    return found


def consumed(work: Iterable[str]) -> list[str]:
    """The queues that have consumers."""
    kinds = dict.fromkeys(work)
    return [*queues(kinds), *([DEAD] if "dead_letters" in kinds else [])]
