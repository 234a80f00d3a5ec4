"""Reads that must be current: one ReadIndex for all that came in a turn.

One rule: a read is answered from the applied state only after a quorum has confirmed, later than the read
came, that this node still leads.
"""

from typing import TYPE_CHECKING

from haqactor.nodes.sessions import Request

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor


class Reads:
    """The reads of one group's leader. Volatile: they end with the term."""

    __slots__ = ("_actor", "_asked", "_context", "_fresh")

    def __init__(self, actor: "GroupActor") -> None:
        self._actor = actor
        self._fresh: list[Request] = []
        self._asked: dict[int, list[Request]] = {}
        self._context = 0

    def add(self, request: Request) -> None:
        """Take a request into the turn's ReadIndex."""
        self._fresh.append(request)

    def ask(self, now_ns: int) -> None:
        """The end of a turn: ask once for all that were added. ``Service.reads`` has the answer."""
        if self._fresh:
            self._context += 1
            self._asked[self._context] = self._fresh
            self._fresh = []
            if self._actor.context.env.probe.bug("nodes.read_at_once"):
                self._actor.service.reads((self._context,), True, now_ns)
            else:
                self._actor.read(self._context, now_ns)

    def take(self, contexts: tuple[int, ...], ok: bool) -> list[Request]:
        """The requests whose ReadIndex is applied, each once; where the leadership was lost (not ``ok``) they
        are told so, and none is left to answer."""
        requests = [request for context in contexts for request in self._asked.pop(context, ())]
        if ok:
            return requests
        for request in requests:
            self._actor.refuse(request)
        return []

    def take_all(self) -> list[Request]:
        """Everything that waits; the term ended."""
        requests = [request for asked in self._asked.values() for request in asked]
        requests += self._fresh
        self._asked.clear()
        self._fresh = []
        return requests
