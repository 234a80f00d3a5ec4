"""Requests about queues and producers as such: which there are, what they are like, where.

One rule: what changes something goes to group 0, and what waits for it to the group that owns the queue.
"""

from typing import Any, NamedTuple


class Declare(NamedTuple):
    """To group 0. ``settings``: those given (see QueueConfig.settings); the others keep their value or
    default. Reply {uid, group, version, settings, changes: {name: [old, new]}, created: bool, also: [[uid,
    group, version]] created beside it}."""

    rid: int
    name: str
    settings: dict[str, Any]


class Delete(NamedTuple):
    """To group 0: incarnation ``uid`` of a queue; 0: whichever there is. Reply {uid, group}, or not_found."""

    rid: int
    name: str
    uid: int = 0


class Queues(NamedTuple):
    """To group 0 (a ReadIndex). Reply rows [name, uid, group, version, settings], by name."""

    rid: int


class Resolve(NamedTuple):
    """To any node; ``strict``: to group 0's leader. Reply [uid, group, version, settings], or not_found."""

    rid: int
    name: str
    strict: bool


class OpenProducer(NamedTuple):
    """To group 0: the next epoch of a named producer. Reply [producer (16 bytes), epoch]."""

    rid: int
    name: str


class Status(NamedTuple):
    """To any node: what it sees. Reply a map (nodes, groups, queues, caches)."""

    rid: int


class Await(NamedTuple):
    """Reply True once the group has applied ``version`` of the queue, or (``gone``) dropped it."""

    rid: int
    group: int
    uid: int
    version: int
    gone: bool
