"""The headers of command entries: ``[version, T_ns, [command, ...]]`` in CBOR, a command being ``[op, ...]``.

One rule: what this release does not fully know is never a guess: an UnknownVersion where the version says so
(it stands first, whatever follows it), else an InvariantViolation.

Ranges are ``[first, last]``, inclusive, of queue sequences. ``body_at`` and ``body_bytes`` place a batch in
the entry's body. Bodies are never opened here: count and CRC of a publish come from ``batch.head``, read once
by the leader.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard

from haqactor import codec
from haqactor.env import Buffer
from haqactor.errors import InvalidArgument, InvariantViolation, ProtocolError
from haqactor.machine.versions import FIRST, KNOWN, Versions

Command: TypeAlias = list[Any]
Range: TypeAlias = tuple[int, int]
Ranges: TypeAlias = Sequence[Sequence[int]]


class Op(IntEnum):
    """The commands; numbers are never reused."""

    PUBLISH = 1
    SETTLE = 2
    RETURN = 3
    RESERVE = 4
    PURGE = 5
    TICK = 6
    PRODUCER_EPOCH = 7
    END_SESSION = 8
    FOLLOW_DIRECTORY = 9
    LIMITS = 10
    RAISE_VERSION = 11
    DECLARE = 32
    DELETE = 33
    OPEN_PRODUCER = 34
    REGISTER_NODE = 35
    CREATE_GROUPS = 36


class Cause(IntEnum):
    """Why leases ended without settlement."""

    EXPIRED = 1
    SESSION_LOST = 2
    LEADER_CHANGE = 3
    UNSUBSCRIBED = 4


_SHAPES: Final[dict[int, list[type[Any]]]] = {
    Op.PUBLISH: [int, int, bytes, int, int, int, int, int, int, int, int],
    Op.SETTLE: [int, int, list, list, list, list],
    Op.RETURN: [int, int, int, list, list, list],
    Op.RESERVE: [int, int, int, list],
    Op.PURGE: [int, int, list],
    Op.TICK: [int, bool],
    Op.PRODUCER_EPOCH: [int, bytes, int, int],
    Op.END_SESSION: [int, bytes],
    Op.FOLLOW_DIRECTORY: [int, int, list, list],
    Op.LIMITS: [int, int],
    Op.RAISE_VERSION: [int, int],
    Op.DECLARE: [int, str, dict],
    Op.DELETE: [int, str, int],
    Op.OPEN_PRODUCER: [int, str],
    Op.REGISTER_NODE: [int, int, str, int],
    Op.CREATE_GROUPS: [int, list],
}
_NUMBER_END: Final = 1 << 63


class Header(NamedTuple):
    """A decoded header."""

    version: int
    time_ns: int
    commands: list[Command]


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """A decoded list, of whatever."""
    return type(value) is list


def encode(time_ns: int, commands: Sequence[Command], version: int = FIRST) -> bytes:
    """The header of one entry; ``time_ns`` is the leader's T (``LoggedTime.now``), ``version`` the one that
    its group has agreed on."""
    return codec.dumps([version, time_ns, commands])


def decode(header: Buffer, known: Versions = KNOWN) -> Header:
    """The inverse of ``encode``. Raises UnknownVersion, and InvariantViolation on whatever else is not
    known."""
    try:
        value = codec.loads(header)
    except ProtocolError as error:
        raise InvariantViolation(f"an entry's header is not CBOR: {error}") from error
    if not is_list(value) or not value or type(value[0]) is not int:
        raise InvariantViolation(f"an entry's header is malformed: {value!r:.80}")
    version = known.check(value[0], "an entry")
    if len(value) != 3 or type(value[1]) is not int or not is_list(value[2]):
        raise InvariantViolation(f"an entry's header is malformed: {value!r:.80}")
    _version, time_ns, commands = value
    for command in commands:
        if (
            not is_list(command)
            or not command
            or type(command[0]) is not int
            or _SHAPES.get(command[0]) != list(map(type, command))
        ):
            raise InvariantViolation(f"a command that this version does not know: {command!r:.80}")
    return Header(version, time_ns, commands)


def check(command: Command) -> None:
    """Can every replica decode and apply it, and read what it leaves behind back from a snapshot? To be asked
    before it is proposed, for what is in the log stays there. Not for publishes, whose fields the shell makes
    of checked ones: they are too many. Raises InvalidArgument."""
    kinds = _SHAPES.get(command[0])
    if kinds != list(map(type, command)):
        raise InvalidArgument(f"no replica could decode this command: {command!r:.200}")
    for value in command:
        if type(value) is int and not 0 <= value < _NUMBER_END:
            raise InvalidArgument(f"{value} is out of range, in the command {command!r:.200}")
    if command[0] == Op.RESERVE:
        for holder in command[3]:
            if [type(value) for value in holder] != [bytes, int] or not 0 <= holder[1] < _NUMBER_END:
                raise InvalidArgument(f"{holder!r:.80} is no consumer that may hold leases")


def publish(
    uid: int,
    producer: bytes,
    epoch: int,
    first: int,
    count: int,
    crc: int,
    below: int,
    began_ns: int,
    body_at: int,
    body_bytes: int,
) -> Command:
    """Store one batch. Fields as in ``wire.Publish``; ``count`` and ``crc`` as in ``batch.head``. Reply: runs
    ``[queue_seq, count, duplicate]`` or NotFound, Fenced, SequenceConflict/Gap/Expired, Overloaded."""
    return [Op.PUBLISH.value, uid, producer, epoch, first, count, crc, below, began_ns, body_at, body_bytes]


def moved(command: Command, body_at: int) -> Command:
    """The same publish, its batch at another place of another body."""
    return [*command[:-2], body_at, command[-1]]


def settle(
    uid: int, acks: Ranges, nacks: Sequence[Sequence[Any]], rejects: Sequence[Sequence[Any]], releases: Ranges
) -> Command:
    """What the leader judged to be in order. ``nacks``: ``[first, last, delay_ns | -1, reason]``;
    ``rejects``: ``[first, last, reason]``. Reply True, or NotFound."""
    return [Op.SETTLE.value, uid, acks, nacks, rejects, releases]


def return_(uid: int, cause: Cause, ranges: Ranges, charged: Ranges, suspects: Ranges) -> Command:
    """Leases that ended without settlement: uncharged, charged with a failure, or suspected (uncharged once).
    Reply True."""
    return [Op.RETURN.value, uid, cause.value, ranges, charged, suspects]


def reserve(uid: int, upto: int, holders: Sequence[Sequence[Any]]) -> Command:
    """The leader may lease sequences below ``upto`` to the consumers ``[session, consumer]``, which replace
    those named before. Reply True."""
    return [Op.RESERVE.value, uid, upto, holders]


def purge(uid: int, spare: Ranges) -> Command:
    """Drop what is ready or deferred. ``spare``: what the leader knows to be leased (``Dispatcher.purge``
    builds it). Reply: how many."""
    return [Op.PURGE.value, uid, spare]


def tick(sessions: bool) -> Command:
    """Let timers act, a bounded number; ``sessions``: producer sessions may expire too. Reply True."""
    return [Op.TICK.value, sessions]


def producer_epoch(producer: bytes, epoch: int, uid: int) -> Command:
    """Begin of a named producer in a queue (uid 0: in none): from here on older epochs are fenced in this
    group. Reply ``[T_ns, last_seq]`` or Fenced, NotFound."""
    return [Op.PRODUCER_EPOCH.value, producer, epoch, uid]


def end_session(producer: bytes) -> Command:
    """An anonymous producer session ends in this group. Reply True."""
    return [Op.END_SESSION.value, producer]


def follow_directory(upto: int, drops: Sequence[int], ensures: Sequence[Sequence[Any]]) -> Command:
    """EnsureQueue and DropQueue of one step of the directory, whose change number is ``upto``; ignored if not
    above the highest applied. ``ensures``: ``[uid, version, name, settings]``. Made by ``directory.wanted``.
    Reply True."""
    return [Op.FOLLOW_DIRECTORY.value, upto, drops, ensures]


def limits(producer_sessions_max: int) -> Command:
    """The leader's configured bounds, made part of the log (a replica never reads its own). Reply True."""
    return [Op.LIMITS.value, producer_sessions_max]


def raise_version(version: int) -> Command:
    """From here on the group may have entries of this version, the next one, too. Only what every replica has
    said that it knows. Reply True."""
    return [Op.RAISE_VERSION.value, version]


def declare(name: str, settings: dict[str, Any]) -> Command:
    """Group 0. Reply as ``wire.Declare`` says, or Conflict, InvalidArgument, NoQuorum (no groups yet)."""
    return [Op.DECLARE.value, name, settings]


def delete(name: str, uid: int) -> Command:
    """Group 0: that incarnation of a queue; ``uid`` 0: whichever there is. Reply ``{uid, group}`` or
    NotFound, Conflict."""
    return [Op.DELETE.value, name, uid]


def open_producer(name: str) -> Command:
    """Group 0. Reply ``[producer, epoch]``."""
    return [Op.OPEN_PRODUCER.value, name]


def register_node(node: int, address: str, boot: int) -> Command:
    """Group 0: a node's clients' address and boot epoch; an older boot changes nothing. Reply True."""
    return [Op.REGISTER_NODE.value, node, address, boot]


def create_groups(groups: Sequence[Sequence[Any]]) -> Command:
    """Group 0: ``[group, [node, ...]]`` each; those that exist are left alone. Reply rows ``[group, uid,
    replicas]`` of all asked for."""
    return [Op.CREATE_GROUPS.value, groups]
