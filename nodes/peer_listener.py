"""The receiving side of peer links: who may speak, and where each frame goes.

One rule: nothing from a connection reaches an actor before cluster, node id, nonce (the peer's disk) and
version have been checked."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import trio
from structlog.typing import FilteringBoundLogger

from haqactor.env import Environment, Listener, NetworkError, Stream
from haqactor.errors import Error, InvariantViolation, NoQuorum, ProtocolError, Unauthorized
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import NodeId
from haqactor.journal.identity import Identity
from haqactor.machine.versions import KNOWN, Versions
from haqactor.nodes import peerwire
from haqactor.nodes.peers import FOREIGN, SILENT_S, receive_frames
from haqactor.nodes.peerwire import PeerOp

_FIRST_FRAME_BYTES_MAX: Final = 64 * 1024


class Receiver(Protocol):
    """Where checked frames go."""

    def peer_connected(self, peer: NodeId, boot: int) -> None:
        """A peer dialled in."""
        ...

    def peer_frame(self, peer: NodeId, boot: int, frame: Frame) -> None:
        """A frame of a member arrived. Raises ProtocolError."""
        ...


class Foreign(Unauthorized):
    """The peer belongs to another cluster, or its disk is not the one this cluster knows."""

    code = FOREIGN


class PeerListener:
    """Accepts peers; also answers founding questions, from the first moment on. ``founders``: whom the
    cluster will have that this node founds, () while it founds none."""

    def __init__(
        self,
        env: Environment,
        log: FilteringBoundLogger,
        handshake: float,
        identity: Callable[[], Identity],
        boot: Callable[[], int],
        founding: Callable[[str, bytes], None],
        versions: Versions = KNOWN,
        founders: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._env = env
        self._log = log
        self._handshake_s = handshake
        self._identity = identity
        self._boot = boot
        self._founding = founding
        self._versions = versions
        self._founders = founders
        self.receiver: Receiver | None = None

    async def run(
        self, listener: Listener, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                stream = await listener.accept()
                nursery.start_soon(self._serve, stream)

    async def _serve(self, stream: Stream) -> None:
        try:
            await self._speak(stream)
        except NetworkError:
            pass
        except InvariantViolation:
            raise
        except Error as error:
            tell = self._log.debug if isinstance(error, NoQuorum) else self._log.warning
            tell("peer connection ended", remote=stream.remote, code=error.code, reason=str(error))
            with trio.move_on_after(1):
                try:
                    await stream.send_all(encode(PeerOp.REFUSED, [error.code, str(error)]))
                    await stream.aclose()
                except NetworkError:
                    return
        finally:
            stream.abort()

    async def _speak(self, stream: Stream) -> None:
        stream.give_up_after(SILENT_S)
        decoder = Decoder(_FIRST_FRAME_BYTES_MAX)
        with trio.move_on_after(self._handshake_s) as scope:
            frame, *frames = await receive_frames(stream, decoder)
        if scope.cancelled_caught:
            raise ProtocolError(f"no complete hello within {self._handshake_s:g} s")
        if frame.kind == PeerOp.FOUND:
            await self._answer_founding(stream, frame)
            return
        if frame.kind != PeerOp.HELLO:
            raise ProtocolError(f"peer frame kind {frame.kind} where Hello belongs")
        peer, boot = self._check(frame)
        identity = self._identity()
        welcome = [peerwire.VERSION_MAX, identity.cluster_id, identity.node_id, identity.nonce, self._boot()]
        welcome += self._versions
        await stream.send_all(encode(PeerOp.WELCOME, welcome))
        receiver = self.receiver
        if receiver is None:
            return
        receiver.peer_connected(peer, boot)
        decoder.frame_bytes_max = peerwire.FRAME_BYTES_MAX
        while True:
            for item in frames:
                receiver.peer_frame(peer, boot, item)
            decoder.check()
            data = await stream.receive_some()
            if not data:
                return
            frames = decoder.feed(data)

    def _check(self, frame: Frame) -> tuple[NodeId, int]:
        low, high, auth, cluster, node, nonce, boot = peerwire.hello_fields(
            frame.header, (int, int, list, bytes, int, bytes, int), "Hello"
        )
        if not low <= peerwire.VERSION_MAX or not high >= peerwire.VERSION_MIN:
            raise ProtocolError(
                f"peer protocol versions {low} to {high} are not spoken here, only {peerwire.VERSION_MAX}"
            )
        if "none" not in auth:
            raise Unauthorized(f"this node offers the authentication methods {peerwire.AUTH_METHODS}")
        identity = self._identity()
        if identity.cluster_id is None:
            raise NoQuorum("this node is being founded; dial again", reason="starting")
        if cluster != identity.cluster_id:
            raise Foreign("your data directory belongs to another cluster; check data_dir and bootstrap")
        known = {member[0]: member[2] for member in identity.members}
        if known.get(node) != nonce:
            raise Foreign(
                f"node {node} is known with another disk; a wiped node must be replaced by a new member"
            )
        return NodeId(node), boot

    async def _answer_founding(self, stream: Stream, frame: Frame) -> None:
        address, nonce = peerwire.hello_fields(frame.header, (str, bytes), "Found")
        self._founding(address, nonce)
        identity = self._identity()
        members = [list(member) for member in identity.members]
        founders = [] if identity.cluster_id else list(self._founders())
        answer = [identity.nonce, identity.cluster_id or b"", members, founders]
        await stream.send_all(encode(PeerOp.FOUNDED, answer))
        await stream.aclose()
