"""A mailbox: what others hand to an actor, taken all at once.

One rule: putting is synchronous and never fails; who may produce without end waits for space first. A hop per
item would cost as much as packing a batch (``trio`` memory channels: 5 us), so the actor drains the whole box
with one wake-up."""

from typing import Final, Generic, TypeVar

import trio

from haqactor.env import NullProbe, Probe

T = TypeVar("T")
_NULL: Final = NullProbe()


class Mailbox(Generic[T]):
    """Items for one actor. ``items_max``/``bytes_max`` bound what producers may add before ``wait_space``
    holds them."""

    __slots__ = (
        "_bytes", "_items", "_once", "_space", "_unbounded", "_wake", "_woken", "bytes_max", "called",
        "items_max",
    )  # fmt: skip

    def __init__(self, items_max: int, bytes_max: int, probe: Probe = _NULL) -> None:
        self._unbounded = probe.bug("nodes.mailbox_unbounded")
        self.items_max = items_max
        self.bytes_max = bytes_max
        self._items: list[T] = []
        self._once: dict[T, None] = {}
        self._bytes = 0
        self._wake = trio.Event()
        self._woken = False
        self.called = True
        self._space: trio.Event | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        """Producers should wait."""
        full = len(self._items) >= self.items_max or self._bytes >= self.bytes_max
        return full and not self._unbounded

    def put(self, item: T, size: int = 0) -> None:
        """Add an item of ``size`` bytes and wake the actor."""
        self._items.append(item)
        self._bytes += size
        self._rouse()

    def put_once(self, item: T) -> None:
        """Add what says no more twice than once, unless an equal one is in the box: a notice, which nobody
        waits to give. The actor may not take any for long."""
        if item not in self._once:
            self._once[item] = None
            self.put(item)

    def wake(self) -> None:
        """Let the actor have a turn though nothing new is in the box; it finds ``called`` set, and unsets
        it."""
        self.called = True
        self._rouse()

    def _rouse(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake.set()

    async def wait_space(self) -> None:
        """Return once the box is not full. A checkpoint only where it waits."""
        while self.full:
            if self._space is None:
                self._space = trio.Event()
            await self._space.wait()

    async def drain(self) -> list[T]:
        """Wait for a wake-up, then take everything (perhaps nothing, after ``wake``). Always a checkpoint."""
        await self._wake.wait()
        self._wake = trio.Event()
        self._woken = False
        items, self._items = self._items, []
        self._once.clear()
        self._bytes = 0
        if self._space is not None:
            self._space.set()
            self._space = None
        return items
