"""What members say to each other. Frozen values; the sender's key and address, and rumours, travel beside.

One rule: every field is checked here, with its bounds, before anything else sees it; what is wrong is a
SwimPacketError.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from haqactor.codec import is_list
from haqactor.errors import ProtocolError
from haqactor.swim.member import KEY_BYTES, NEVER_HEARD, Member, Status, fault_in, is_address

SEQ_MAX: Final = (1 << 63) - 1
WAIT_MS_MAX: Final = 600_000
AGE_MS_MAX: Final = 1 << 50
RUMOURS_MAX: Final = 4_096


class SwimPacketError(ProtocolError):
    """A packet is damaged, of another protocol, or says what cannot be said. It is counted and dropped."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you ``target`` (and there)?"""

    seq: int
    target: bytes


@dataclass(frozen=True, slots=True)
class PingReq:
    """Ping ``target`` at ``address`` for me; I wait ``wait_ms``, so say by then that it did not answer."""

    seq: int
    target: bytes
    address: str
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Ack:
    """``answered`` did, to your ping (or ping-req) number ``seq``."""

    seq: int
    answered: bytes


@dataclass(frozen=True, slots=True)
class Nack:
    """I am there and tried, but heard nothing (Lifeguard, section IV-A)."""

    seq: int


@dataclass(frozen=True, slots=True)
class Gossip:
    """Nothing but rumours."""


@dataclass(frozen=True, slots=True)
class Pull:
    """On a stream: here is my table, give me yours."""


@dataclass(frozen=True, slots=True)
class Table:
    """On a stream: the answer to it."""


Message = Ping | PingReq | Ack | Nack | Gossip | Pull | Table
OVER_STREAMS: Final = (Pull, Table)


@dataclass(frozen=True, slots=True)
class Rumour:
    """Something said of a member. ``by``: who accuses a suspect, else empty. ``age_ns``: for how long it has
    been so, for the dead and those who left: all who hear of one forget it at about the same time."""

    member: Member
    by: bytes = b""
    age_ns: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """A whole packet. Answers go to ``address``, the sender's address for clients."""

    key: bytes
    address: str
    message: Message
    rumours: tuple[Rumour, ...] = ()


def rumour_row(rumour: Rumour) -> list[Any]:
    """Plain values for CBOR."""
    m = rumour.member
    age_ms = min(rumour.age_ns // 1_000_000, AGE_MS_MAX)
    return [m.key, m.node, m.address, m.incarnation, int(m.status), m.meta, rumour.by, age_ms]


def _number(value: Any, low: int, high: int, what: str) -> int:
    if type(value) is not int or not low <= value <= high:
        raise SwimPacketError(f"{what} is not a number from {low} to {high}")
    return value


def _key(value: Any, what: str) -> bytes:
    if type(value) is not bytes or len(value) != KEY_BYTES:
        raise SwimPacketError(f"{what} is not {KEY_BYTES} bytes")
    return value


def _address(value: Any) -> str:
    if type(value) is not str or not is_address(value):
        raise SwimPacketError("an address is not printable ASCII of a length that is allowed")
    return value


def rumour_from(row: Any) -> Rumour:
    """What ``rumour_row`` made. Raises SwimPacketError."""
    if not is_list(row) or len(row) != 8:
        raise SwimPacketError("a rumour does not have 8 fields")
    key, node, address, incarnation, status, meta, by, age = row
    if type(meta) is not bytes or type(by) is not bytes or len(by) not in (0, KEY_BYTES):
        raise SwimPacketError("a rumour's meta or accuser is not of the right type or length")
    member = Member(
        _key(key, "a member's key"),
        _number(node, -1, SEQ_MAX, "a node"),
        _address(address),
        _number(incarnation, NEVER_HEARD + 1, SEQ_MAX, "an incarnation"),
        Status(_number(status, 0, Status.LEFT, "a status")),
        meta,
    )
    fault = fault_in(member)
    if fault:
        raise SwimPacketError(fault)
    return Rumour(member, by, _number(age, 0, AGE_MS_MAX, "an age") * 1_000_000)


def message_fields(message: Message) -> list[Any]:
    """The kind and the fields, plain values for CBOR."""
    match message:
        case Ping(seq, target):
            return [1, seq, target]
        case PingReq(seq, target, address, wait_ms):
            return [2, seq, target, address, wait_ms]
        case Ack(seq, answered):
            return [3, seq, answered]
        case Nack(seq):
            return [4, seq]
        case Gossip():
            return [5]
        case Pull():
            return [6]
        case Table():
            return [7]


def _seq(value: Any) -> int:
    return _number(value, 0, SEQ_MAX, "a sequence number")


_READERS: Final[dict[int, tuple[int, Callable[[Sequence[Any]], Message]]]] = {
    1: (2, lambda f: Ping(_seq(f[0]), _key(f[1], "a target"))),
    2: (
        4,
        lambda f: PingReq(
            _seq(f[0]), _key(f[1], "a target"), _address(f[2]), _number(f[3], 0, WAIT_MS_MAX, "a wait")
        ),
    ),
    3: (2, lambda f: Ack(_seq(f[0]), _key(f[1], "who answered"))),
    4: (1, lambda f: Nack(_seq(f[0]))),
    5: (0, lambda _: Gossip()),
    6: (0, lambda _: Pull()),
    7: (0, lambda _: Table()),
}
"""Kind to the number of fields and what they are."""


def message_from(fields: Any) -> Message:
    """What ``message_fields`` made. Raises SwimPacketError."""
    if not is_list(fields) or not fields or type(fields[0]) is not int or fields[0] not in _READERS:
        raise SwimPacketError("this is no kind of message that is known")
    count, read = _READERS[fields[0]]
    if len(fields) != count + 1:
        raise SwimPacketError(f"a message of kind {fields[0]} has {len(fields) - 1} fields, not {count}")
    return read(fields[1:])


def packet_fields(packet: Packet) -> list[Any]:
    """Plain values for CBOR."""
    rows = [rumour_row(rumour) for rumour in packet.rumours]
    return [packet.key, packet.address, message_fields(packet.message), rows]


def packet_from(values: Any) -> Packet:
    """What ``packet_fields`` made. Raises SwimPacketError."""
    if not is_list(values) or len(values) != 4:
        raise SwimPacketError("a packet does not have 4 fields")
    key, address, fields, rows = values
    if not is_list(rows) or len(rows) > RUMOURS_MAX:
        raise SwimPacketError(f"a packet's rumours are no list of at most {RUMOURS_MAX}")
    rumours = tuple([rumour_from(row) for row in rows])
    return Packet(_key(key, "a sender's key"), _address(address), message_from(fields), rumours)
