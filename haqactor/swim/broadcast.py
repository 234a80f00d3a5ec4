"""News that still has to be told, and how often it was (SWIM, section 4.1).

One rule: what was told least goes first, of that the newest; each piece is told a bounded number of times,
and newer news of a member takes the place of older.
"""

from math import ceil, log10
from typing import Final

from haqactor.codec import dumps
from haqactor.swim.member import Member, Status
from haqactor.swim.messages import Rumour, rumour_row

_AGE_BYTES: Final = 8


def transmissions(mult: int, members: int) -> int:
    """How often each member tells a piece of news: mult x ceil(log10(n + 1))."""
    return mult * ceil(log10(members + 1))


class _Item:
    __slots__ = ("by", "member", "order", "sent", "since_ns", "size")

    def __init__(self, member: Member, by: bytes, since_ns: int, order: int) -> None:
        self.member = member
        self.by = by
        self.since_ns = since_ns
        self.order = order
        self.sent = 0
        self.size = size_of(Rumour(member, by))

    def rumour(self, now_ns: int) -> Rumour:
        return rumour_of(self.member, self.by, self.since_ns, now_ns)


def rumour_of(member: Member, by: bytes, since_ns: int, now_ns: int) -> Rumour:
    """What is said of a member now; only the dead and those who left age."""
    return Rumour(member, by, max(0, now_ns - since_ns) if member.status >= Status.DEAD else 0)


def size_of(rumour: Rumour) -> int:
    """The most bytes that it takes in a packet, however old it gets."""
    return len(dumps(rumour_row(rumour))) + _AGE_BYTES


class Broadcasts:
    """At most one piece of news a member."""

    __slots__ = ("_items", "_order")

    def __init__(self) -> None:
        self._items: dict[bytes, _Item] = {}
        self._order = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, member: Member, by: bytes, since_ns: int) -> None:
        """Tell this, and nothing older of the same member. ``since_ns``: since when it is so."""
        self._order += 1
        self._items[member.key] = _Item(member, by, since_ns, self._order)

    def drop(self, key: bytes) -> None:
        """Tell nothing more of it."""
        self._items.pop(key, None)

    def clear(self) -> None:
        """Nobody is there to be told; whoever comes gets the whole table."""
        self._items.clear()

    def take(self, room: int, limit: int, now_ns: int, skip: tuple[bytes, ...] = ()) -> list[Rumour]:
        """Rumours for one packet with ``room`` bytes for them; each counts as told. ``limit``: how often
        each is told. ``skip``: members of whom this packet speaks already."""
        taken: list[Rumour] = []
        for item in sorted(self._items.values(), key=_least_told):
            if item.size > room or item.member.key in skip:
                continue
            room -= item.size
            item.sent += 1
            taken.append(item.rumour(now_ns))
            if item.sent >= limit:
                del self._items[item.member.key]
        return taken


def _least_told(item: _Item) -> tuple[int, int]:
    return item.sent, -item.order
