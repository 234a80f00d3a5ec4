"""Covering rounds, and linearizable reads on top of them (thesis 6.4).

One rule: a round is confirmed only by answers of this term to messages that left after the round was asked
for. Rounds are numbered within a term, every message of a leader carries the newest one, and answers echo
it; so under load a round is free.
"""

from collections import deque

from haqactor.ids import Index
from haqactor.raft.ready import Read


class ReadIndex:
    """The rounds of one leader's term, and the reads that wait for them."""

    __slots__ = ("_pending", "_waiting", "beat_round", "carried", "covered", "done", "failed", "round")

    def __init__(self) -> None:
        self.round = 0
        self.carried = 0  # the highest round that any message has carried
        self.beat_round = 0  # the highest round that went out with a node's beat
        self.covered = 0
        self.done: list[Read] = []
        self.failed: list[int] = []
        self._waiting: list[int] = []  # contexts asked for before this term committed anything
        self._pending: deque[tuple[int, int, Index]] = deque()  # (round, context, index)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._pending)

    def begin(self) -> int:
        """A round that covers the present moment; asked again before any message left, it is the same one."""
        if self.round == self.carried:
            self.round += 1
        return self.round

    def carry(self) -> int:
        """A message leaves now: the round that its answer will confirm."""
        self.carried = self.round
        return self.round

    def request(self, context: int, commit: Index | None) -> None:
        """Ask for ``context``; ``commit`` is None while nothing of this term is committed."""
        if commit is None:
            self._waiting.append(context)
        else:
            self._pending.append((self.begin(), context, commit))

    def term_committed(self, commit: Index) -> None:
        """The term's first entry is committed: waiting reads get their index."""
        for context in self._waiting:
            self._pending.append((self.begin(), context, commit))
        self._waiting.clear()

    def confirm(self, covered: int) -> None:
        """A quorum has answered round ``covered``."""
        self.covered = max(self.covered, covered)
        while self._pending and self._pending[0][0] <= self.covered:
            _, context, index = self._pending.popleft()
            self.done.append(Read(context, index))

    def reset(self) -> None:
        """Leadership is lost, or begins: numbers start again, what waited has failed."""
        self.failed.extend(self._waiting)
        self.failed.extend(context for _, context, _ in self._pending)
        self.failed.extend(read.context for read in self.done)
        self._waiting.clear()
        self._pending.clear()
        self.done.clear()
        self.round = self.carried = self.beat_round = self.covered = 0
