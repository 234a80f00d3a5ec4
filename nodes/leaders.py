"""Who leads which group, as this node knows it, and who wants to be told.

One rule: a row of a lower term never replaces one of a higher term.
"""

from collections.abc import Callable
from typing import Any

from haqactor.ids import NO_NODE, GroupId, NodeId, Term

Push = Callable[[list[list[Any]]], None]


class Leaders:
    """The routing table of a node. Rows go out as ``[group, node, term, address]``; node -1 means unknown."""

    __slots__ = ("_addresses", "_listeners", "_next", "_rows")

    def __init__(self, addresses: dict[NodeId, str]) -> None:
        self._addresses = addresses
        self._rows: dict[GroupId, tuple[NodeId, Term]] = {}
        self._listeners: dict[int, Push] = {}
        self._next = 0

    def update(self, group: GroupId, node: NodeId, term: Term) -> None:
        """A group's core learned something; listeners hear of changes only."""
        known, known_term = self._rows.get(group, (NO_NODE, Term(-1)))
        if term < known_term or (term == known_term and node == known):
            return
        self._rows[group] = (node, term)
        if node == NO_NODE and known == NO_NODE:
            return
        row = self._row(group)
        for push in list(self._listeners.values()):
            push([row])

    def leader(self, group: GroupId) -> tuple[NodeId, Term]:
        """The leader and its term; (-1, term) if unknown."""
        return self._rows.get(group, (NO_NODE, Term(0)))

    def address(self, node: NodeId) -> str:
        """The clients' address of a node, '' if unknown."""
        return self._addresses.get(node, "")

    def moved(self, node: NodeId, address: str) -> None:
        """A node's clients are served at another address from now on; listeners hear of what it leads."""
        self._addresses[node] = address
        rows = [self._row(group) for group, (leader, _term) in sorted(self._rows.items()) if leader == node]
        if rows:
            for push in list(self._listeners.values()):
                push(rows)

    def rows(self) -> list[list[Any]]:
        """All rows, by group."""
        return [self._row(group) for group in sorted(self._rows)]

    def _row(self, group: GroupId) -> list[Any]:
        node, term = self._rows[group]
        return [group, node, term, self.address(node)]

    def subscribe(self, push: Push) -> Callable[[], None]:
        """Call ``push`` with the rows that change, until the returned function is called."""
        key = self._next
        self._next += 1
        self._listeners[key] = push
        return lambda: self._listeners.pop(key, None) and None
