"""Who leads which group, where, and which connections a client wants to have.

One rule: a row with a lower term than the known one is stale, unless nobody is known to lead. What is
believed here is a hint; only a leader's answer is a fact.

A term without a leader may never have been: a node tells its clients of a term that its disk does not know
yet, and forgets it when it crashes.
"""

from typing import Final, NamedTuple

from haqactor.codec import are_numbers
from haqactor.wire import Rows

BACKOFF_FIRST_NS: Final = 20_000_000
BACKOFF_MAX_NS: Final = 1_000_000_000
PROXY_AFTER_NS: Final = 1_000_000_000


class Leader(NamedTuple):
    """``node`` -1: unknown."""

    node: int
    term: int
    address: str


NOBODY: Final = Leader(-1, 0, "")


class _Trouble:
    """Failed dials to one address: when the first was, and when the next may be."""

    __slots__ = ("count", "next_ns", "since_ns")

    def __init__(self, now_ns: int) -> None:
        self.count = 0
        self.since_ns = now_ns
        self.next_ns = now_ns


class Routing:
    """The table group -> leader, the addresses of nodes, and the trouble with each."""

    def __init__(self, seeds: list[str], rotation: int) -> None:
        turn = rotation % len(seeds)
        self.seeds = seeds[turn:] + seeds[:turn]
        self._leaders: dict[int, Leader] = {}
        self._addresses: dict[int, str] = {}
        self._trouble: dict[str, _Trouble] = {}

    def leader(self, group: int) -> Leader:
        """The last one heard of."""
        return self._leaders.get(group, NOBODY)

    @property
    def groups(self) -> list[int]:
        """Every group heard of."""
        return list(self._leaders)

    def learn_node(self, node: int, address: str) -> bool:
        """Where a node is. Was it not known to be there?"""
        if node < 0 or not address or self._addresses.get(node) == address:
            return False
        self._addresses[node] = address
        return True

    def learn(self, rows: Rows) -> bool:
        """Rows [group, node, term, address] from Welcome or Leaders. Was there anything new? Raises
        TypeError, ValueError where one is malformed."""
        new = False
        for group, node, term, address in rows:
            if not are_numbers((group, node + 1, term)) or type(address) is not str:
                raise ValueError("a row of another shape")
            new = self.learn_node(node, address) or new
            known = self.leader(group)
            if term > known.term or (node >= 0 and (term == known.term or known.node < 0)):
                told = Leader(node, term, address or self._addresses.get(node, ""))
                new = new or told != known
                self._leaders[group] = told
        return new

    def refused(self, group: int, by_node: int, leader: int, term: int) -> None:
        """A node says that it does not lead ``group``, and who does (-1: it does not know)."""
        known = self.leader(group)
        if leader >= 0 and leader != by_node and (term >= known.term or known.node in (-1, by_node)):
            self._leaders[group] = Leader(leader, term, self._addresses.get(leader, ""))
        elif known.node == by_node:
            self._leaders[group] = Leader(-1, max(term, known.term), "")

    def guess(self, group: int, node: int) -> None:
        """Nobody told: try this node; its refusal will tell more."""
        known = self.leader(group)
        self._leaders[group] = Leader(node, known.term, self._addresses.get(node, ""))

    def known_addresses(self) -> list[str]:
        """Every address worth a try: the seeds, then nodes heard of."""
        found = dict.fromkeys(self.seeds)
        found.update(dict.fromkeys(self._addresses.values()))
        return list(found)

    def strangers(self) -> list[str]:
        """Seeds that no node is known to live at: a leader of unknown address may."""
        homes = list(self._addresses.values())
        return [seed for seed in self.seeds if seed not in homes]

    def dial_failed(self, address: str, now_ns: int, jitter: float) -> None:
        """Wait before the next try: 20 ms, doubling, at most 1 s; ``jitter`` in [0.5, 1]."""
        trouble = self._trouble.setdefault(address, _Trouble(now_ns))
        wait = min(BACKOFF_FIRST_NS << min(trouble.count, 10), BACKOFF_MAX_NS)
        trouble.count += 1
        trouble.next_ns = now_ns + round(wait * jitter)

    def silent(self, address: str, now_ns: int) -> None:
        """It takes connections and says nothing: others are to be asked, or to pass on, from now on."""
        trouble = self._trouble.setdefault(address, _Trouble(now_ns))
        trouble.since_ns = min(trouble.since_ns, now_ns - PROXY_AFTER_NS)
        trouble.next_ns = max(trouble.next_ns, now_ns + BACKOFF_MAX_NS)

    def dial_worked(self, address: str) -> None:
        """It answers (again)."""
        self._trouble.pop(address, None)

    def may_dial(self, address: str, now_ns: int) -> bool:
        """Is its wait over?"""
        trouble = self._trouble.get(address)
        return trouble is None or trouble.next_ns <= now_ns

    def next_dial_ns(self, address: str) -> int:
        """When the next try may be made; 0: at once."""
        trouble = self._trouble.get(address)
        return 0 if trouble is None else trouble.next_ns

    def in_trouble(self, address: str) -> bool:
        """Did the last dial fail?"""
        return address in self._trouble

    def unreachable(self, address: str, now_ns: int) -> bool:
        """In trouble for longer than 1 s: time to be proxied."""
        trouble = self._trouble.get(address)
        return trouble is not None and now_ns - trouble.since_ns >= PROXY_AFTER_NS
