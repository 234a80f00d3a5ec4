"""One hop for clients that cannot reach a leader: their frames go on over a connection of this node's.

One rule: a proxy passes frames as they are and remembers only which requests and consumers are open, so that
a broken hop fails them at once, and so does one that went silent, or leads to a leader that is none any more;
identity, numbers and credit stay the client's own."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import trio

from haqactor import wire
from haqactor.env import NetworkError, Stream
from haqactor.errors import NotLeader, OutcomeUnknown, ProtocolError
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import NO_NODE, GroupId
from haqactor.nodes.outbox import Outbox
from haqactor.nodes.peerwire import FRAME_BYTES_MAX
from haqactor.nodes.refusal import not_leader
from haqactor.wire import Op

if TYPE_CHECKING:
    from haqactor.nodes.sessions import ClientSession

_WITHOUT_TRACE = (Op.OPEN_PRODUCER, Op.RESOLVE, Op.QUEUES)
"""What nobody can tell from a request that was never made, once it is made again."""
DIAL_S: Final = 1.0
PING_S: Final = 0.3
IDLE_PING_S: Final = 10.0
PINGS_UNANSWERED_MAX: Final = 3
"""As between client and node (``haqactor.client.link``): the client cannot see that this hop is dead."""
_OWN = (Op.WELCOME, Op.LEADERS, Op.PONG, Op.GOODBYE, Op.REFUSED)
_TO_CONSUMERS = (Op.DELIVER, Op.LEASE_LOST, Op.CONSUMER_GONE)


class ProxyLink:
    """The hop of one client connection to one other node."""

    def __init__(self, session: "ClientSession", node: int, address: str) -> None:
        self.session = session
        self.node = node
        self.address = address
        self.outbox = Outbox()
        self._reached = False
        self._hasty = session.context.env.probe.bug("nodes.proxy_settles")
        self.ended = False
        self._heard = 0
        self._is_full = False  #: the client does not take what the leader sends
        self._roused = trio.Event()
        self._pending: dict[int, int] = {}
        self._consumers: dict[tuple[int, int], bool] = {}

    def send(self, rid: int, frame: Frame) -> None:
        """Pass a client's frame on."""
        hasty = self._hasty and frame.kind == Op.SETTLE
        if hasty:
            self.session.send(wire.Reply(rid, []))
        if rid and not hasty:
            self._pending[rid] = frame.kind
        if frame.kind == Op.SUBSCRIBE:
            self._consumers[frame.header[1], frame.header[3]] = True
        elif frame.kind == Op.UNSUBSCRIBE:
            self._consumers.pop((frame.header[1], frame.header[2]), None)
        self.outbox.put(encode(frame.kind, frame.header, frame.blob))
        self._roused.set()

    async def run(self) -> None:
        """Until the hop or the client's connection ends."""
        stream: Stream | None = None
        try:
            with trio.move_on_after(DIAL_S):
                stream = await self.session.context.env.network.dial(self.address)
        except NetworkError:
            pass
        if stream is not None and stream.is_among_last(self.session.context.descriptors_reserved):
            self.session.context.count("proxy_without_descriptors")
            stream.abort()
            stream = None
        if stream is None:
            self._broken()
            return
        self._reached = True  # what was passed on from now on may have been done
        try:
            await self._relay(stream)
        except (NetworkError, ProtocolError):
            self.session.context.count("proxy_broken")
        finally:
            stream.abort()
            self._broken()

    async def _relay(self, stream: Stream) -> None:
        session = self.session
        cluster = session.context.identity.cluster_id or b""
        hello = wire.Hello(
            wire.VERSION_MIN, wire.VERSION_MAX, ["none"], session.client, session.id, cluster, False
        )
        await stream.send_all(wire.pack(hello))
        decoder = Decoder(FRAME_BYTES_MAX)  # not the bound for clients: what was stored under another passes
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, stream, nursery.cancel_scope)
            nursery.start_soon(self._watch, nursery.cancel_scope)
            try:
                while data := await stream.receive_some():
                    self._heard += 1
                    for frame in decoder.feed(data):
                        self._back(frame)
                    self._is_full = True
                    await session.outbox.wait_below(session.context.limits.connection_buffer_bytes)
                    self._is_full = False
            except (NetworkError, ProtocolError):
                session.context.count("proxy_lost")
            nursery.cancel_scope.cancel()

    async def _pump(self, stream: Stream, scope: trio.CancelScope) -> None:
        try:
            await self.outbox.pump(stream)
        except NetworkError:
            scope.cancel()

    async def _watch(self, scope: trio.CancelScope) -> None:
        """End a hop that stays silent though it was asked whether it is there."""
        pings = heard = 0
        while True:
            if not (self._pending or pings):
                self._roused = trio.Event()
                with trio.move_on_after(IDLE_PING_S):
                    await self._roused.wait()
                    heard = self._heard
                    continue
            else:
                await trio.sleep(PING_S)
            if self._heard != heard or self._is_full:
                heard, pings = self._heard, 0
            elif pings < PINGS_UNANSWERED_MAX:
                pings += 1
                self.outbox.put(wire.pack(wire.Ping(0)))
            else:
                self.session.context.env.probe.mark("nodes.proxy_silent")
                self.session.context.count("proxy_silent")
                scope.cancel()
                return

    def _back(self, frame: Frame) -> None:
        if frame.kind in _OWN or not self.session.open:
            return
        if frame.kind in (Op.REPLY, Op.FAILED):
            known = self._pending.pop(frame.header[0], None)
            if self._hasty and known is None:
                return
        if frame.kind in _TO_CONSUMERS and (frame.header[0], frame.header[1]) not in self._consumers:
            return  # from a leader that was left
        self.session.outbox.put(encode(frame.kind, frame.header, frame.blob))

    def leaders_changed(self, rows: Iterable[list[Any]]) -> None:
        """Consumers of groups that are led elsewhere now subscribe there. The client's own connection has not
        changed, so it would not know; and this hop may be one that nobody has found broken yet."""
        moved = [group for group, node, *_more in rows if node not in (NO_NODE, self.node)]
        for group, consumer in [known for known in self._consumers if known[0] in moved]:
            del self._consumers[group, consumer]
            self.session.context.env.probe.mark("nodes.proxied_consumer_moved")
            self.session.send(
                wire.ConsumerGone(group, consumer, NotLeader.code, "the group has another leader")
            )

    def _broken(self) -> None:
        if self.ended:
            return
        self.ended = True
        self.session.proxies.pop(self.node, None)
        self.outbox.end()
        for rid, kind in self._pending.items():
            self.session.context.env.probe.mark("nodes.proxied_request_lost")
            self.session.fail(rid, self._lost(kind))
        for group, consumer in self._consumers:
            self.session.send(
                wire.ConsumerGone(group, consumer, NotLeader.code, "the connection to the leader broke")
            )
        self._pending.clear()
        self._consumers.clear()

    def _lost(self, kind: int) -> OutcomeUnknown | NotLeader:
        """What became of a request. Clients repeat it either way; but one that gives up meanwhile must not
        believe that what may have been done was not."""
        text = "the connection to the leader broke"
        if self._reached and kind not in _WITHOUT_TRACE:
            return OutcomeUnknown(text)
        return NotLeader(text, leader=NO_NODE)


async def forward(session: "ClientSession", group: GroupId, rid: int, frame: Frame) -> None:
    """Pass a frame to the group's leader, once the hop has room for it, or answer that none is known."""
    context = session.context
    node, _term = context.leaders.leader(group)
    address = context.leaders.address(node)
    if node in (NO_NODE, context.node) or not address or session.nursery is None:
        _no_leader(session, group, frame, rid)
        return
    link = session.proxies.get(node)
    if link is None:
        link = session.proxies[node] = ProxyLink(session, node, address)
        session.nursery.start_soon(link.run)
        context.env.probe.mark("nodes.proxied")
        context.count("proxy_links")
    await link.outbox.wait_below(context.limits.connection_buffer_bytes)
    if link.ended:
        _no_leader(session, group, frame, rid)
    else:
        link.send(rid, frame)


def _no_leader(session: "ClientSession", group: GroupId, frame: Frame, rid: int) -> None:
    context = session.context
    context.env.probe.mark("nodes.proxy_without_leader")
    node, term = context.leaders.leader(group)
    actor = context.groups.get(group)
    if rid and node == NO_NODE and actor is not None:
        session.fail(rid, not_leader(context, group, actor.core))
    elif rid:
        session.fail(rid, NotLeader("no leader is known", leader=node, term=term))
    elif frame.kind == Op.CREDIT:
        session.send(
            wire.ConsumerGone(frame.header[0], frame.header[1], NotLeader.code, "no leader is known")
        )
