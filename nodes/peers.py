"""The link to one other node: dial, handshake, send; notice at once when it dies.

One rule: a link carries this node's frames only and never blocks an actor; beyond its window frames are
dropped from the end, and Raft finds out by itself. A link that broke and is then refused, or answers with a
new boot epoch, means that the process died."""

from typing import Final, Protocol

import trio

from haqactor.config import peer_address
from haqactor.env import ConnectRefused, NetworkError, Stream
from haqactor.errors import ConfigError, Error, NoQuorum, ProtocolError, Unauthorized
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import NodeId
from haqactor.machine.versions import Versions
from haqactor.nodes import peerwire
from haqactor.nodes.context import Context
from haqactor.nodes.outbox import Outbox
from haqactor.nodes.peerwire import PeerOp

_BACKOFF_FIRST: Final = 0.02
_BACKOFF_LAST: Final = 0.5
FOREIGN: Final = "foreign_cluster"
_STEADY_S: Final = 0.1
_DIAL_S: Final = 2.0
"""The system repeats a lost SYN ever more seldom: after a partition of a minute it may say nothing for half a
minute more. A new dial asks at once."""
SILENT_S: Final = 3.0
"""The same holds for what was lost on a connection that stands: the next one says it at once."""


class _Foreign(Unauthorized):
    """The peer says that this node is not of its cluster."""


class LinkWatcher(Protocol):
    """Who wants to know how links fare."""

    def link_up(self, peer: NodeId) -> None:
        """Frames can be sent."""
        ...

    def link_died(self, peer: NodeId) -> None:
        """The peer's process died before our eyes."""
        ...

    def link_foreign(self, peer: NodeId) -> None:
        """The peer says that this node is not of its cluster."""
        ...


class PeerLink:
    """This node's sending side towards ``peer``. ``versions``: of the machine, those that the peer said it
    knows; of an earlier connection while there is none."""

    def __init__(
        self,
        context: Context,
        peer: NodeId,
        address: str,
        nonce: bytes,
        watcher: "LinkWatcher",
    ) -> None:
        self.peer = peer
        self.address = address
        self.nonce = nonce
        self.boot = 0
        self.versions = Versions(0, 0)
        self.connected = False
        self.connected_ns = 0
        self.refused = False
        self._context = context
        self._watcher = watcher
        self._outbox = Outbox(context.departures)
        self._was_up = False
        self._redial = trio.Event()
        self._scope = trio.CancelScope()
        self.dropped = 0

    @property
    def pending_bytes(self) -> int:
        """Bytes waiting for the socket."""
        return self._outbox.pending_bytes

    def send(self, frame: bytes) -> bool:
        """Queue a frame; False if it was dropped (no connection, or the link's window is full)."""
        if not self.connected or self._outbox.pending_bytes > self._context.limits.peer_link_window_bytes:
            self.dropped += 1
            return False
        self._outbox.put(frame)
        return True

    def send_later(self, frame: bytes) -> bool:
        """Queue a frame behind everything that ``send`` queues, now or before it leaves; else as ``send``,
        with a window of its own."""
        if not self.connected or self._outbox.later_bytes > self._context.limits.peer_link_window_bytes:
            self.dropped += 1
            return False
        self._outbox.put_later(frame)
        return True

    def redial(self) -> None:
        """The peer was heard of: do not wait out the back-off."""
        self._redial.set()

    def heard_boot(self, boot: int) -> None:
        """The peer dialled in, with this boot epoch: a connection to an earlier one leads nowhere."""
        if not self.connected:
            self.redial()
        elif boot > self.boot:
            self._context.env.probe.mark("nodes.link_of_an_earlier_boot")
            self._scope.cancel()

    async def run(self) -> None:
        """Keep the link up until cancelled."""
        backoff = _BACKOFF_FIRST
        while True:
            stream: Stream | None = None
            try:
                with trio.move_on_after(_DIAL_S):
                    stream = await self._context.env.network.dial(peer_address(self.address))
            except ConnectRefused:
                self._refused()
            except (NetworkError, ConfigError):  # an address that is none, too, may be another one later
                pass
            if stream is not None:
                began = trio.current_time()
                if await self._use(stream):
                    backoff = _BACKOFF_FIRST
                    if trio.current_time() - began >= _STEADY_S:
                        continue  # it broke just now: find out at once whether the peer is gone
            self._redial = trio.Event()
            with trio.move_on_after(backoff * self._context.env.random.uniform(0.75, 1.25)):
                await self._redial.wait()
            backoff = min(backoff * 2, _BACKOFF_LAST)

    def _refused(self) -> None:
        self.refused = True
        if self._was_up:
            self._was_up = False
            self._context.log.warning("peer is gone", peer=self.peer, address=self.address)
            self._watcher.link_died(self.peer)

    async def _use(self, stream: Stream) -> bool:
        """Serve one connection; True if it got through the handshake."""
        stream.give_up_after(SILENT_S)
        try:
            with trio.move_on_after(self._context.limits.handshake) as scope:
                decoder, more = await self._handshake(stream)
            if scope.cancelled_caught:
                return False
        except NetworkError:
            return False
        except NoQuorum:
            return False  # it is being founded, and will be there in a moment
        except Error as error:
            self._context.log.error(
                "peer refused", peer=self.peer, address=self.address, code=error.code, reason=str(error)
            )
            if isinstance(error, _Foreign):
                self._watcher.link_foreign(self.peer)
            return False
        else:
            await self._connected(stream, decoder, more)
            return True
        finally:
            stream.abort()

    async def _handshake(self, stream: Stream) -> tuple[Decoder, list[Frame]]:
        identity = self._context.identity
        header = [
            peerwire.VERSION_MIN,
            peerwire.VERSION_MAX,
            peerwire.AUTH_METHODS,
            identity.cluster_id,
            self._context.node,
            identity.nonce,
            self._context.boot,
        ]
        await stream.send_all(encode(PeerOp.HELLO, header))
        decoder = Decoder(64 * 1024)
        frame, *more = await receive_frames(stream, decoder)
        if frame.kind == PeerOp.REFUSED:
            code, message = peerwire.hello_fields(frame.header, (str, str), "Refused")
            if code == FOREIGN:
                raise _Foreign(f"{self.address} refuses this node: {message}")
            if code == NoQuorum.code:
                raise NoQuorum(message, reason="starting")
            raise Unauthorized(f"{self.address} refuses this node: {message}")
        if frame.kind != PeerOp.WELCOME:
            raise ProtocolError(f"peer frame kind {frame.kind} where Welcome belongs")
        _version, cluster, node, nonce, boot, oldest, newest = peerwire.hello_fields(
            frame.header, (int, bytes, int, bytes, int, int, int), "Welcome"
        )
        if cluster != identity.cluster_id or node != self.peer or nonce != self.nonce:
            raise Unauthorized(
                f"at {self.address} answers node {node} of another cluster or with another disk, "
                f"not node {self.peer}"
            )
        if self.boot and boot != self.boot:
            self._watcher.link_died(self.peer)
        self.boot, self.versions = boot, Versions(oldest, newest)
        return decoder, more

    async def _connected(self, stream: Stream, decoder: Decoder, more: list[Frame]) -> None:
        self._outbox = Outbox(self._context.departures)
        self.connected, self.refused, self._was_up = True, False, True
        self.connected_ns = self._context.now()
        self._context.log.debug("peer connected", peer=self.peer, boot=self.boot)
        self._watcher.link_up(self.peer)
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._pump, stream, nursery.cancel_scope)
                await self._watch(stream, decoder, more)
                nursery.cancel_scope.cancel()
        finally:
            self.connected = False

    async def _pump(self, stream: Stream, scope: trio.CancelScope) -> None:
        try:
            await self._outbox.pump(stream)
        except NetworkError:
            scope.cancel()

    async def _watch(self, stream: Stream, decoder: Decoder, frames: list[Frame]) -> None:
        try:
            while True:
                for frame in frames:
                    if frame.kind == PeerOp.REFUSED:
                        self._ended_by_peer(frame)
                data = await stream.receive_some()
                if not data:
                    return
                frames = decoder.feed(data)
        except (NetworkError, ProtocolError):
            return

    def _ended_by_peer(self, frame: Frame) -> None:
        code, message = peerwire.hello_fields(frame.header, (str, str), "Refused")
        self._context.log.error(
            "peer ended the link", peer=self.peer, address=self.address, code=code, reason=message
        )


async def receive_frames(stream: Stream, decoder: Decoder) -> list[Frame]:
    """The next frames, at least one: that of the handshake, and what came with it. Raises ProtocolError,
    NetworkError."""
    while True:
        data = await stream.receive_some()
        if not data:
            raise ProtocolError("the connection ended in the handshake")
        frames = decoder.feed(data)
        if frames:
            return frames


async def receive_frame(stream: Stream, decoder: Decoder) -> Frame:
    """The next single frame of a handshake. Raises ProtocolError, NetworkError."""
    return (await receive_frames(stream, decoder))[0]
