"""The peer protocol, version 1: frames between the nodes of one cluster.

One rule: a connection carries frames of its dialler only; answers travel on the connection that the other
side dialled. So each link has one writer, and its loss is noticed by the one who needs it.

====  ===========  ==========================================================================================
kind  name         header
====  ===========  ==========================================================================================
1     HELLO        [version_min, version_max, auth, cluster, node, nonce, boot]
2     WELCOME      [version, cluster, node, nonce, boot, machine_oldest, machine_newest]
3     REFUSED      [code, message]; the connection ends
4     RAFT         [group, type, field, ...]; the blob holds an Append's entries
5     BEAT         [wall_ns, beat]; see ``haqactor.raft.heartbeat``
6     BEAT_ANSWER  [wall_ns, answer]
7     INSTALL      [group, term, index, step, number, ...]; a snapshot, see ``haqactor.nodes.installs``
8     FOUND        [address, nonce]; asked by a node that has no cluster yet
9     FOUNDED      [nonce, cluster, members, founders]; its answer, cluster empty and founders the list (empty
                   where it does not know one) while founding
====  ===========  ==========================================================================================
"""

from enum import IntEnum
from typing import Any, Final

from haqactor.codec import are_numbers
from haqactor.entry import Entry, Kind, parse_many
from haqactor.env import Buffer
from haqactor.errors import DataDamaged, ProtocolError
from haqactor.frame import Frame, encode
from haqactor.ids import GroupId
from haqactor.raft import membership, messages

VERSION_MIN: Final = 1
VERSION_MAX: Final = 1
AUTH_METHODS: Final = ["none"]
FRAME_BYTES_MAX: Final = 72 * 1024 * 1024
NUMBER_END: Final = 1 << 63


class PeerOp(IntEnum):
    """The frame kinds."""

    HELLO = 1
    WELCOME = 2
    REFUSED = 3
    RAFT = 4
    BEAT = 5
    BEAT_ANSWER = 6
    INSTALL = 7
    FOUND = 8
    FOUNDED = 9


_TYPES: Final[tuple[type[Any], ...]] = (
    messages.RequestVote,
    messages.Vote,
    messages.Append,
    messages.AppendReply,
    messages.InstallSnapshot,
    messages.TimeoutNow,
    messages.Hello,
)
_SEQUENCES: Final = ("voters", "learners")
_FLAGS: Final = ("pre", "transfer", "granted", "accepted", "suspect", "reply")
_NUMBERS: Final = {kind: number for number, kind in enumerate(_TYPES)}
_NAMES: Final = {kind: tuple(name for name in kind.__match_args__ if name != "entries") for kind in _TYPES}
_FIELDS: Final[dict[type[Any], list[tuple[str, type[Any]]]]] = {
    kind: [(name, list if name in _SEQUENCES else bool if name in _FLAGS else int) for name in names]
    for kind, names in _NAMES.items()
}
_CONFIG: Final = Kind.CONFIG


def pack_raft(group: GroupId, message: messages.Message) -> bytes:
    """The frame of a Raft message."""
    kind = type(message)
    header = [group, _NUMBERS[kind], *(getattr(message, name) for name in _NAMES[kind])]
    if isinstance(message, messages.Append):
        return encode(PeerOp.RAFT, header, *(entry.frame for entry in message.entries))
    return encode(PeerOp.RAFT, header)


def parse_raft(frame: Frame) -> tuple[GroupId, messages.Message]:
    """The group and message of a frame. Raises ProtocolError."""
    header = frame.header
    if not isinstance(header, list) or len(header) < 2 or not are_numbers(header[:2]):
        raise ProtocolError("a Raft frame's header is wrong")
    if header[1] >= len(_TYPES):
        raise ProtocolError(
            f"Raft message type {header[1]} is unknown in peer protocol version {VERSION_MAX}"
        )
    kind = _TYPES[header[1]]
    names = _FIELDS[kind]
    if len(header) != len(names) + 2:
        raise ProtocolError(f"{kind.__name__} has {len(names)} fields, not {len(header) - 2}")
    values: dict[str, Any] = {}
    for (name, expected), value in zip(names, header[2:], strict=True):
        if type(value) is not expected or (
            not 0 <= value < NUMBER_END if expected is int else expected is list and not are_numbers(value)
        ):
            raise ProtocolError(f"{kind.__name__}.{name} is {value!r:.60}")
        values[name] = tuple(value) if expected is list else value
    group = GroupId(header[0])
    if kind is messages.Append:
        values["entries"] = _entries(frame.blob, group, values["prev_index"])
    message: messages.Message = kind(**values)
    return group, message


def _entries(blob: Buffer, group: GroupId, prev_index: int) -> tuple[Entry, ...]:
    """The entries of an Append. Raises ProtocolError."""
    try:
        entries = tuple(parse_many(blob))
        for index, entry in enumerate(entries, prev_index + 1):
            if entry.index != index or entry.group != group:
                raise ProtocolError(f"{entry!r} where entry {index} of group {group} belongs")
            if entry.kind is _CONFIG:
                membership.decode(bytes(entry.header))
    except DataDamaged as error:
        raise ProtocolError(f"entries from a peer are damaged: {error}") from error
    return entries


def hello_fields(header: Any, expected: tuple[type[Any], ...], name: str) -> list[Any]:
    """A handshake header, checked field by field; what a newer release may have put behind them is passed
    over. Raises ProtocolError."""
    if not isinstance(header, list) or len(header) < len(expected):
        raise ProtocolError(f"{name} has {len(expected)} fields")
    fields: list[Any] = header[: len(expected)]
    for value, kind in zip(fields, expected, strict=True):
        if type(value) is not kind or (kind is int and not 0 <= value < NUMBER_END):
            raise ProtocolError(f"{name} has {value!r:.60} where {kind.__name__} belongs")
    return fields
