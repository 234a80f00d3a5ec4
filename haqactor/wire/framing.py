"""Messages as frames, and back.

One rule: a header is a list whose fields are checked here, so that what lies behind may trust their types.
"""

from typing import Any, Final, TypeAlias

from haqactor.codec import is_list
from haqactor.env import Buffer
from haqactor.errors import ProtocolError
from haqactor.frame import Frame, encode
from haqactor.wire.connection import Failed, Goodbye, Hello, Leaders, Ping, Pong, Refused, Reply, Welcome
from haqactor.wire.consuming import (
    ConsumerGone,
    Credit,
    Deliver,
    Extend,
    LeaseLost,
    Poll,
    Settle,
    Subscribe,
    Unsubscribe,
)
from haqactor.wire.directory import Await, Declare, Delete, OpenProducer, Queues, Resolve, Status
from haqactor.wire.inspecting import Info, Peek, Purge
from haqactor.wire.ops import VERSION_MAX, Op
from haqactor.wire.publishing import Begin, End, Publish

Message: TypeAlias = (
    Hello
    | Welcome
    | Refused
    | Ping
    | Pong
    | Reply
    | Failed
    | Leaders
    | Goodbye
    | Declare
    | Delete
    | Queues
    | Resolve
    | OpenProducer
    | Status
    | Await
    | Begin
    | Publish
    | End
    | Subscribe
    | Credit
    | Settle
    | Extend
    | Unsubscribe
    | Poll
    | Deliver
    | LeaseLost
    | ConsumerGone
    | Info
    | Peek
    | Purge
)

_TYPES: Final[dict[int, type[Any]]] = {
    Op.HELLO: Hello,
    Op.WELCOME: Welcome,
    Op.REFUSED: Refused,
    Op.PING: Ping,
    Op.PONG: Pong,
    Op.REPLY: Reply,
    Op.FAILED: Failed,
    Op.LEADERS: Leaders,
    Op.GOODBYE: Goodbye,
    Op.DECLARE: Declare,
    Op.DELETE: Delete,
    Op.QUEUES: Queues,
    Op.RESOLVE: Resolve,
    Op.OPEN_PRODUCER: OpenProducer,
    Op.STATUS: Status,
    Op.AWAIT: Await,
    Op.BEGIN: Begin,
    Op.PUBLISH: Publish,
    Op.END: End,
    Op.SUBSCRIBE: Subscribe,
    Op.CREDIT: Credit,
    Op.SETTLE: Settle,
    Op.EXTEND: Extend,
    Op.UNSUBSCRIBE: Unsubscribe,
    Op.POLL: Poll,
    Op.DELIVER: Deliver,
    Op.LEASE_LOST: LeaseLost,
    Op.CONSUMER_GONE: ConsumerGone,
    Op.INFO: Info,
    Op.PEEK: Peek,
    Op.PURGE: Purge,
}
_OPS: Final[dict[type[Any], int]] = {kind: int(op) for op, kind in _TYPES.items()}
_ROWS_MAX: Final = 100_000


def _field_kind(annotation: Any) -> type[Any] | None:
    if annotation in (int, str, bytes, bool):
        kind: type[Any] = annotation
        return kind
    if annotation is Any:
        return None
    return dict if str(annotation).startswith("dict") else list


_FIELDS: Final[dict[int, list[type[Any] | None]]] = {
    op: [_field_kind(annotation) for annotation in kind.__annotations__.values()]
    for op, kind in _TYPES.items()
}


def pack(message: Message, *blobs: Buffer) -> bytes:
    """The frame of a message."""
    return encode(_OPS[type(message)], list(message), *blobs)


def parse(frame: Frame) -> Message:
    """The message of a frame; its blob stays in the frame. Raises ProtocolError that names kind and field."""
    kinds = _FIELDS.get(frame.kind)
    if kinds is None:
        raise ProtocolError(f"frame kind {frame.kind} is unknown in protocol version {VERSION_MAX}")
    kind = _TYPES[frame.kind]
    given: object = frame.header
    header = given if is_list(given) else []
    if kinds and 0 < len(kinds) - len(header) <= len(kind._field_defaults):  # from before they were added
        header = [*header, *list(kind._field_defaults.values())[len(header) - len(kinds) :]]
    if len(header) != len(kinds):
        raise ProtocolError(f"{kind.__name__} has {len(kinds)} fields, not {given!r:.80}")
    for at, expected in enumerate(kinds):
        value = header[at]
        if expected is not None and type(value) is not expected:
            raise ProtocolError(
                f"{kind.__name__}.{kind._fields[at]} is {value!r:.80}, not {expected.__name__}"
            )
        if expected is int and not 0 <= value < 1 << 63:
            raise ProtocolError(f"{kind.__name__}.{kind._fields[at]} is {value}, out of range")
        if expected is list:
            _check_rows(kind.__name__, value)
    message: Message = kind._make(header)
    return message


def _check_rows(name: str, rows: list[Any]) -> None:
    if len(rows) > _ROWS_MAX:
        raise ProtocolError(f"{name} has {len(rows)} rows, more than {_ROWS_MAX}")
    if name == "Hello":
        return
    for row in rows:
        if not isinstance(row, list):
            raise ProtocolError(f"{name} has a row that is no list: {row!r:.80}")
