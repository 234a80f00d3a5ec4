"""What tasks ask for one by one: messages that they wait for, with credit, and polls, each a request of its
own.

One rule: credit that was given is not taken back, it serves who comes next; so no more is given than tasks
wait beyond it. An answer to a poll counts if it came by the way by which the poll was sent last.
"""

from typing import Protocol

from haqactor import wire
from haqactor.client.link import Entry, Link
from haqactor.errors import Error


class PollEntry(Entry, Protocol):
    """What waits for the answer to a Poll. ``link``: by which it was sent last (None: it is to be sent).
    ``since_ns``: since when it has had no leader."""

    link: Link | None
    since_ns: int | None

    def ended(self, error: Error) -> None:
        """There will be none."""


class Demand:
    """``wanted``: tasks that wait for a message each. ``given``: messages that the leader may send for them,
    or for others that waited before. ``polls``: those not answered yet, oldest first."""

    __slots__ = ("given", "polls", "wanted")

    def __init__(self) -> None:
        self.wanted = 0
        self.given = 0
        self.polls: dict[PollEntry, None] = {}

    def __bool__(self) -> bool:
        return self.wanted > 0 or bool(self.polls)

    def give(self) -> int:
        """Messages to give credit for now."""
        more = max(0, self.wanted - self.given)
        self.given += more
        return more

    def delivered(self, messages: int) -> None:
        """So many came."""
        self.given = max(0, self.given - messages)

    def poll(self, entry: PollEntry) -> None:
        """To be sent (again)."""
        entry.link = None
        self.polls[entry] = None

    def write(self, link: Link, message: wire.Poll) -> None:
        """Those that are to be sent."""
        for entry in self.polls:
            if entry.link is None:
                entry.link = link
                link.ask(entry, message)

    def detach(self) -> None:
        """The way changed: the next leader knows of nothing."""
        self.given = 0
        for entry in self.polls:
            entry.link = None

    def shorten(self, length: int) -> None:
        """There are more polls than ``length``: the latest that were not sent are not sent any more."""
        for entry in list(reversed(self.polls)):
            if len(self.polls) <= length:
                return
            if entry.link is None:
                del self.polls[entry]

    def end(self, error: Error) -> None:
        """There will be nothing."""
        for entry in list(self.polls):
            entry.ended(error)
        self.polls.clear()
