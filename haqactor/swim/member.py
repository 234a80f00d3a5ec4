"""A member as somebody knows it, and which of two pieces of news about it counts.

One rule: of any two, the same one counts everywhere, in whatever order they come; so views that heard the
same agree.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from haqactor.env import Probe
from haqactor.errors import InvalidArgument

KEY_BYTES: Final = 16
META_BYTES_MAX: Final = 256
ADDRESS_BYTES_MAX: Final = 255
NODE_MAX: Final = (1 << 31) - 1
BOOT_SHIFT: Final = 20
INCARNATION_MAX: Final = (1 << 60) - 1
NEVER_HEARD: Final = 0
"""The incarnation of a member that is only known from a list. It is never said to anybody."""


class Status(IntEnum):
    """What is believed of a member; within one incarnation the later one counts."""

    ALIVE = 0
    SUSPECT = 1  #: did not answer, and has some time to say that it is there
    DEAD = 2  #: did not do so in time
    LEFT = 3  #: said goodbye


@dataclass(frozen=True, slots=True)
class Member:
    """``key``: 16 bytes, the nonce of the node's disk; a wiped disk is another member. ``node``: its number,
    -1 for a guest without one. ``address``: where clients reach it, ``host:port``. ``incarnation``: (boot
    epoch << 20) plus what it refuted or updated since; only the member itself raises it. ``meta``: opaque, at
    most 256 bytes."""

    key: bytes
    node: int
    address: str
    incarnation: int
    status: Status
    meta: bytes


Rank = tuple[int, int, str, int, bytes]


def rank(member: Member) -> Rank:
    """The place of a piece of news among all about the same member: a total order, so that the highest of
    several is a join (associative, commutative, idempotent)."""
    return (member.incarnation, member.status, member.address, member.node, member.meta)


def supersedes(new: Member, old: Member) -> bool:
    """Does ``new`` count where ``old`` was believed? alive(i) beats suspect and dead of any j < i; within an
    incarnation left beats dead beats suspect beats alive; between other facts of the same incarnation and
    status the greater ones win, which is arbitrary and the same everywhere. False for different members."""
    return new.key == old.key and rank(new) > rank(old)


def same_facts(one: Member, other: Member) -> bool:
    """Do both say the same of what only the member itself can know?"""
    return (one.node, one.address, one.meta) == (other.node, other.address, other.meta)


def first_incarnation(boot: int, probe: Probe) -> int:
    """The incarnation with which start number ``boot`` (from 1) speaks first: above all of earlier starts."""
    return (1 if probe.bug("swim.incarnation_restarts") else boot) << BOOT_SHIFT


def fault_in(member: Member) -> str:
    """What is wrong with the values of a member; empty when nothing is. Status and types are the caller's."""
    if len(member.key) != KEY_BYTES:
        return f"a member's key has {len(member.key)} bytes, not {KEY_BYTES}"
    if not -1 <= member.node <= NODE_MAX:
        return f"a member's node is {member.node}"
    if not is_address(member.address):
        return f"a member's address is not 1 to {ADDRESS_BYTES_MAX} printable ASCII characters"
    if not 0 <= member.incarnation <= INCARNATION_MAX:
        return f"a member's incarnation is {member.incarnation}"
    if len(member.meta) > META_BYTES_MAX:
        return f"a member's meta has {len(member.meta)} bytes, at most {META_BYTES_MAX}"
    return ""


def is_address(text: str) -> bool:
    """May this travel as an address?"""
    return 0 < len(text) <= ADDRESS_BYTES_MAX and text.isascii() and text.isprintable()


def checked(member: Member) -> Member:
    """The same member. Raises InvalidArgument where it could not travel."""
    fault = fault_in(member)
    if fault:
        raise InvalidArgument(fault)
    return member
