"""What the leader's dispatcher wants the shell to do.

One rule: actions are values; nothing here acts. Those for one consumer are carried out in order.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from haqactor.machine.commands import Command, Range


class Part(NamedTuple):
    """One leased piece of a stored batch, for ``wire.Deliver.parts``; the shell puts ``blob_bytes`` in.

    The batch is ``body[body_at : body_at + body_bytes]`` of the entry at ``entry_index``. ``rows``: None for
    the whole batch as it is stored (``base`` as on the wire); else ``base`` is -1 and the slicer takes these
    rows (``batch.select``).
    """

    term: int
    counter: int
    base: int
    ranges: tuple[Range, ...]
    attempts: tuple[tuple[int, int], ...]
    enqueued_ns: int
    entry_index: int
    body_at: int
    body_bytes: int
    rows: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Deliver:
    """Send these leases to a consumer, once a covering round has confirmed the leader."""

    session: bytes
    consumer: int
    uid: int
    lease_ns: int
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Propose:
    """Put this command into the next entry. Its apply comes back through ``on_applied``."""

    command: Command


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Tell a consumer that these leases (rows ``[term, counter, first, last]``) ended without settlement."""

    session: bytes
    consumer: int
    uid: int
    leases: list[list[int]]


@dataclass(frozen=True, slots=True)
class ConsumerGone:
    """A consumer ended here since its queue is gone."""

    session: bytes
    consumer: int
    uid: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class PollAnswered:
    """The answer to ``wire.Poll`` of a consumer: was there a message (its Deliver precedes)?"""

    session: bytes
    consumer: int
    uid: int
    found: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A queue has opened after a change of leader: settlements that were to wait (``Judged.later``) and
    purges are tried again."""

    uid: int


Action: TypeAlias = Deliver | Propose | LeaseLost | ConsumerGone | PollAnswered | Opened
