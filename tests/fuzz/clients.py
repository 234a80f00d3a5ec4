"""Targets: what nodes say to a client, and what clients say to a leader.

One rule: whatever the other side says, its own connection may end for it, and nothing else.
"""

from collections.abc import Callable
from typing import Any, Final

from haqactor import wire
from haqactor.batch import Content, Packer
from haqactor.client.message import PeekedMessage
from haqactor.client.options import Options
from haqactor.client.producing import Identity
from haqactor.client.protocol import Core
from haqactor.client.renewing import Extension
from haqactor.client.statistics import QueueInfo
from haqactor.config import QueueConfig
from haqactor.errors import Error, ProtocolError
from tests.builders.queue_group import ALICE, Group, Q
from tests.fuzz import checksums
from tests.fuzz.streams import frame_trees, frames_of
from tests.fuzz.target import Target

_UID: Final = 5
_BATCH: Final = Packer().pack([Content(b"one", ("key", {"n": 1}, "id")), Content(b"two")])
_NS: Final = 10**9


class Client:
    """A session with a request, a producer and a consumer, all of which have asked something."""

    def __init__(self) -> None:
        core = self.core = Core(b"s" * 16, ["a:1", "b:1"], Options(), 0, 0)
        self.link = core.connected("a:1", False, 0)
        welcome = wire.Welcome(1, b"c" * 16, 0, "a:1", [[0, 0, 1, "a:1"], [1, 0, 1, "a:1"]], {"groups": 2})
        core.receive(self.link, wire.pack(welcome), 1)
        self.request = core.request(1, wire.Info(0, 1, _UID))  # rid 1
        core.output(self.link)
        self.consumer = core.subscribe(1, _UID, (10, 1 << 20))  # rid 2
        core.output(self.link)
        self.stream = core.stream(1, "q", _UID, Identity(b"p" * 16, 0))
        self.stream.add(Content(b"x"), 1)  # rid 3: Begin
        core.output(self.link)

    def hears(self, data: bytes) -> None:
        """Bytes of the node; then a turn of the shell."""
        self.core.receive(self.link, data, 2)
        self.core.output(self.link)
        self.core.tick(3)
        self.core.wanted()

    def looks(self) -> None:
        """The program takes its messages and gives them back; looks at its answers."""
        consumer = self.consumer
        for part in list(consumer.buffer):
            for row in range(part.count):
                message = PeekedMessage(
                    part.content(row, 1 << 22),
                    _UID,
                    part.seq(row),
                    part.failures(part.seq(row)),
                    part.enqueued_ns,
                )
                _ = (message.id, message.key, dict(message.headers), message.enqueued_at, repr(message))
        taken = consumer.take(3)
        if taken is not None:
            consumer.ack(*taken)
        self.core.output(self.link)
        if self.request.outcome.done and self.request.outcome.error is None:
            QueueInfo.of("q", self.request.outcome.get()[0])


def _subscribed() -> bytes:
    return wire.pack(wire.Reply(2, {"lease_ns": 30 * _NS, "lost": []}))


def _node_corpus() -> list[bytes]:
    info = {"ready": 1, "leased": 0, "delayed": 0, "dead": 0, "first_seq": 1, "next_seq": 2, "consumers": 1}
    info |= {"group": 1, "leader": 0}
    part = [1, 1, 10, [[10, 11]], [[10, 2]], 5 * _NS, len(_BATCH)]
    deliver = wire.pack(wire.Deliver(1, 1, _UID, 30 * _NS, [part]), _BATCH)
    two = [[1, 2, -1, [[20, 20], [25, 25]], [], 5 * _NS, len(_BATCH)], part]
    begun = wire.pack(wire.Reply(3, [5 * _NS, 0]))
    return [
        wire.pack(wire.Reply(1, {**info, "settings": QueueConfig("q").settings(), "version": 1})),
        wire.pack(wire.Failed(1, "not_leader", "there", {"leader": 1, "term": 2})),
        wire.pack(wire.Failed(2, "no_quorum", "down", {"reason": "damaged"})),
        wire.pack(wire.Failed(3, "overloaded", "full", {"retry_after": 0.1})),
        _subscribed(),
        _subscribed() + deliver,
        _subscribed() + wire.pack(wire.Deliver(1, 1, _UID, 30 * _NS, two), _BATCH, _BATCH),
        _subscribed() + deliver + wire.pack(wire.LeaseLost(1, 1, [[1, 1, 10, 10]])),
        _subscribed() + wire.pack(wire.ConsumerGone(1, 1, "not_found", "gone")),
        begun,
        begun + wire.pack(wire.Reply(4, [[7, 1, False]])),
        wire.pack(wire.Leaders([[1, 1, 2, "b:1"], [2, -1, 3, ""]])),
        wire.pack(wire.Goodbye("stops")),
        wire.pack(wire.Welcome(1, b"c" * 16, 0, "a:1", [[0, 0, 1, "a:1"]], {"message_bytes_max": 1 << 20})),
        wire.pack(wire.Pong(0)),
    ]


def _heard(data: bytes) -> None:
    client = Client()
    client.hears(data)
    client.looks()


def _settled_corpus() -> list[bytes]:
    return [wire.pack(wire.Reply(4, rows)) for rows in ([], [[10, 10]], [[10, 11], [20, 25]])]


def _settled(data: bytes) -> None:
    """The answer to a settlement."""
    client = Client()
    client.hears(_node_corpus()[5])
    taken = client.consumer.take(3)
    assert taken is not None
    client.consumer.ack(*taken)
    client.core.output(client.link)
    client.hears(data)


def _extended_corpus() -> list[bytes]:
    return [wire.pack(wire.Reply(1, rows)) for rows in ([], [[10, 10]], [[10, 11], [20, 25]])]


def _extended(data: bytes) -> None:
    """The answer to a renewal of leases."""
    client = Client()
    for frame in frames_of(data):
        message = wire.parse(frame)
        if isinstance(message, wire.Reply):
            extension = Extension(client.consumer.renewals, [], _NS)
            extension.link = client.link
            extension.replied(client.link, message.result, b"")


# -- a leader


def _leader() -> Group:
    group = Group()
    group.publish(5)
    group.subscribe(ALICE)
    group.run()
    return group


def _request_corpus() -> list[bytes]:
    given: list[wire.Message] = [
        wire.Subscribe(1, 1, Q, 1, 1, 512, 1 << 20, [[1, 1, 1, 2, True]]),
        wire.Settle(
            1,
            1,
            Q,
            1,
            [[1, 1, 1, 1]],
            [[1, 1, 2, 2, -1, "no"]],
            [[1, 1, 3, 3, "bad"]],
            [[1, 1, 4, 4]],
            [[1, 2]],
            0,
            0,
        ),
        wire.Credit(1, 1, 5, 100),
        wire.Extend(1, 1, Q, 1, [[1, 1, 1, 5]], 5 * _NS),
        wire.Unsubscribe(1, 1, 1),
        wire.Poll(1, 1, Q, 1),
    ]
    return [wire.pack(message) for message in given]


def _requested(data: bytes) -> None:
    """To the dispatcher, as ``nodes.consuming`` hands it on."""
    group = _leader()
    d = group.d
    for frame in frames_of(data):
        message = wire.parse(frame)
        if isinstance(message, wire.Subscribe):
            d.subscribe(
                ALICE,
                message.consumer,
                Q,
                message.credit_messages,
                message.credit_bytes,
                message.claims,
                group.now,
            )
        elif isinstance(message, wire.Settle):
            judged = d.judge(ALICE, message._replace(uid=Q))
            if judged.command is not None:
                group.apply(judged.command)
        elif isinstance(message, wire.Credit):
            d.credit(ALICE, message.consumer, message.messages, message.bytes)
        elif isinstance(message, wire.Extend):
            d.extend(ALICE, message.consumer, Q, message.leases, message.duration_ns, group.now)
        elif isinstance(message, wire.Unsubscribe):
            d.leave(ALICE, message.consumer)
        elif isinstance(message, wire.Poll):
            d.poll_one(ALICE, message.consumer, Q)
    group.run()
    group.run(40.0)


_FRAMED: Final[dict[str, Any]] = {"repair": checksums.frames, "trees": frame_trees}


def _target(
    name: str, corpus: Callable[[], list[bytes]], decode: Callable[[bytes], Any], error: type[Error]
) -> Target:
    return Target(name=name, corpus=corpus, decode=decode, errors=(error,), **_FRAMED)


TARGETS: Final = (
    _target("node-to-client", _node_corpus, _heard, Error),
    _target("settle-answers", _settled_corpus, _settled, Error),
    _target("extend-answers", _extended_corpus, _extended, ProtocolError),
    _target("requests", _request_corpus, _requested, Error),
)
