"""Targets: what comes over the gossip port, in datagrams and on streams, and what a node makes of it.

One rule: whoever knows the cluster's id may say anything there; it is counted and dropped, or believed of
membership, and ends nothing.
"""

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, Final, cast

from haqactor import codec
from haqactor.config import peer_address
from haqactor.env import NullProbe
from haqactor.errors import ProtocolError
from haqactor.ids import NodeId
from haqactor.machine.versions import Versions
from haqactor.nodes.addresses import Addresses
from haqactor.nodes.gossip_streams import answer, ask
from haqactor.nodes.load import Load, meta_of, read_meta
from haqactor.nodes.peers import PeerLink
from haqactor.swim.config import SECOND_NS, SwimConfig
from haqactor.swim.core import SwimCore
from haqactor.swim.effects import Changed, Exchange, Send
from haqactor.swim.member import Member, Status
from haqactor.swim.messages import Ack, Gossip, Message, Nack, Packet, Ping, PingReq, Pull, Rumour, Table
from haqactor.swim.packet import DATAGRAM_BYTES_MAX, STREAM_BYTES_MAX, decode, encode
from tests.builders.node_context import member_nonce, node_context
from tests.builders.swim_cluster import CLUSTER, Chance
from tests.fuzz import checksums, hostile
from tests.fuzz.target import Contradiction, Target, Tree

_HEAD: Final = 25
_FIRST: Final = 1 << 20
_MEMBERS_MAX: Final = 8
_META: Final = meta_of(Load(1, 2, 3, 0), Versions(1, 1))
_CONFIG: Final = SwimConfig(members_max=_MEMBERS_MAX)


def _address(node: int) -> str:
    return f"n{node}:7000"


def _member(node: int, incarnation: int = _FIRST, status: Status = Status.ALIVE) -> Member:
    return Member(member_nonce(node), node, _address(node), incarnation, status, _META)


def _packet(message: Message, *rumours: Rumour, sender: int = 1) -> bytes:
    return encode(Packet(member_nonce(sender), _address(sender), message, rumours), CLUSTER)


# -- the bytes


def _packet_corpus() -> list[bytes]:
    return [*_datagram_corpus(), *_asked_corpus(), *_reply_corpus()]


def _packet_trees(data: bytes) -> list[Tree]:
    """The values of a packet; and what its first rumour's member says of itself, which is CBOR again."""
    values = codec.loads(data[_HEAD:])

    def rebuilt(value: Any) -> bytes:
        return checksums.gossip(data[:_HEAD] + hostile.dumps(value))

    def told(value: Any) -> bytes:
        rumour = [*values[3][0][:5], hostile.dumps(value)[:256], *values[3][0][6:]]
        return rebuilt([*values[:3], [rumour, *values[3][1:]]])

    trees: list[Tree] = [(values, rebuilt)]
    if values[3] and values[3][0][5]:
        trees.append((read_meta(values[3][0][5]), told))
    return trees


def _decoded(data: bytes) -> Packet:
    return decode(data, CLUSTER, NullProbe(), bytes_max=STREAM_BYTES_MAX)


# -- a member that hears them


class _Link:
    """Stands where the node's link to another member does."""

    def __init__(self, address: str) -> None:
        self.address = address

    def redial(self) -> None:
        """At the address that it has now."""
        peer_address(self.address)


class _Node:
    """A member that has asked, and been asked, everything there is; and the node around it, as
    ``haqactor.nodes.gossip`` has it."""

    def __init__(self) -> None:
        known = [_member(node, 0) for node in (1, 2)]
        self.now_ns = 0
        self.core = SwimCore(
            _CONFIG, CLUSTER, _member(0), known, ("seed:7420",), random=Chance(0), probe=NullProbe(), now_ns=0
        )
        self.context = _context()
        for node in (1, 2):
            self.context.leaders.moved(NodeId(node), _address(node))
            self.context.peers[NodeId(node)] = cast(PeerLink, _Link(_address(node)))
        self.addresses = Addresses(self.context)
        self.pinged: list[tuple[int, bytes]] = []
        news = [Rumour(_member(1)), Rumour(_member(2))]
        self.core.received(_packet(Gossip(), *news), "socket", self.now_ns)
        self.core.received(_packet(PingReq(9, member_nonce(2), _address(2), 500)), "socket", self.now_ns)
        self.run(1.6)  # a ping of its own is late by now, others are asked, and a stream

    def run(self, seconds: float) -> None:
        """Tick whenever it is due."""
        end_ns = self.now_ns + round(seconds * SECOND_NS)
        while self.core.next_ns() <= end_ns:
            self.now_ns = max(self.now_ns, self.core.next_ns())
            self.core.tick(self.now_ns)
            self.perform()
        self.now_ns = end_ns

    def perform(self) -> None:
        """What it wants sent are packets that others take; what it believes is told to the node."""
        for effect in self.core.take():
            match effect:
                case Send(_to, data):
                    sent = decode(data, CLUSTER, NullProbe(), bytes_max=_CONFIG.packet_bytes_max)
                    if isinstance(sent.message, Ping):
                        self.pinged.append((sent.message.seq, sent.message.target))
                case Exchange(_to, data):
                    _decoded(data)
                case Changed(member, was):
                    self.addresses.changed(member, was)

    def after(self) -> None:
        """Half a minute later it is still one member among a bounded number, which it can speak of."""
        self.perform()
        self.run(30.0)
        members = self.core.members()
        if len(members) > _MEMBERS_MAX + 1:
            raise Contradiction(f"{len(members)} members, at most {_MEMBERS_MAX} and itself are kept")
        if self.core.me.node != 0 or self.core.me.status is not Status.ALIVE:
            raise Contradiction(f"it was made to say {self.core.me} of itself")
        for member in members:
            read_meta(member.meta)
        for link in self.context.peers.values():
            peer_address(link.address)
        _decoded(self.core.asked(_packet(Pull()), self.now_ns))


@cache
def _context() -> Any:
    return node_context(0)[0]


@cache
def _pings() -> list[tuple[int, bytes]]:
    """Of a node as it stands: the same in each, for chance is seeded."""
    return _Node().pinged


def _datagram_corpus() -> list[bytes]:
    suspect = Rumour(_member(2, status=Status.SUSPECT), member_nonce(1))
    dead = Rumour(_member(2, status=Status.DEAD), b"", 5 * SECOND_NS)
    about_me = Rumour(_member(0, _FIRST, Status.SUSPECT), member_nonce(1))
    stranger = Rumour(Member(bytes(15) + b"x", -1, "guest:1", 1, Status.LEFT, b""))
    asked = [_packet(Ack(seq, target), sender=2) for seq, target in _pings()[:4]]
    return [
        _packet(Ping(7, member_nonce(0)), suspect),
        _packet(Ping(7, member_nonce(2)), dead, stranger),
        _packet(PingReq(8, member_nonce(2), _address(2), 500), about_me),
        _packet(Ack(7, member_nonce(1))),
        *asked,
        _packet(Nack(_pings()[-1][0]), suspect, sender=2),
        _packet(Gossip(), Rumour(_member(1, _FIRST + 1)), stranger),
    ]


def _heard(data: bytes) -> None:
    node = _Node()
    if len(data) > DATAGRAM_BYTES_MAX:
        raise ProtocolError("no socket brings a datagram as long as that")
    node.core.received(data, "socket", node.now_ns)
    node.after()


def _asked_corpus() -> list[bytes]:
    table = [Rumour(_member(node, _FIRST + node)) for node in range(1, 6)]
    return [_packet(Ping(7, member_nonce(0)), table[0]), _packet(Pull(), *table), _packet(Pull())]


def _asked(data: bytes) -> None:
    node = _Node()
    _decoded(node.core.asked(data, node.now_ns))
    node.after()


def _reply_corpus() -> list[bytes]:
    table = [Rumour(_member(node, _FIRST + node)) for node in range(5)]
    gone = Rumour(_member(2, status=Status.DEAD), b"", SECOND_NS)
    acks = [_packet(Ack(seq, target), sender=2) for seq, target in _pings()[-2:]]
    return [*acks, _packet(Table(), *table), _packet(Table(), gone)]


def _replied(data: bytes) -> None:
    """A bad reply is as good as none: told by what was counted."""
    node = _Node()
    before = node.core.statistics()
    node.core.exchanged(_address(2), data, node.now_ns)
    counted = node.core.statistics()
    node.after()
    if counted.bad > before.bad or counted.foreign > before.foreign:
        raise ProtocolError("it was counted, and dropped")


# -- streams


class _Bytes:
    """A stream that brings given bytes, in pieces, and then its end; nothing in it waits."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sent = b""
        self.remote = "peer:1"

    async def receive_some(self, size: int = 65_536) -> bytes:
        piece = self.data[: max(1, min(size, 1 + len(self.data) // 2))]
        self.data = self.data[len(piece) :]
        return piece

    async def send_all(self, data: bytes) -> None:
        self.sent += data

    async def aclose(self) -> None:
        pass

    def abort(self) -> None:
        pass


class _Dialled:
    """A network with one stream in it."""

    def __init__(self, stream: _Bytes) -> None:
        self._stream = stream

    async def dial(self, _address: str) -> _Bytes:
        return self._stream


def _done(work: Coroutine[Any, Any, Any]) -> Any:
    """What comes of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise Contradiction("it waits, though the stream never lets it")


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _length_right(data: bytes) -> bytes:
    return _framed(checksums.gossip(data[4:]))


def _stream_trees(data: bytes) -> list[Tree]:
    def framed(build: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        return lambda value: _framed(build(value))

    return [(tree, framed(build)) for tree, build in _packet_trees(data[4:])]


def _served(data: bytes) -> None:
    """A request, as the node that is asked reads and answers it."""
    node, stream = _Node(), _Bytes(data)
    _done(answer(cast(Any, stream), lambda request: node.core.asked(request, node.now_ns)))
    if int.from_bytes(stream.sent[:4], "little") != len(stream.sent) - 4:
        raise Contradiction("the reply has another length than it says")
    _decoded(stream.sent[4:])
    node.after()


def _exchanged(data: bytes) -> None:
    """A reply, as the node that asked reads it."""
    node, stream = _Node(), _Bytes(data)
    reply = _done(ask(cast(Any, _Dialled(stream)), "n2:7002", _packet(Pull())))
    _decoded(reply)
    node.core.exchanged(_address(2), reply, node.now_ns)
    node.after()


_SAID: Final[dict[str, Any]] = {
    "errors": (ProtocolError,),
    "repair": checksums.gossip,
    "trees": _packet_trees,
}
_STREAMED: Final[dict[str, Any]] = {
    "errors": (ProtocolError,),
    "repair": _length_right,
    "trees": _stream_trees,
}

TARGETS: Final = (
    Target(
        name="gossip-packets",
        corpus=_packet_corpus,
        decode=_decoded,
        encode=lambda packet: encode(packet, CLUSTER),
        sealed=True,
        **_SAID,
    ),
    Target(name="gossip-heard", corpus=_datagram_corpus, decode=_heard, **_SAID),
    Target(name="gossip-asked", corpus=_asked_corpus, decode=_asked, **_SAID),
    Target(name="gossip-replies", corpus=_reply_corpus, decode=_replied, **_SAID),
    Target(
        name="gossip-requests",
        corpus=lambda: [_framed(each) for each in _asked_corpus()],
        decode=_served,
        sealed=True,
        **_STREAMED,
    ),
    Target(
        name="gossip-exchanges",
        corpus=lambda: [_framed(each) for each in _reply_corpus()],
        decode=_exchanged,
        sealed=True,
        **_STREAMED,
    ),
)
