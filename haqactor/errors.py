"""The error tree: every error says who is at fault and what to do, and has a stable ``code`` that travels.

One rule: this table is the only place where a code meets a class. Two classes that are trio errors as well
(``Closed``, ``ConnectionLost``) live in ``haqactor.client.errors``, so that cores need no trio to raise.
"""

from typing import Any, ClassVar


class Error(Exception):
    """Every error of haqactor. ``code`` is stable and the same on the wire, in the CLI and in logs."""

    code: ClassVar[str] = "error"

    def fields(self) -> dict[str, Any]:
        """What travels beside code and message, to build the same error at the other end."""
        return {}


class NoQuorum(Error):
    """No leader with a majority behind it: nothing was stored. Try again; if it stays, see ``haq cluster
    status``."""

    code = "no_quorum"

    def __init__(
        self, message: str = "no majority of replicas answers", *, reason: str = "unreachable"
    ) -> None:
        super().__init__(message)
        self.reason = reason

    def fields(self) -> dict[str, Any]:
        """``reason``: ``unreachable``, ``damaged`` or ``starting``."""
        return {"reason": self.reason}


class NotFound(Error):
    """There is no such queue (or it was deleted). Declare it first.

    ``group`` and ``uid``, between nodes and clients: where it was, if it was deleted lately; it is gone once
    that group has dropped it."""

    code = "not_found"

    def __init__(self, message: str, *, group: int = -1, uid: int = 0) -> None:
        super().__init__(message)
        self.group = group
        self.uid = uid

    def fields(self) -> dict[str, Any]:
        """``group`` and ``uid``, where they are known."""
        return {"group": self.group, "uid": self.uid} if self.uid else {}


class Conflict(Error):
    """The request contradicts what exists. Your program must decide which of the two it wants."""

    code = "conflict"


class Overloaded(Error):
    """A bound was reached; nothing was stored. Wait ``retry_after`` seconds, or publish less."""

    code = "overloaded"

    def __init__(self, message: str = "a buffer is full", *, retry_after: float = 0.1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def fields(self) -> dict[str, Any]:
        """``retry_after`` in seconds."""
        return {"retry_after": self.retry_after}


class OutcomeUnknown(Error):
    """It was sent and may have been done. ``await error.retry()`` finds out, safely: a publish is never
    stored twice."""

    code = "outcome_unknown"

    def __init__(self, message: str, *, queue: str = "", producer_seq: int | None = None) -> None:
        super().__init__(message)
        self.queue = queue
        self.producer_seq = producer_seq

    def fields(self) -> dict[str, Any]:
        """``queue`` and the ``producer_seq`` of the first message concerned."""
        return {"queue": self.queue, "producer_seq": self.producer_seq}


class SequenceGap(Error):
    """A ``seq`` beyond the next one: a message before it was never stored. Go on from ``last_seq() + 1``."""

    code = "sequence_gap"


class SequenceConflict(Error):
    """A ``seq`` already used for other content, or a batch that overlaps a stored one in part."""

    code = "sequence_conflict"


class SequenceExpired(Error):
    """Stored long ago, or a session that ended: its receipt is no longer known. Never stored a second
    time."""

    code = "sequence_expired"


class LeaseLost(Error):
    """The lease on this message ended before it was settled; it will be, or was, delivered again."""

    code = "lease_lost"

    def __init__(self, message: str = "the lease on this message was lost", *, message_id: str = "") -> None:
        super().__init__(message)
        self.message_id = message_id

    def fields(self) -> dict[str, Any]:
        """``message_id`` of the message concerned."""
        return {"message_id": self.message_id}


class Fenced(Error):
    """A newer holder exists (of a lock, or of this producer name). Stop: this one may not act any more."""

    code = "fenced"

    def __init__(self, message: str, *, current_token: int = 0) -> None:
        super().__init__(message)
        self.current_token = current_token

    def fields(self) -> dict[str, Any]:
        """``current_token``: the newer one."""
        return {"current_token": self.current_token}


class Unroutable(Error):
    """The message matches no queue; it was not stored."""

    code = "unroutable"


class TooLarge(Error):
    """A message, batch or header is over a limit; nothing was stored."""

    code = "too_large"

    def __init__(self, message: str, *, limit: int = 0) -> None:
        super().__init__(message)
        self.limit = limit

    def fields(self) -> dict[str, Any]:
        """``limit`` in bytes (or messages, as the text says)."""
        return {"limit": self.limit}


class InvalidArgument(Error):
    """The caller passed something of the wrong type or out of range."""

    code = "invalid_argument"


class Unauthorized(Error):
    """Not allowed with these credentials, or from this address."""

    code = "unauthorized"


class ProtocolError(Error):
    """The other side broke the protocol (or speaks another version of it); the connection ends."""

    code = "protocol_error"


class DataDamaged(Error):
    """Bytes on disk are not what was written. The node refuses to guess; the text names file, place and
    groups."""

    code = "data_damaged"


class NotLeader(Error):
    """Internal: this node does not lead that group (any more). The client goes to ``leader``."""

    code = "not_leader"

    def __init__(
        self, message: str = "not the leader", *, leader: int = -1, term: int = 0, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.leader = leader
        self.term = term
        self.reason = reason

    def fields(self) -> dict[str, Any]:
        """``leader`` (-1: unknown), ``term``, and ``reason`` where there is one why nobody leads (as of
        ``NoQuorum``)."""
        fields: dict[str, Any] = {"leader": self.leader, "term": self.term}
        return {**fields, "reason": self.reason} if self.reason else fields


class ConfigError(InvalidArgument):
    """A configuration has an unknown name, an impossible value, or one that contradicts another."""

    code = "config_error"


class StorageFailed(Error):
    """The disk refused to store; the node stops, since nothing unsynced may be believed."""

    code = "storage_failed"


class UnknownVersion(Error):
    """The log or a snapshot was written by rules that this release does not know. The node stops and has lost
    nothing: start the newer release again."""

    code = "unknown_version"


class InvariantViolation(Error):
    """A bug of haqactor: what must never happen did. The node stops at once; please report it."""

    code = "invariant_violation"


def _tree(root: type[Error]) -> dict[str, type[Error]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


BY_CODE: dict[str, type[Error]] = _tree(Error)
"""Code to class, for errors that arrive over the wire."""


def from_wire(code: str, message: str, fields: dict[str, Any]) -> Error:
    """The error that the other side raised; an unknown code gives a plain ``Error`` that names it. Fields
    that are unknown here, or of another type than they should be, are left out."""
    kind = BY_CODE.get(code)
    if kind is None:
        return Error(f"{code}: {message}")
    defaults: dict[str, Any] = getattr(kind.__init__, "__kwdefaults__", None) or {}
    return kind(
        message, **{name: fields[name] for name in defaults if _fits(fields.get(name), defaults[name])}
    )


def _fits(value: Any, default: Any) -> bool:
    """Is it of the type of a field with that default?"""
    if type(default) is float:
        return type(value) in (int, float)
    return type(value) is (int if default is None else type(default))
