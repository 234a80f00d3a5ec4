"""What a group's actor asks of its service, and of those who propose entries.

One rule: a service is synchronous; it is called within the actor's turns only.
"""

from typing import Any, Protocol

from haqactor.entry import Entry
from haqactor.ids import Index, Term
from haqactor.nodes.sessions import Disconnected, Request


class Proposal(Protocol):
    """A proposed entry's owner: told once, when the entry applies or is known not to."""

    def applied(self, replies: list[Any], now_ns: int) -> None: ...

    def failed(self, error: Exception) -> None: ...


class Service(Protocol):
    """What a group does with its log: queues, or the directory."""

    def request(self, request: Request, now_ns: int) -> None:
        """A client's request; answer it, now or later."""
        ...

    def disconnected(self, session: Disconnected, now_ns: int) -> None: ...

    def lead(self, term: Term, now_ns: int) -> None:
        """This node leads and has applied everything up to its no-op."""
        ...

    def follow(self, now_ns: int) -> None:
        """This node leads no more; answer what waits."""
        ...

    def apply(self, entry: Entry, now_ns: int) -> None:
        """A committed entry; the header of what is no COMMAND is empty to a machine."""
        ...

    def work(self, now_ns: int) -> None:
        """Once a turn while leading: propose, deliver."""
        ...

    def reads(self, contexts: tuple[int, ...], ok: bool, now_ns: int) -> None:
        """ReadIndex answers whose index is applied (or whose leadership was lost)."""
        ...

    def covered(self, now_ns: int) -> None:
        """A covering round may have completed."""
        ...

    def directory_moved(self, now_ns: int) -> None:
        """This node's copy of the directory changed."""
        ...

    def next_deadline_ns(self) -> int: ...

    def snapshot_chunks(self) -> Any: ...

    def live_entries(self) -> list[tuple[Index, Index]]: ...

    def restore(self, chunks: list[bytes]) -> None: ...

    def digest(self) -> bytes: ...

    def status(self) -> dict[str, Any]: ...
