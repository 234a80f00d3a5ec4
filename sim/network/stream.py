"""One end of a simulated TCP connection.

One rule: a host's own tasks change its ends directly, what comes from elsewhere comes as an event of the
world and enters the host only where a task waits for it.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import trio

from haqactor.env import Buffer, StreamReset
from haqactor.sim.host import Host
from haqactor.sim.network.flow import Flow
from haqactor.sim.network.inbox import Inbox
from haqactor.sim.network.waiter import Waiter
from haqactor.sim.world import NS

DIALING: Final = "dialing"
OPEN: Final = "open"
CLOSED: Final = "closed"
GONE: Final = "gone"


class Stack(Protocol):
    """What an end knows of the machine it stands on. ``is_dead``: that incarnation has ended."""

    host: Host
    is_dead: bool

    def forget(self, stream: "SimStream") -> None:
        """Nothing is left to do for that end."""
        ...

    def remember(self, stream: "SimStream") -> None:
        """A task may wait at that end, though it is gone."""
        ...

    def answer(self, stream: "SimStream") -> None:
        """Something came for an end that is gone: the machine says so, if it can."""
        ...


class SimStream:
    """``out`` and ``into``: its two flows. ``state``: of this end. ``key``: its number on its machine."""

    __slots__ = (
        "_credit",
        "_ended",
        "_inbox",
        "_is_cut_short",
        "_is_sending",
        "_owed",
        "_reader",
        "_remote",
        "_sender",
        "_unsent",
        "_unsent_bytes",
        "_why",
        "into",
        "key",
        "out",
        "stack",
        "state",
        "was_refused",
    )

    def __init__(self, stack: Stack, key: int, remote: str, out: Flow, into: Flow, state: str) -> None:
        self.stack = stack
        self.key = key
        self.out = out
        self.into = into
        self.state = state
        self.was_refused = False
        self._remote = remote
        self._why = "this end was closed"
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._credit = out.link.settings.window_bytes
        self._inbox = Inbox(into.link)
        self._owed = 0
        self._ended = False
        self._is_sending = False
        self._is_cut_short = False
        self._reader = Waiter()
        self._sender = Waiter()
        into.receiver = self

    # -- for the host's tasks

    @property
    def remote(self) -> str:
        """The peer's address, for logs."""
        return self._remote

    def is_among_last(self, reserve: int) -> bool:
        """A simulated host has no end of descriptors."""
        return False

    async def send_all(self, data: Buffer) -> None:
        """``env.Stream``."""
        if self._is_sending:
            raise trio.BusyResourceError(f"{self._remote}: one task sends")
        if self._is_cut_short:
            raise StreamReset(f"{self._remote}: an earlier send was cut short")
        if self.state != OPEN or self.stack.is_dead:
            await self._refuse()
        await trio.lowlevel.checkpoint_if_cancelled()
        self._is_sending = self._is_cut_short = True
        try:
            sent = self._hand_over(data)
            size = len(data)
            if sent < size:
                rest = bytes(data)
                while sent < size:
                    await self._sender.wait(self._remote)
                    if self.state != OPEN or self.stack.is_dead:
                        await self._refuse()
                    sent += self._hand_over(memoryview(rest)[sent:])
            self._is_cut_short = False
        finally:
            self._is_sending = False
        await trio.lowlevel.cancel_shielded_checkpoint()

    def give_up_after(self, seconds: float) -> None:
        """``env.Stream``; what sends nothing is not asked for here."""
        self.out.patience_ns = int(seconds * NS)

    def send_now(self, data: Buffer) -> int:
        """``env.Stream``."""
        if self.state != OPEN or self._is_cut_short or self.stack.is_dead:
            return 0
        return self._hand_over(data)

    def _hand_over(self, data: Buffer) -> int:
        size = len(data)
        taken = 0
        if not self._unsent_bytes and size:
            taken = min(size, self._credit)
            if taken:
                self._credit -= taken
                self.out.send(bytes(data if taken == size else data[:taken]))
        room = min(size - taken, self.out.link.settings.buffer_bytes - self._unsent_bytes)
        if room > 0:
            self._unsent.append(bytes(data[taken : taken + room]))
            self._unsent_bytes += room
            taken += room
        return taken

    async def receive_some(self, max_bytes: int = 262_144) -> bytes:
        """``env.Stream``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while True:
            if self.state != OPEN or self.stack.is_dead:
                await self._refuse(reading=True)
            if self._inbox.size or self._ended:
                break
            await self._reader.wait(self._remote)
            waited = True
        data = self._take(max_bytes) if self._inbox.size else b""
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    def _take(self, max_bytes: int) -> bytes:
        data = self._inbox.take(max_bytes)
        self._owed += len(data)
        if self._owed * 2 >= self.into.link.settings.window_bytes and self.state == OPEN and not self._ended:
            self.out.credit(self._owed)
            self._owed = 0
        return data

    async def _refuse(self, *, reading: bool = False) -> None:
        if reading and self.state == GONE and self._inbox.size and not self.stack.is_dead:
            return  # it came before the reset did
        await trio.lowlevel.checkpoint()
        raise StreamReset(f"{self._remote}: {self._why}")

    async def aclose(self) -> None:
        """``env.Stream``."""
        if self.state == OPEN and not self.stack.is_dead:
            self.close()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """``env.Stream``."""
        if self.state != OPEN or self.stack.is_dead:
            return
        self._end_here("this end was closed")
        self.out.abandon()
        self._wake_all()

    # -- for the machine

    @property
    def is_up(self) -> bool:
        """Something may still be sent from here."""
        return self.state in (OPEN, CLOSED)

    async def opening(self) -> None:
        """Wait until the dial is answered; ``state`` tells how. Cancelled: nobody wants the answer."""
        try:
            while self.state == DIALING and not self.stack.is_dead:
                await self._sender.wait(self._remote)
        except trio.Cancelled:
            self.abort()
            if self.state == DIALING:
                self._end_here("the dial was given up")
            raise

    def close(self) -> None:
        """Close in order: send what was handed over, then the end. What came and nobody read is thrown
        away."""
        if self.state != OPEN:
            return
        self.state = CLOSED
        self._inbox.clear()
        if not self._unsent_bytes:
            self._send_end()
        if not self.stack.is_dead:
            self._wake_all()

    def vanish(self, *, answers: bool) -> None:
        """The machine's power is cut. ``answers``: it, or what stands in for it, resets the stream."""
        was_up = self.state in (OPEN, CLOSED)
        self._unsent.clear()
        self._unsent_bytes = 0
        self.state = GONE
        self.out.vanish()
        if answers and was_up:
            self.out.reset_by_chance()

    def wake_dead(self) -> None:
        """At the end of the world, inside the dead run: let nobody wait for ever."""
        self._wake_all()

    def _send_end(self) -> None:
        self.out.end()
        self.stack.forget(self)

    def _end_here(self, why: str) -> None:
        self.state = GONE
        self._why = why
        self._unsent.clear()
        self._unsent_bytes = 0
        self._inbox.clear()
        self.stack.forget(self)

    def _wake_all(self) -> None:
        self._reader.wake()
        self._sender.wake()

    # -- from the other end, as events of the world

    def opened(self) -> None:
        """``flow.Receiver``: the dial was answered."""
        if self.state == DIALING:
            self.state = OPEN
            self._enter(self._wake_all)
        elif self.state == GONE:
            self.stack.answer(self)

    def data_came(self, data: bytes) -> None:
        """``flow.Receiver``."""
        if self.state == OPEN:
            self._inbox.put(data)
            if self._reader.waits:
                self._enter(self._reader.wake)
            return
        if self.state == CLOSED:  # nobody will read it: the peer's bytes are lost, and ours with them
            self._end_here("the peer sent after this end was closed")
        self.stack.answer(self)

    def end_came(self) -> None:
        """``flow.Receiver``."""
        if self.state == OPEN:
            self._ended = True
            if self._reader.waits:
                self._enter(self._reader.wake)

    def reset_came(self) -> None:
        """``flow.Receiver``. Bytes that came before it may be lost to the reader."""
        if self.state == GONE:
            return
        link = self.into.link
        if not self.stack.is_dead:
            trace = self.stack.host.world.trace
            trace.add("reset", link.target, link.source, link.target, self.into.number, self.state)
        kept = Inbox(link) if link.draw(link.settings.discard_share) else self._inbox
        self._inbox = Inbox(link)
        self.was_refused = self.state == DIALING
        self._end_here("the peer reset it")
        self._inbox = kept
        self.out.vanish()
        if self._reader.waits or self._sender.waits:
            self._enter(self._wake_all)

    def gave_up(self) -> None:
        """``flow.Receiver``. The peer is not told: it finds out when it sends."""
        if not self.is_up:
            return
        link = self.out.link
        if not self.stack.is_dead:
            trace = self.stack.host.world.trace
            trace.add("reset", link.source, link.target, link.source, self.out.number, "gave up")
        self._end_here("the other machine took nothing for too long")
        self.out.vanish()
        if self._reader.waits or self._sender.waits:
            self._enter(self._wake_all)

    def credit_came(self, size: int) -> None:
        """``flow.Receiver``. A machine that stands still sends nothing."""
        if self.stack.host.paused and not self.stack.is_dead:
            self._enter(partial(self._credit_inside, size))
            return
        self._send_on(size)
        if self._sender.waits:
            self._enter(self._sender.wake)

    def _credit_inside(self, size: int) -> None:
        self._send_on(size)
        self._sender.wake()

    def _send_on(self, size: int) -> None:
        self._credit += size
        waited = self._unsent_bytes > 0
        while self._unsent_bytes and self._credit:
            data = self._unsent.popleft()
            if len(data) > self._credit:
                self._unsent.appendleft(data[self._credit :])
                data = data[: self._credit]
            self._credit -= len(data)
            self._unsent_bytes -= len(data)
            self.out.send(data)
        if self.state == CLOSED and waited and not self._unsent_bytes:
            self._send_end()

    def _enter(self, callback: Callable[[], None]) -> None:
        if self.stack.is_dead:  # the host may have been started again since
            return
        if self.stack.host.paused:
            self.stack.remember(self)
        self.stack.host.enter(callback)
