"""A client's connection at a node: handshake, frames in, requests to the actors, frames out.

One rule: whatever a client sends, the worst that happens is the end of its own connection, with a Refused
frame that says why."""

from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from haqactor import wire
from haqactor.env import Buffer, NetworkError, Stream
from haqactor.errors import Error, InvalidArgument, NotFound, NotLeader, Overloaded, ProtocolError
from haqactor.frame import Decoder, Frame
from haqactor.ids import METADATA_GROUP, GroupId
from haqactor.nodes.context import Context
from haqactor.nodes.hello import HELLO_BYTES_MAX, checked_hello, frame_bytes_max, welcome
from haqactor.nodes.outbox import Outbox

if TYPE_CHECKING:
    from haqactor.nodes.proxy import ProxyLink

_OUTBOX_BYTES_MAX: Final = 64 * 1024 * 1024
_METADATA: Final = (wire.Declare, wire.Delete, wire.Queues, wire.OpenProducer, wire.Resolve)
_GROUPED: Final = (
    wire.Await,
    wire.Begin,
    wire.Publish,
    wire.End,
    wire.Subscribe,
    wire.Credit,
    wire.Settle,
    wire.Extend,
    wire.Unsubscribe,
    wire.Poll,
    wire.Info,
    wire.Peek,
    wire.Purge,
)


class Request:
    """A client's message on its way to a group actor. ``size``: bytes that it holds, about. ``verdict``: what
    it is answered once this leader is known to lead."""

    __slots__ = ("blob", "message", "session", "size", "verdict")

    def __init__(self, session: "ClientSession", message: Any, blob: bytes, size: int = 0) -> None:
        self.session = session
        self.message = message
        self.blob = blob
        self.size = size or len(blob)
        self.verdict: Any = None


class Disconnected:
    """A session's connection ended; its consumers have the grace to come back."""

    __slots__ = ("session",)

    def __init__(self, session: "ClientSession") -> None:
        self.session = session


class Services(Protocol):
    """What a session needs of its node beside the actors."""

    def resolve(self, name: str) -> list[Any] | None:
        """A queue's row from this node's copy of the directory."""
        ...

    def status(self) -> dict[str, Any]:
        """What this node sees."""
        ...


class ClientSession:
    """One connection. ``id`` is the client's session, which outlives it."""

    def __init__(self, context: Context, services: Services, stream: Stream) -> None:
        self.context = context
        self.services = services
        self.stream = stream
        self.outbox = Outbox(context.departures)
        self.id = b""
        self.client = ""
        self.open = True
        self.proxy = False
        self.served: dict[GroupId, bool] = {}
        self.proxies: dict[int, ProxyLink] = {}
        self.nursery: trio.Nursery | None = None
        self.frame_bytes_max = frame_bytes_max(context)
        self._decoder = Decoder(HELLO_BYTES_MAX, context.env.probe)

    def send(self, message: wire.Message, *blobs: Buffer) -> None:
        """Queue one message; a client that does not read for long is dropped, not buffered for."""
        if not self.open:
            return
        self.outbox.put(wire.pack(message, *blobs))
        if self.outbox.pending_bytes > _OUTBOX_BYTES_MAX:
            self.context.env.probe.mark("nodes.client_does_not_read")
            self.context.log.warning(
                "client does not read, dropped", client=self.client, remote=self.stream.remote
            )
            self.abort()

    def fail(self, rid: int, error: Error) -> None:
        """Answer a request with an error."""
        self.send(wire.failed(rid, error))

    def abort(self) -> None:
        """End the connection at once."""
        self.open = False
        self.stream.abort()

    async def run(self) -> None:
        """Serve the connection until it ends; never raises what the client or the network did."""
        try:
            await self._serve()
        except NetworkError:
            pass
        except Error as error:
            await self._refuse(error)
        except Exception:  # a bug, but not one that a client may end the other connections with
            self.context.log.exception("a connection failed", remote=self.stream.remote)
            self.context.count("connections_failed")
        finally:
            self._ended()
            with trio.move_on_after(1, shield=True):
                await self.stream.aclose()
            self.stream.abort()

    async def _serve(self) -> None:
        with trio.move_on_after(self.context.limits.handshake) as scope:
            frames = await self._handshake()
        if scope.cancelled_caught:
            self.context.env.probe.mark("nodes.hello_late")
            raise _too_slow("no complete hello", self.context.limits.handshake)
        unsubscribe = self.context.leaders.subscribe(self._leaders_changed)
        failure: list[Exception] = []
        try:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                nursery.start_soon(self._pump, failure)
                try:
                    await self._receive(frames)
                except NetworkError as error:
                    failure.append(error)
                except Error as error:
                    await self._last_words(error)
                nursery.cancel_scope.cancel()
        finally:
            unsubscribe()
        if failure:
            raise failure[0]

    async def _pump(self, failure: list[Exception]) -> None:
        try:
            await self.outbox.pump(self.stream)
        except NetworkError as error:
            failure.append(error)
            self.stream.abort()

    async def _refuse(self, error: Error) -> None:
        """In the handshake, while nothing else is on its way."""
        refused = self._refused(error)
        with trio.move_on_after(1, shield=True):
            try:
                await self.stream.send_all(refused)
            except NetworkError:
                return

    async def _last_words(self, error: Error) -> None:
        """Behind what is on its way already, for a frame that is half out must not be torn."""
        self.open = False
        self.outbox.put(self._refused(error))
        self.outbox.finish()
        with trio.move_on_after(1, shield=True):
            await self.outbox.wait_ended()

    def _refused(self, error: Error) -> bytes:
        self.context.log.info("client refused", remote=self.stream.remote, code=error.code, reason=str(error))
        return wire.pack(wire.Refused(error.code, str(error), error.fields()))

    async def _handshake(self) -> list[Frame]:
        frames: list[Frame] = []
        while not frames:
            data = await self.stream.receive_some()
            if not data:
                raise ProtocolError("the connection ended before a hello")
            frames = self._decoder.feed(data)
        self._decoder.frame_bytes_max = self.frame_bytes_max
        hello = checked_hello(frames[0], self.context.identity.cluster_id)
        self.id, self.client, self.proxy = hello.session, hello.client[:100], hello.proxy
        self.send(welcome(hello, self.context))
        return frames[1:]

    async def _receive(self, frames: list[Frame]) -> None:
        bound = self.context.limits.connection_buffer_bytes
        while True:
            for frame in frames:
                await self._dispatch(frame)
            self._decoder.check()
            if self.outbox.pending_bytes > bound:
                await self.outbox.wait_below(bound)
            if self._decoder.pending_bytes:
                with trio.move_on_after(self.context.limits.handshake) as scope:
                    data = await self.stream.receive_some()
                if scope.cancelled_caught:
                    raise _too_slow("no complete frame", self.context.limits.handshake)
            else:
                data = await self.stream.receive_some()
            if not data:
                return
            frames = self._decoder.feed(data)

    def _leaders_changed(self, rows: list[list[Any]]) -> None:
        self.send(wire.Leaders(rows))
        for link in self.proxies.values():
            link.leaders_changed(rows)

    async def _dispatch(self, frame: Frame) -> None:
        message = wire.parse(frame)
        if isinstance(message, wire.Ping):
            self.send(wire.Pong(message.rid))
        elif isinstance(message, wire.Status):
            self.send(wire.Reply(message.rid, self.services.status()))
        elif isinstance(message, wire.Resolve) and not message.strict:
            self._resolve(message)
        elif isinstance(message, _METADATA):
            await self._to_group(METADATA_GROUP, message, frame)
        elif isinstance(message, _GROUPED):
            await self._to_group(GroupId(message.group), message, frame)
        else:
            raise ProtocolError(f"a client does not send {type(message).__name__}")

    def _resolve(self, message: wire.Resolve) -> None:
        row = self.services.resolve(message.name)
        if row is None:
            self.fail(message.rid, NotFound(f"there is no queue {message.name!r} here; declare it first"))
        else:
            self.send(wire.Reply(message.rid, row))

    async def _to_group(self, group: GroupId, message: Any, frame: Frame) -> None:
        actor = self.context.groups.get(group)
        rid = getattr(message, "rid", 0)
        if actor is None:
            self.fail(rid, self._no_replica(group))
            return
        if self.proxy and not actor.leading and self.nursery is not None:
            from haqactor.nodes.proxy import forward

            await forward(self, group, rid, frame)
            return
        if actor.mailbox.full:
            self.context.env.probe.mark("nodes.backpressure")
        await actor.mailbox.wait_space()
        self.served[group] = True  # not before: where it never got in, the group need not hear of its end
        size = frame.size
        actor.mailbox.put(Request(self, message, frame.blob, size), size)

    def _no_replica(self, group: GroupId) -> Error:
        """A group of this cluster that this node has yet to learn of, or to begin with, is asked for
        elsewhere, or again."""
        self.context.env.probe.mark("nodes.no_replica_yet")
        if not METADATA_GROUP <= group <= self.context.config.groups:
            return InvalidArgument(f"group {group} does not exist in this cluster")
        leader, term = self.context.leaders.leader(group)
        return NotLeader(f"this node has no replica of group {group} yet", leader=leader, term=term)

    def _ended(self) -> None:
        self.open = False
        for group in self.served:
            actor = self.context.groups.get(group)
            if actor is not None:
                actor.mailbox.put(Disconnected(self))


def _too_slow(what: str, handshake_s: float) -> Error:
    """Nobody broke the protocol: a client may try again, over a connection that is faster."""
    return Overloaded(
        f"{what} within {handshake_s:g} s: this node, the client or what is between them is too slow",
        retry_after=0.1,
    )


def refuse_too_many(limit: int) -> Error:
    """The error for a connection beyond the bound."""
    return Overloaded(
        f"this node has its {limit} connections; use another node or close some", retry_after=1.0
    )


def refuse_without_descriptors() -> Error:
    """The error for a connection that would take what the journal and the peers need."""
    return Overloaded(
        "this node has no descriptors left for connections: raise its limit of open files (ulimit -n, "
        "LimitNOFILE=), use another node or close some",
        retry_after=1.0,
    )
