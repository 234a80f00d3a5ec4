"""The client protocol, version 1: what clients and nodes say to each other, one named tuple a frame kind.

One rule: a header is a CBOR list whose fields are checked here, so that what lies behind may trust their
types.

A request carries ``rid`` (chosen by the client, unique per connection) and gets exactly one ``Reply`` or
``Failed`` with it, unless the connection ends first. Requests of a group go to its leader; another node
answers ``not_leader`` (with the leader it knows), or passes them on if the client asked for that
(``Hello.proxy``). Requests of one connection and group are taken in order of arrival.

Times are ``_ns``: spans in nanoseconds, T in nanoseconds since 1970 (logged time). Ranges are ``[first,
last]``, inclusive. A lease row is ``[term, counter, first, last]``."""

from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

from haqactor.codec import is_list
from haqactor.env import Buffer
from haqactor.errors import Error, ProtocolError
from haqactor.frame import Frame, encode

VERSION_MIN: Final = 1
VERSION_MAX: Final = 1
AUTH_METHODS: Final = ["none"]

Rows: TypeAlias = list[list[Any]]


class Op(IntEnum):
    """The frame kinds."""

    HELLO = 1
    WELCOME = 2
    REFUSED = 3
    PING = 4
    PONG = 5
    REPLY = 6
    FAILED = 7
    LEADERS = 8
    GOODBYE = 9
    DECLARE = 16
    DELETE = 17
    QUEUES = 18
    RESOLVE = 19
    OPEN_PRODUCER = 20
    STATUS = 21
    AWAIT = 32
    BEGIN = 33
    PUBLISH = 34
    END = 35
    SUBSCRIBE = 40
    CREDIT = 41
    SETTLE = 42
    EXTEND = 43
    UNSUBSCRIBE = 44
    POLL = 45
    DELIVER = 46
    LEASE_LOST = 47
    CONSUMER_GONE = 48
    INFO = 50
    PEEK = 51
    PURGE = 52


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


class Declare(NamedTuple):
    """To group 0. ``settings``: those given (see QueueConfig.settings); the others keep their value or
    default. Reply {uid, group, version, settings, changes: {name: [old, new]}, created: bool, also: [[uid,
    group, version]] created beside it}."""

    rid: int
    name: str
    settings: dict[str, Any]


class Delete(NamedTuple):
    """To group 0: incarnation ``uid`` of a queue; 0: whichever there is. Reply {uid, group}, or not_found."""

    rid: int
    name: str
    uid: int = 0


class Queues(NamedTuple):
    """To group 0 (a ReadIndex). Reply rows [name, uid, group, version, settings], by name."""

    rid: int


class Resolve(NamedTuple):
    """To any node; ``strict``: to group 0's leader. Reply [uid, group, version, settings], or not_found."""

    rid: int
    name: str
    strict: bool


class OpenProducer(NamedTuple):
    """To group 0: the next epoch of a named producer. Reply [producer (16 bytes), epoch]."""

    rid: int
    name: str


class Status(NamedTuple):
    """To any node: what it sees. Reply a map (nodes, groups, queues, caches)."""

    rid: int


class Await(NamedTuple):
    """Reply True once the group has applied ``version`` of the queue, or (``gone``) dropped it."""

    rid: int
    group: int
    uid: int
    version: int
    gone: bool


class Begin(NamedTuple):
    """Before a producer's first publish to a queue. ``epoch`` 0: anonymous. Reply [began_ns (T), last_seq];
    for a named one its epoch is logged first, so that an older one is fenced and ``last_seq`` is final."""

    rid: int
    group: int
    uid: int
    producer: bytes
    epoch: int


class Publish(NamedTuple):
    """Blob: one batch (``haqactor.batch``) that claims the producer's numbers [first, first + count).
    ``below``: it holds all receipts below that number. Reply: runs [queue_seq, count, duplicate] in order."""

    rid: int
    group: int
    uid: int
    producer: bytes
    epoch: int
    first: int
    count: int  # type: ignore[assignment]  # shadows tuple.count, which nobody calls
    below: int
    began_ns: int


class End(NamedTuple):
    """An anonymous producer session ends in this group; its rows go. Reply True."""

    rid: int
    group: int
    producer: bytes


class Subscribe(NamedTuple):
    """A consumer of this connection's session. ``claims``: lease rows [term, counter, first, last, started]
    it still holds from before (after a reconnect or a change of leader). ``credit_*``: the whole credit, less
    what it claims. ``attempt`` counts the subscriptions of a consumer from 1: of two that took different ways
    the later one holds, whichever comes last. Reply {lease_ns, lost: [[first, last]]}."""

    rid: int
    group: int
    uid: int
    consumer: int
    attempt: int
    credit_messages: int
    credit_bytes: int
    claims: Rows


class Credit(NamedTuple):
    """More credit; no reply. Bytes are those of the batches as delivered."""

    group: int
    consumer: int
    messages: int
    bytes: int


class Settle(NamedTuple):
    """``acks``, ``releases``: lease rows. ``nacks``: lease rows + [delay_ns | -1 for the queue's backoff,
    reason]. ``rejects``: lease rows + [reason]. ``started``: ranges whose handling began and is not settled.
    ``credit_*``: as in Credit. Reply: ranges refused (lease lost)."""

    rid: int
    group: int
    uid: int
    consumer: int
    acks: Rows
    nacks: Rows
    rejects: Rows
    releases: Rows
    started: Rows
    credit_messages: int
    credit_bytes: int


class Extend(NamedTuple):
    """Renew leases for ``duration_ns`` from now. Reply: ranges refused (lease lost)."""

    rid: int
    group: int
    uid: int
    consumer: int
    leases: Rows
    duration_ns: int


class Unsubscribe(NamedTuple):
    """What the consumer still holds goes back uncharged. Reply True."""

    rid: int
    group: int
    consumer: int


class Poll(NamedTuple):
    """For a consumer with no credit: one message if any is ready. Reply True (a Deliver precedes or follows)
    or, confirmed, False."""

    rid: int
    group: int
    uid: int
    consumer: int


class Deliver(NamedTuple):
    """Node. ``parts``: [term, counter, base, ranges, attempts, enqueued_ns, blob_bytes]: one lease over
    ``ranges`` of the batch in the next ``blob_bytes`` of the blob. ``base`` >= 0: row r of the batch has the
    queue sequence base + r, and only rows in ``ranges`` are leased; -1: the rows are exactly ``ranges`` in
    order. ``attempts``: [seq, failures so far] where above 0. The lease ends ``lease_ns`` after arrival."""

    group: int
    consumer: int
    uid: int
    lease_ns: int
    parts: Rows


class LeaseLost(NamedTuple):
    """Node: these leases ended without settlement (expired, or a higher claim won). ``leases``: lease
    rows."""

    group: int
    consumer: int
    leases: Rows


class ConsumerGone(NamedTuple):
    """Node: the consumer ended here. ``not_leader``: subscribe again at the leader; ``not_found``: the queue
    is gone."""

    group: int
    consumer: int
    code: str
    message: str


class Info(NamedTuple):
    """A ReadIndex. Reply {ready, leased, delayed, dead, bytes, first_seq, next_seq, consumers, group, leader,
    settings, version}."""

    rid: int
    group: int
    uid: int


class Peek(NamedTuple):
    """A ReadIndex: messages from ``first`` on, as many of ``limit`` (10,000 at most) as fit 4 MiB. Reply:
    parts as in Deliver, term and counter 0, blob: the batches; no part: there are no more."""

    rid: int
    group: int
    uid: int
    limit: int
    first: int = 0


class Purge(NamedTuple):
    """Drop what is ready or deferred. Reply: how many."""

    rid: int
    group: int
    uid: int


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
        if expected is int and not -1 <= value < 1 << 63:
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


def lease_rows(rows: Rows, extra: int = 0) -> Rows:
    """Check rows [term, counter, first, last, ...extra] that came from outside. Raises ProtocolError."""
    for row in rows:
        if len(row) != 4 + extra or not _is_lease_row(*row[:4]):
            raise ProtocolError(f"not a lease row: {row!r:.80}")
    return rows


def _is_lease_row(term: Any, counter: Any, first: Any, last: Any) -> bool:
    numbers = type(term) is type(counter) is type(first) is type(last) is int
    return numbers and 0 <= term < 1 << 63 and 0 <= counter < 1 << 63 and 0 <= first <= last < 1 << 63


def failed(rid: int, error: Error) -> Failed:
    """The answer that carries an error."""
    return Failed(rid, error.code, str(error), error.fields())
