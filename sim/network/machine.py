"""The TCP and the UDP of one machine: what is open and what is connected there, for each of its
incarnations.

One rule: a name stands for one machine for ever; what an incarnation had open ends with it, and nothing of it
reaches the next one.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final, Literal, TypeAlias

from haqactor.env import AddressInUse
from haqactor.sim.host import Host
from haqactor.sim.network.datagrams import Post, SimDatagrams
from haqactor.sim.network.links import Faults
from haqactor.sim.network.listener import SimListener
from haqactor.sim.network.stream import SimStream

Fate: TypeAlias = Literal["reset", "end", "silence"]
"""What the peers of a machine that crashed are told: a reset; an orderly end, as the kernel does for a
process that was killed; nothing, until it is back."""

FATES: Final[tuple[Fate, ...]] = ("reset", "end", "silence")
_PORT_FIRST: Final = 32_768
_PORT_LAST: Final = 60_999


class Stack:
    """One incarnation. ``is_dead``: it has ended, at ``died_ns``; nothing that it does has any effect.
    ``datagrams``: its open ports for them."""

    __slots__ = (
        "_next_key",
        "datagrams",
        "died_ns",
        "host",
        "incarnation",
        "is_dead",
        "listeners",
        "machine",
        "streams",
    )

    def __init__(self, machine: "Machine", host: Host) -> None:
        self.machine = machine
        self.host = host
        self.incarnation = host.incarnation
        self.is_dead = False
        self.died_ns: int | None = None
        self.datagrams: dict[int, SimDatagrams] = {}
        self.streams: dict[int, SimStream] = {}
        self.listeners: dict[int, SimListener] = {}
        self._next_key = 0
        host.on_crash.append(self._crashed)

    def key(self) -> int:
        """A number for a stream."""
        self._next_key += 1
        return self._next_key

    def listen(self, shown: str, port: int) -> SimListener:
        """Open a port; 0: a free one. Raises AddressInUse."""
        port = self._free(shown, port, self.listeners)
        listener = self.listeners[port] = SimListener(self, shown, port)
        return listener

    def bind(self, shown: str, port: int, post: Post) -> SimDatagrams:
        """As ``listen``, for datagrams; ``post`` sends them. Raises AddressInUse."""
        port = self._free(shown, port, self.datagrams)
        opened = self.datagrams[port] = SimDatagrams(self, shown, port, post)
        return opened

    def _free(self, shown: str, port: int, taken: Mapping[int, object]) -> int:
        if port in taken:
            raise AddressInUse(
                f"another process listens on {shown}:{port}: stop it, or configure another port"
            )
        return port or self.machine.free_port()

    def unlisten(self, port: int) -> None:
        """Nobody listens there any more."""
        self.listeners.pop(port, None)

    def unbind(self, port: int) -> None:
        """Nobody receives there any more."""
        self.datagrams.pop(port, None)

    def forget(self, stream: SimStream) -> None:
        """Nothing is left to do for that end."""
        self.streams.pop(stream.key, None)

    def remember(self, stream: SimStream) -> None:
        """A task may wait at that end, though it is gone."""
        self.streams[stream.key] = stream

    def answer(self, stream: SimStream) -> None:
        """Something came for an end that is gone: a reset goes back, now or when the machine is there
        again."""
        if self.machine.answers:
            stream.out.reset()
        else:
            self.machine.limbo[stream] = None

    def _crashed(self) -> None:
        self.is_dead = True
        self.died_ns = self.host.world.now_ns
        streams = list(self.streams.values())
        fate = self.machine.crashed(bool(streams))
        self.streams.clear()
        for stream in streams:
            if fate == "end" and stream.is_up:
                stream.close()
            else:
                stream.vanish(answers=fate == "reset")
        self.host.on_end.append(lambda: self._ended(streams))

    def _ended(self, streams: list[SimStream]) -> None:
        for stream in streams:
            stream.wake_dead()
        for listener in self.listeners.values():
            listener.wake_dead()
        for opened in self.datagrams.values():
            opened.wake_dead()


class Machine:
    """``fate``: of its next crashes; None: drawn. ``answers``: something there speaks TCP, though its program
    may be dead. ``stack``: of the present incarnation, once it used the network. ``limbo``: ends that are
    gone, for which something came while nobody answered."""

    __slots__ = (
        "_faults",
        "_port",
        "_random",
        "answers",
        "end_share",
        "fate",
        "host",
        "limbo",
        "name",
        "silence_share",
        "stack",
    )

    def __init__(self, faults: Faults, name: str, host: Host | None) -> None:
        self.name = name
        self.host = host
        self.fate: Fate | None = None
        self.end_share = 0.25
        self.silence_share = 0.0
        self.answers = True
        self.stack: Stack | None = None
        self.limbo: dict[SimStream, None] = {}
        self._faults = faults
        self._random = faults.world.random("machine", name)
        self._port = _PORT_FIRST

    def free_port(self) -> int:
        """One that nobody used for long."""
        while True:
            self._port += 1
            if self._port > _PORT_LAST:
                self._port = _PORT_FIRST
            stack = self.stack
            if stack is None or (self._port not in stack.listeners and self._port not in stack.datagrams):
                return self._port

    def boot(self, host: Host) -> Stack:
        """The stack of the incarnation that runs. A machine that is back resets what came for its former
        selves."""
        stack = self.stack
        if stack is not None and not stack.is_dead:
            if stack.host is not host:
                raise ValueError(f"{self.name} is a machine of host {stack.host.name} already")
            return stack
        self.host = host
        stack = self.stack = Stack(self, host)
        self.answer()
        return stack

    def answer(self) -> None:
        """It speaks TCP (again)."""
        self.answers = True
        limbo, self.limbo = self.limbo, {}
        for stream in limbo:
            stream.out.reset()

    def crashed(self, connected: bool) -> Fate:
        """Its program has ended; returns what the peers are told. It is a fault only for who was
        ``connected``."""
        fate = self.fate
        if fate is None:
            chance = self._random.random()
            if chance < self.silence_share:
                fate = "silence"
            else:
                fate = "end" if chance < self.silence_share + self.end_share else "reset"
        self.answers = fate != "silence"
        if connected:  # a moment later, so that the end of the world is no fault
            tell = partial(self._faults.fired, f"crash-{fate}", self.name, self.name)
            self._faults.world.call_after(0, tell)
        return fate
