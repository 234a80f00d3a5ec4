"""What an applied entry did: a closed union of frozen records, for the leader's dispatcher and for whoever
waits.

One rule: an effect tells what happened; it asks for nothing, so replicas that do not lead drop it.

A settlement is a tuple: it is made for nearly every entry, on every replica.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from haqactor.machine.commands import Range


@dataclass(frozen=True, slots=True)
class Published:
    """Messages ``first .. first + count - 1`` are new in the queue (published, or dead letters of another
    queue)."""

    uid: int
    first: int
    count: int


class Settled(NamedTuple):
    """A settlement or a return took effect. ``acks`` and ``moved``: the ranges as the command named them
    (whatever became of them). ``ready``: back in their places; ``deferred``: later (or parked); ``gone``: out
    of the queue."""

    uid: int
    acks: tuple[Range, ...]
    moved: tuple[Range, ...]
    ready: tuple[Range, ...]
    deferred: tuple[Range, ...]
    gone: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Purged:
    """A purge took effect; these are gone."""

    uid: int
    gone: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Awake:
    """A deferral is over: these are ready again."""

    uid: int
    ready: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Reserved:
    """The reserve mark of a queue was raised, or its holders were named anew."""

    uid: int


@dataclass(frozen=True, slots=True)
class Ticked:
    """A tick was applied (perhaps more is due)."""


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """A queue exists now, with this version."""

    uid: int
    version: int


@dataclass(frozen=True, slots=True)
class QueueDropped:
    """A queue is gone, with all it held."""

    uid: int


@dataclass(frozen=True, slots=True)
class DirectoryChanged:
    """Group 0: queues of this group were declared, changed or deleted; see ``directory.wanted``."""

    group: int


@dataclass(frozen=True, slots=True)
class GroupCreated:
    """Group 0: a group exists."""

    group: int
    uid: int
    replicas: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NodeRegistered:
    """Group 0: a node's address or boot epoch is new."""

    node: int
    address: str
    boot: int


Effect: TypeAlias = (
    Published
    | Settled
    | Purged
    | Awake
    | Reserved
    | Ticked
    | QueueChanged
    | QueueDropped
    | DirectoryChanged
    | GroupCreated
    | NodeRegistered
)


@dataclass(slots=True)
class Applied:
    """One applied entry: a reply for each command (its result, or the Error to answer with), and the effects
    in order."""

    index: int
    term: int
    replies: list[Any] = field(default_factory=list[Any])
    effects: list[Effect] = field(default_factory=list["Effect"])
