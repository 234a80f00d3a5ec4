"""Node 0's link to node 1 and node 1's listener, over a network in memory.

One rule: both are the real ones; who watches and who receives only takes notes.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio

from haqactor.config import peer_address
from haqactor.env import Stream
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import NodeId
from haqactor.machine.versions import KNOWN
from haqactor.nodes.peer_listener import PeerListener
from haqactor.nodes.peers import PeerLink, receive_frame
from haqactor.nodes.peerwire import PeerOp
from tests.builders.memory_environment import MemoryNetwork, memory_environment
from tests.builders.node_context import (
    CLUSTER,
    address_of,
    member_identity,
    member_nonce,
    node_context,
    quiet_log,
)

ADDRESS = peer_address(address_of(1))


class Watcher:
    """Notes how a link fares."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.death = trio.Event()

    def link_up(self, peer: NodeId) -> None:
        self.heard.append(f"up {peer}")

    def link_died(self, peer: NodeId) -> None:
        self.heard.append(f"died {peer}")
        self.death.set()

    def link_foreign(self, peer: NodeId) -> None:
        self.heard.append(f"foreign {peer}")


class Receiver:
    """Notes what arrives; fails where told."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, Any]] = []
        self.connected: list[tuple[int, int]] = []
        self.error: Exception | None = None

    def peer_connected(self, peer: NodeId, boot: int) -> None:
        self.connected.append((peer, boot))

    def peer_frame(self, peer: NodeId, boot: int, frame: Frame) -> None:
        if self.error is not None:
            raise self.error
        self.frames.append((frame.kind, frame.header))


class Pair:
    """Node 0's link to node 1, and node 1's listener."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.network = MemoryNetwork()
        self.context, self.journal = node_context(0, env=memory_environment(self.network))
        self.watcher = Watcher()
        self.link = PeerLink(self.context, NodeId(1), address_of(1), member_nonce(1), self.watcher)
        self.receiver = Receiver()
        self.identity = member_identity(1)
        self.boot = 1
        self.versions = KNOWN
        self.founders: list[tuple[str, bytes]] = []
        self.scope = trio.CancelScope()

    def start_link(self) -> None:
        self.nursery.start_soon(self.link.run)

    async def listen(self, *, ready: bool = True) -> None:
        """Node 1's process begins."""
        env = memory_environment(self.network)
        port = await self.network.listen(ADDRESS)
        listener = PeerListener(
            env,
            quiet_log(),
            5.0,
            lambda: self.identity,
            lambda: self.boot,
            lambda address, nonce: self.founders.append((address, nonce)),
            self.versions,
        )
        listener.receiver = self.receiver if ready else None
        self.scope = trio.CancelScope()

        async def run() -> None:
            with self.scope:
                await listener.run(port)
            await port.aclose()

        self.nursery.start_soon(run)

    async def kill(self) -> None:
        """Node 1's process ends: its connections break, then it is refused."""
        self.network.listeners.pop(ADDRESS, None)
        self.scope.cancel()
        self.network.reset(ADDRESS)

    async def speak(self, first: bytes) -> tuple[Stream, Frame]:
        """A stranger's first frame, and the answer to it."""
        stream = await self.network.dial(ADDRESS)
        await stream.send_all(first)
        return stream, await receive_frame(stream, Decoder(1 << 16))


@asynccontextmanager
async def pair() -> AsyncGenerator[Pair, None]:
    async with trio.open_nursery() as nursery:
        yield Pair(nursery)
        nursery.cancel_scope.cancel()


def hello(**changes: Any) -> bytes:
    fields = {
        "low": 1,
        "high": 1,
        "auth": ["none"],
        "cluster": CLUSTER,
        "node": 0,
        "nonce": member_nonce(0),
        "boot": 4,
    }
    return encode(PeerOp.HELLO, list({**fields, **changes}.values()))
