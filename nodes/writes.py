"""A group's record batches on their way to the disk, and what may leave the node only once they are there.

One rule: writes become durable in the order in which they were submitted, and a message that Raft holds back
leaves behind the newest write at the time.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from haqactor.entry import Entry
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.journal.writer import Persist
from haqactor.raft.messages import Message
from haqactor.raft.ready import HardState

Outgoing = tuple[tuple[NodeId, Message], ...]


class Journal(Protocol):
    """Where batches are submitted."""

    def submit(self, persist: Persist) -> None:
        """Write it; its ``done`` is called once it is durable."""
        ...


class Write:
    """One record batch. ``index``, ``term``: of its last entry, 0 without entries. ``cured``: with it, the
    replica's mark may go."""

    __slots__ = ("cured", "hard_state", "index", "messages", "term")

    def __init__(self, term: Term, index: Index, hard_state: HardState | None) -> None:
        self.term = term
        self.index = index
        self.hard_state = hard_state
        self.messages: list[tuple[NodeId, Message]] = []
        self.cured = False


class Writes:
    """The writes under way of one group. ``durable`` is called with each, in order, when it is on the disk;
    whoever takes it there calls ``finished``."""

    __slots__ = ("_durable", "_group", "_journal", "_under_way")

    def __init__(self, journal: Journal, group: GroupId, durable: Callable[[Write], None]) -> None:
        self._journal = journal
        self._group = group
        self._durable = durable
        self._under_way: deque[Write] = deque()

    def submit(self, entries: tuple[Entry, ...], hard_state: HardState | None) -> None:
        """Hand a batch to the journal."""
        term, index = (entries[-1].term, entries[-1].index) if entries else (Term(0), Index(0))
        write = Write(term, index, hard_state)
        self._under_way.append(write)
        durable = self._durable
        self._journal.submit(Persist(self._group, entries, hard_state, lambda: durable(write)))

    def behind(self, messages: Outgoing) -> bool:
        """Hold messages back until the newest write is durable; False: nothing is under way, send them."""
        if self._under_way:
            self._under_way[-1].messages.extend(messages)
        return bool(self._under_way)

    def cured_behind(self) -> bool:
        """The same for the mark of a replica that counts again."""
        if self._under_way:
            self._under_way[-1].cured = True
        return bool(self._under_way)

    def finished(self) -> None:
        """The oldest write is done with."""
        self._under_way.popleft()
