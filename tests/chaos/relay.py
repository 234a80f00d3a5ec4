"""The relay: everything that nodes and clients say to each other passes here, over TCP and UDP.

One rule: it never invents anything. The end of one side's connection, in order or by an RST, becomes the same
end of the other's; a port whose node is dead refuses; and bytes pass unchanged or not at all.
"""

import errno
import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Final

import trio

from tests.chaos.conditions import CALM, OPEN, Condition, Mode, Way, worst
from tests.chaos.topology import HOST, Pair, Topology, Wire

CHUNK: Final = 65_536
DATAGRAM_MAX: Final = 65_536
DATAGRAMS_LATE_MAX: Final = 4096
BIND_TRIES: Final = 2000
_SOON: Final = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
_RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class _Reset(Exception):
    """The link's condition ends this connection."""


class Flow:
    """One direction of a link, and what passed."""

    def __init__(self) -> None:
        self.way = OPEN
        self.bytes = 0
        self.datagrams = 0
        self._changed = trio.Event()

    def change(self, way: Way) -> None:
        """From now on it is like this."""
        self.way = way
        self._changed.set()
        self._changed = trio.Event()

    async def ready(self) -> None:
        """Until something may pass, late if need be. Raises _Reset."""
        while self.way.mode is Mode.STALL:
            await self._changed.wait()
        if self.way.mode is Mode.RESET:
            raise _Reset


class Link:
    """A directed link: all that one dials of another. ``down``: nobody is there, so that it refuses."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.there, self.back = Flow(), Flow()
        self.connections: dict[trio.CancelScope, None] = {}
        self.down = False
        self.changed = trio.Event()

    @property
    def refuses(self) -> bool:
        """Nobody can connect."""
        return self.down or self.cut

    @property
    def cut(self) -> bool:
        """A connection needs both directions."""
        return Mode.CUT in (self.there.way.mode, self.back.way.mode)

    def set(self, condition: Condition, *, down: bool) -> None:
        """What holds from now on; connections that cannot live in it end at once."""
        self.there.change(condition.there)
        self.back.change(condition.back)
        self.down = down
        if self.cut or Mode.RESET in (condition.there.mode, condition.back.mode):
            for scope in list(self.connections):
                scope.cancel()
        self.changed.set()
        self.changed = trio.Event()


class Relay:
    """Run it with ``nursery.start(relay.run)``; impose conditions and lift them again."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.links = {pair: Link(pair) for pair in topology.pairs}
        self._imposed: dict[object, dict[Pair, Condition]] = {}
        self._down: dict[str, None] = dict.fromkeys(topology.nodes)
        self._udp: dict[Wire, trio.socket.SocketType] = {}
        self._late = 0
        for link in self.links.values():
            link.set(CALM, down=True)

    # -- what holds

    def impose(self, key: object, conditions: Mapping[Pair, Condition]) -> None:
        """Until ``lift(key)``. Raises KeyError for a link that is not there."""
        for pair in conditions:
            if pair not in self.links:
                raise KeyError(pair)
        self._imposed[key] = dict(conditions)
        self._apply(conditions)

    def lift(self, key: object) -> None:
        """It is over; nothing happens if it never began."""
        self._apply(self._imposed.pop(key, {}))

    def lift_all(self) -> None:
        """The network is whole."""
        for key in list(self._imposed):
            self.lift(key)

    def node_is(self, name: str, *, up: bool) -> None:
        """A node's process listens, or is gone: its ports accept or refuse."""
        if up:
            self._down.pop(name, None)
        else:
            self._down[name] = None
        self._apply([pair for pair in self.links if pair[1] == name])

    def condition(self, pair: Pair) -> Condition:
        """What holds for a link."""
        return worst(rules[pair] for rules in self._imposed.values() if pair in rules)

    def _apply(self, pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            self.links[pair].set(self.condition(pair), down=pair[1] in self._down)

    # -- its work

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve all ports until cancelled. Raises OSError where one is taken."""
        async with trio.open_nursery() as nursery:
            for wire in self.topology.wires:
                await nursery.start(self._serve, wire)
                if wire.kind == "gossip":
                    sock = self._udp[wire] = await _bound(wire.port, socket.SOCK_DGRAM)
                    nursery.start_soon(_close_at_the_end, sock)
            for wire, sock in self._udp.items():
                nursery.start_soon(self._carry, wire, sock, nursery)
            task_status.started()

    async def _serve(self, wire: Wire, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept while the link does; a port that is bound and does not listen refuses."""
        link = self.links[wire.pair]
        sock = await _bound(wire.port, socket.SOCK_STREAM)
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                with sock:
                    while link.refuses:
                        await link.changed.wait()
                    sock.listen(128)
                    async with trio.open_nursery() as accepting:
                        accepting.start_soon(self._accept, sock, link, wire, nursery)
                        while not link.refuses:
                            await link.changed.wait()
                        accepting.cancel_scope.cancel()
                sock = await _bound(wire.port, socket.SOCK_STREAM)

    async def _accept(
        self, sock: trio.socket.SocketType, link: Link, wire: Wire, nursery: trio.Nursery
    ) -> None:
        while True:
            near, _name = await sock.accept()
            nursery.start_soon(self._connection, near, link, wire)

    async def _connection(self, near: trio.socket.SocketType, link: Link, wire: Wire) -> None:
        far = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        in_order = False
        with trio.CancelScope() as scope:
            link.connections[scope] = None
            try:
                if link.cut:
                    return
                await far.connect((HOST, wire.target_port))
                for sock in (near, far):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await _exchange(trio.SocketStream(near), trio.SocketStream(far), link)
                in_order = True
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError, _Reset):
                pass
            finally:
                del link.connections[scope]
                for sock in (near, far):
                    _close(sock, in_order=in_order)

    async def _carry(self, wire: Wire, sock: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        """Datagrams leave from the port on which an answer would come back, so that whoever answers the
        sender's address is relayed as well."""
        back = self.topology.reverse(wire)
        out = self._udp[back] if back is not None else sock
        flow = self.links[wire.pair].there
        target = (HOST, wire.target_port)
        while True:
            try:
                payload = await sock.recv(DATAGRAM_MAX)
            except OSError:
                continue  # an earlier one found nobody
            if flow.way.mode in (Mode.PASS, Mode.DELAY):
                flow.datagrams += 1
                if flow.way.mode is Mode.PASS:
                    await _send(out, payload, target)
                elif self._late < DATAGRAMS_LATE_MAX:
                    nursery.start_soon(self._send_late, out, payload, target, flow.way.delay_s)

    async def _send_late(
        self, out: trio.socket.SocketType, payload: bytes, target: tuple[str, int], delay_s: float
    ) -> None:
        self._late += 1
        try:
            await trio.sleep(delay_s)
            await _send(out, payload, target)
        finally:
            self._late -= 1


async def _close_at_the_end(sock: trio.socket.SocketType) -> None:
    with sock:
        await trio.sleep_forever()


async def _exchange(near: trio.SocketStream, far: trio.SocketStream, link: Link) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pump, near, far, link.there)
        nursery.start_soon(_pump, far, near, link.back)


async def _pump(source: trio.SocketStream, sink: trio.SocketStream, flow: Flow) -> None:
    while True:
        await flow.ready()
        piece = await source.receive_some(CHUNK)
        if flow.way.mode is Mode.DELAY:
            await trio.sleep(flow.way.delay_s)
        await flow.ready()
        if not piece:
            await sink.send_eof()
            return
        await sink.send_all(piece)
        flow.bytes += len(piece)


async def _send(sock: trio.socket.SocketType, payload: bytes, target: tuple[str, int]) -> None:
    try:
        await sock.sendto(payload, target)
    except OSError:
        pass  # nobody is there, which a datagram never tells


async def _bound(port: int, kind: socket.SocketKind) -> trio.socket.SocketType:
    """The port, bound and not listening yet. A connection that is just going may hold it for a moment, and
    while the loopback is down there is none."""
    for attempt in range(BIND_TRIES):
        sock = trio.socket.socket(socket.AF_INET, kind)
        try:
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await sock.bind((HOST, port))
        except OSError as error:
            sock.close()
            if error.errno not in _SOON or attempt == BIND_TRIES - 1:
                raise
            await trio.sleep(0.01)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise AssertionError("unreachable")


def _close(sock: trio.socket.SocketType, *, in_order: bool) -> None:
    try:
        if not in_order:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    except OSError:
        pass  # it is gone already
    sock.close()
