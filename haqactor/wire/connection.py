"""What a connection is begun, kept and ended with, and the answers to requests.

One rule: either side may send these at any time; none belongs to a group.
"""

from typing import Any, NamedTuple

from haqactor.errors import Error
from haqactor.wire.rows import Rows


class Hello(NamedTuple):
    """Client, first frame. ``session``: 16 random bytes that outlive connections. ``cluster``: the id it
    expects, or b""."""

    version_min: int
    version_max: int
    auth: list[Any]
    client: str
    session: bytes
    cluster: bytes
    proxy: bool


class Welcome(NamedTuple):
    """Node, first frame. ``leaders``: rows [group, node, term, address], node -1 where unknown. ``limits``:
    message_bytes_max, frame_bytes_max, groups. Changes of leaders follow by themselves as ``Leaders``."""

    version: int
    cluster: bytes
    node: int
    address: str
    leaders: Rows
    limits: dict[str, Any]


class Refused(NamedTuple):
    """Either side's last frame before it closes the connection."""

    code: str
    message: str
    fields: dict[str, Any]


class Ping(NamedTuple):
    """Client: are you there? Answered at once with Pong."""

    rid: int


class Pong(NamedTuple):
    rid: int


class Reply(NamedTuple):
    """The request was done. ``result`` as its kind says; Peek's blob holds batches."""

    rid: int
    result: Any


class Failed(NamedTuple):
    """The request was refused or failed; see ``haqactor.errors``. Nothing was stored unless the code is
    ``outcome_unknown``."""

    rid: int
    code: str
    message: str
    fields: dict[str, Any]


class Leaders(NamedTuple):
    """Node: rows [group, node, term, address] that changed; a row with a lower term than known is stale."""

    leaders: Rows


class Goodbye(NamedTuple):
    """Node: it is stopping; its leaderships move; go elsewhere."""

    reason: str


def failed(rid: int, error: Error) -> Failed:
    """The answer that carries an error."""
    return Failed(rid, error.code, str(error), error.fields())
