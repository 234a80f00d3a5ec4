"""A small cluster that speaks the client protocol over in-memory streams, with failures on demand.

One rule: it keeps the promises of the protocol (windows, leases, credit) in the simplest way, and breaks only
what a test breaks. All groups are led by ``leader``; queues are shared by the nodes, as if replication were
instant.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import trio

from haqactor import batch, wire
from haqactor.config import QueueConfig
from haqactor.env import Buffer, ConnectRefused, StreamReset
from haqactor.errors import Error, NotFound, NotLeader, ProtocolError, SequenceConflict, SequenceGap
from haqactor.frame import Decoder, Frame
from tests.builders.fake_state import FakeConsumer, FakeMessage, FakeQueue
from tests.builders.fake_world import FakeStream, stream_pair

GROUPS = 3
CLUSTER = b"fake-cluster-id!"


class FakeConnection:
    """A client's connection to one node."""

    def __init__(self, node: "FakeNode", stream: FakeStream) -> None:
        self.node = node
        self.stream = stream
        self.session = b""
        self.proxy = False
        self.consumers: dict[tuple[int, int], FakeConsumer] = {}

    async def send(self, message: wire.Message, *blobs: Buffer) -> None:
        await self.stream.send_all(wire.pack(message, *blobs))


class FakeNode:
    """One node. ``mute``: it reads and answers nothing. ``before``: called with each message; True swallows
    it."""

    def __init__(self, cluster: "FakeCluster", number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.address = f"node{number}:7420"
        self.alive = True
        self.mute = False
        self.refuses: Error | None = None
        self.connections: dict[FakeConnection, None] = {}
        self.hellos = 0

    async def serve(self, stream: FakeStream) -> None:
        connection = FakeConnection(self, stream)
        self.connections[connection] = None
        decoder = Decoder(16 * 1024 * 1024)
        try:
            while data := await stream.receive_some():
                for frame in decoder.feed(data):
                    if self.mute:
                        continue
                    await self._frame(connection, frame)
        except StreamReset:
            pass
        finally:
            self.connections.pop(connection, None)
            self.cluster.forget(connection)
            stream.abort()

    async def _frame(self, connection: FakeConnection, frame: Frame) -> None:
        message = wire.parse(frame)
        cluster = self.cluster
        cluster.seen.append((self.number, message))
        if cluster.before is not None and cluster.before(self, message):
            return
        if isinstance(message, wire.Hello):
            await self._hello(connection, message)
        elif isinstance(message, wire.Ping):
            await connection.send(wire.Pong(message.rid))
        elif isinstance(message, wire.Credit):
            cluster.credit(connection, message.group, message.consumer, message.messages, message.bytes)
            await cluster.deliver()
        else:
            await self._request(connection, message, frame.blob)

    async def _request(self, connection: FakeConnection, message: Any, blob: bytes) -> None:
        cluster = self.cluster
        rid = message.rid
        try:
            group = getattr(message, "group", 0)
            local = isinstance(message, wire.Status) or (
                isinstance(message, wire.Resolve) and not message.strict
            )
            if not local and cluster.leader != self.number and not (connection.proxy and cluster.leader >= 0):
                text = (
                    f"node {self.number} does not lead group {group}{cluster.damage and ': '}{cluster.damage}"
                )
                reason = "damaged" if cluster.damage else ""
                raise NotLeader(text, leader=cluster.leader, term=cluster.term, reason=reason)
            result, out = cluster.apply(connection, message, blob)
        except Error as error:
            await connection.send(wire.failed(rid, error))
            return
        if cluster.after is not None and cluster.after(self, message):
            return
        await connection.send(wire.Reply(rid, result), out)
        await cluster.deliver()

    async def _hello(self, connection: FakeConnection, hello: wire.Hello) -> None:
        self.hellos += 1
        connection.session, connection.proxy = hello.session, hello.proxy
        if self.refuses is not None:
            await connection.send(wire.Refused(self.refuses.code, str(self.refuses), self.refuses.fields()))
            await connection.stream.aclose()
            return
        limits = {
            "message_bytes_max": self.cluster.message_bytes_max,
            "frame_bytes_max": 16 << 20,
            "groups": GROUPS,
        }
        await connection.send(
            wire.Welcome(1, CLUSTER, self.number, self.address, self.cluster.leader_rows(), limits)
        )

    def kill(self) -> None:
        """As with kill -9: connections are reset, new ones refused."""
        self.alive = False
        for connection in list(self.connections):
            connection.stream.abort()


class FakeCluster:
    """``seen``: every message that reached a node. ``before``/``after``: scripts; True swallows the message
    or its answer."""

    def __init__(self, nodes: int = 3) -> None:
        self.nodes = [FakeNode(self, number) for number in range(nodes)]
        self.leader = 0
        self.term = 1
        self.message_bytes_max = 1024 * 1024
        self.queues: dict[int, FakeQueue] = {}
        self.names: dict[str, int] = {}
        self.consumers: dict[FakeConsumer, None] = {}
        self.seen: deque[tuple[int, Any]] = deque(maxlen=100_000)
        self.before: Callable[[FakeNode, Any], bool] | None = None
        self.after: Callable[[FakeNode, Any], bool] | None = None
        self.unreachable: dict[str, None] = {}
        self.dials: list[str] = []
        self.producers: dict[str, int] = {}
        self.ended: list[bytes] = []
        self.lease_ns = 30_000_000_000
        self.peek_max = 10_000
        self.damage = ""
        self._counter = 0
        self._nursery: trio.Nursery | None = None

    # -- the transport

    @property
    def seeds(self) -> list[str]:
        return [node.address for node in self.nodes]

    def start(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        nursery.start_soon(self._expiry)

    async def dial(self, address: str) -> FakeStream:
        self.dials.append(address)
        await trio.lowlevel.checkpoint()
        if address in self.unreachable:
            await trio.sleep_forever()
        for node in self.nodes:
            if node.address == address and node.alive:
                ours, theirs = stream_pair("client", address)
                assert self._nursery is not None
                self._nursery.start_soon(node.serve, theirs)
                return ours
        raise ConnectRefused(f"nobody listens at {address}")

    # -- leadership

    def leader_rows(self) -> wire.Rows:
        address = self.nodes[self.leader].address if self.leader >= 0 else ""
        return [[group, self.leader, self.term, address] for group in range(GROUPS)]

    async def elect(self, leader: int, *, push: bool = True) -> None:
        """A new leader (-1: none) in a new term; leases are forgotten and claimed anew."""
        self.leader = leader
        self.term += 1
        self.consumers.clear()
        if push:
            for node in self.nodes:
                for connection in list(node.connections):
                    if node.alive and connection.session:
                        await connection.send(wire.Leaders(self.leader_rows()))

    def forget(self, connection: FakeConnection) -> None:
        for consumer in list(self.consumers):
            if consumer.connection is connection:
                del self.consumers[consumer]

    # -- requests

    def add_queue(self, name: str, **settings: Any) -> FakeQueue:
        uid = len(self.queues) + 100
        queue = FakeQueue(name, uid, uid % (GROUPS - 1) + 1, settings)
        self.queues[uid] = queue
        self.names[name] = uid
        return queue

    def queue(self, uid: int) -> FakeQueue:
        if uid not in self.queues or self.names.get(self.queues[uid].name) != uid:
            raise NotFound(f"there is no queue with uid {uid}")
        return self.queues[uid]

    def named(self, name: str) -> FakeQueue:
        if name not in self.names:
            raise NotFound(f"there is no queue {name!r}; declare it first")
        return self.queues[self.names[name]]

    def apply(self, connection: FakeConnection, message: Any, blob: bytes) -> tuple[Any, bytes]:
        name = type(message).__name__.lower()
        handler: Any = getattr(self, f"_on_{name}")
        found: Any = handler(connection, message, blob)
        return (found[0], found[1]) if name == "peek" else (found, b"")

    def _on_declare(self, _c: FakeConnection, message: wire.Declare, _b: bytes) -> Any:
        created = message.name not in self.names
        queue = self.add_queue(message.name, lease_ns=self.lease_ns) if created else self.named(message.name)
        changes = {
            key: [queue.settings.get(key), value]
            for key, value in message.settings.items()
            if queue.settings.get(key) != value
        }
        queue.settings.update(message.settings)
        row: dict[str, Any] = {
            "uid": queue.uid,
            "group": queue.group,
            "version": queue.version,
            "settings": queue.settings,
        }
        none: list[Any] = []
        return row | {"changes": changes, "created": created, "also": none}

    def _on_delete(self, _c: FakeConnection, message: wire.Delete, _b: bytes) -> Any:
        queue = self.named(message.name)
        if message.uid not in (0, queue.uid):
            raise NotFound(f"that queue {message.name!r} is gone")
        del self.names[message.name]
        return {"uid": queue.uid, "group": queue.group}

    def _on_queues(self, _c: FakeConnection, _m: wire.Queues, _b: bytes) -> Any:
        rows = [self.queues[uid] for uid in self.names.values()]
        return [[queue.name, queue.uid, queue.group, queue.version, queue.settings] for queue in rows]

    def _on_resolve(self, _c: FakeConnection, message: wire.Resolve, _b: bytes) -> Any:
        queue = self.named(message.name)
        return [queue.uid, queue.group, queue.version, queue.settings]

    def _on_openproducer(self, _c: FakeConnection, message: wire.OpenProducer, _b: bytes) -> Any:
        self.producers[message.name] = self.producers.get(message.name, 0) + 1
        return [message.name.encode().ljust(16, b"\0")[:16], self.producers[message.name]]

    def _on_status(self, _c: FakeConnection, _m: wire.Status, _b: bytes) -> Any:
        return {"nodes": len(self.nodes)}

    def _on_await(self, _c: FakeConnection, _m: wire.Await, _b: bytes) -> Any:
        return True

    def _on_begin(self, _c: FakeConnection, message: wire.Begin, _b: bytes) -> Any:
        queue = self.queue(message.uid)
        queue.epochs[message.producer] = max(message.epoch, queue.epochs.get(message.producer, 0))
        rows = queue.windows.get(message.producer, []) if message.epoch else []  # the anonymous ask once
        return [1, max((first + count - 1 for first, count, _crc, _seq in rows), default=0)]

    def _on_end(self, _c: FakeConnection, message: wire.End, _b: bytes) -> Any:
        self.ended.append(message.producer)
        return True

    def _on_publish(self, _c: FakeConnection, message: wire.Publish, blob: bytes) -> Any:
        queue = self.queue(message.uid)
        head = batch.head(blob)
        if head.count != message.count:
            raise ProtocolError("the batch's count differs from its claim")
        window = queue.windows.setdefault(message.producer, [])
        after = max((first + count for first, count, _crc, _seq in window), default=1)
        last = message.first + message.count - 1
        for first, count, crc, seq in window:
            if first <= message.first and last < first + count:
                same = (first, count) == (message.first, message.count)
                if same and crc != head.crc:
                    raise SequenceConflict(f"{message.first} was used for something else")
                queue.duplicates += 1
                return [[seq + message.first - first, message.count, True]]
        if message.first < after:
            raise SequenceConflict(f"{message.first}..{last} was used in part")
        if message.first > after:
            raise SequenceGap(f"{message.first} leaves a hole after {after - 1}")
        seq = len(queue.messages) + 1
        window.append((message.first, message.count, head.crc, seq))
        queue.messages += [FakeMessage(content) for content in batch.unpack(blob, 64 << 20)]
        return [[seq, message.count, False]]

    # -- consuming

    def _find(self, connection: FakeConnection, group: int, number: int) -> FakeConsumer | None:
        for consumer in self.consumers:
            if consumer.connection is connection and (consumer.group, consumer.number) == (group, number):
                return consumer
        return None

    def credit(self, connection: FakeConnection, group: int, number: int, messages: int, size: int) -> None:
        consumer = self._find(connection, group, number)
        if consumer is not None:
            consumer.messages += messages
            consumer.size += size

    def _on_subscribe(self, connection: FakeConnection, message: wire.Subscribe, _b: bytes) -> Any:
        queue = self.queue(message.uid)
        known = self._find(connection, message.group, message.consumer)
        if known is not None:
            self._return_unclaimed(queue, known, message.claims)
        consumer = FakeConsumer(
            connection,
            message.group,
            message.uid,
            message.consumer,
            message.credit_messages,
            message.credit_bytes,
        )
        self.consumers[consumer] = None
        lost: list[list[int]] = []
        for term, counter, first, last, _started in message.claims:
            for seq in range(first, last + 1):
                item = queue.messages[seq - 1]
                if item.lease == (term, counter) and not item.done:
                    item.holder = consumer
                    item.lease_ends_ns = self._now_ns() + self.lease_ns
                elif not item.done:
                    lost.append([seq, seq])
        return {"lease_ns": self.lease_ns, "lost": lost}

    def _return_unclaimed(self, queue: FakeQueue, known: FakeConsumer, claims: wire.Rows) -> None:
        del self.consumers[known]
        for seq, item in enumerate(queue.messages, 1):
            if item.holder is known and not any(first <= seq <= last for _t, _c, first, last, _s in claims):
                item.lease, item.holder = None, None
                queue.released.append(seq)

    def _rows(
        self, queue: FakeQueue, rows: wire.Rows, refused: wire.Rows
    ) -> list[tuple[int, FakeMessage, list[Any]]]:
        found: list[tuple[int, FakeMessage, list[Any]]] = []
        for term, counter, first, last, *more in rows:
            for seq in range(first, last + 1):
                item = queue.messages[seq - 1]
                if item.lease == (term, counter):
                    found.append((seq, item, more))
                elif not item.done:
                    refused.append([seq, seq])
        return found

    def _on_settle(self, connection: FakeConnection, message: wire.Settle, _b: bytes) -> Any:
        queue = self.queue(message.uid)
        refused: wire.Rows = []
        queue.started.extend(message.started)
        for _seq, item, _more in self._rows(queue, message.acks, refused):
            item.done, item.lease, item.holder = True, None, None
        for seq, item, (delay_ns, reason) in self._rows(queue, message.nacks, refused):
            item.failures += 1
            item.ready_ns = self._now_ns() + max(0, delay_ns)
            item.lease, item.holder = None, None
            queue.nacks.append((seq, delay_ns, reason))
        for seq, item, (reason,) in self._rows(queue, message.rejects, refused):
            item.done, item.lease, item.holder = True, None, None
            queue.dead.append((seq, reason))
        for seq, item, _more in self._rows(queue, message.releases, refused):
            item.lease, item.holder = None, None
            queue.released.append(seq)
        self.credit(
            connection, message.group, message.consumer, message.credit_messages, message.credit_bytes
        )
        return refused

    def _on_extend(self, _c: FakeConnection, message: wire.Extend, _b: bytes) -> Any:
        refused: wire.Rows = []
        for _seq, item, _more in self._rows(self.queue(message.uid), message.leases, refused):
            item.lease_ends_ns = self._now_ns() + message.duration_ns
        return refused

    def _on_unsubscribe(self, connection: FakeConnection, message: wire.Unsubscribe, _b: bytes) -> Any:
        consumer = self._find(connection, message.group, message.consumer)
        if consumer is not None:
            del self.consumers[consumer]
            for queue in self.queues.values():
                for item in queue.messages:
                    if item.holder is consumer:
                        item.lease, item.holder = None, None
        return True

    def _on_poll(self, connection: FakeConnection, message: wire.Poll, _b: bytes) -> Any:
        consumer = self._find(connection, message.group, message.consumer)
        if consumer is None:
            raise NotFound("no such consumer")
        ready = any(self._is_ready(item) for item in self.queue(message.uid).messages)
        if ready:
            consumer.messages += 1
            consumer.size += 8 << 20
        return ready

    def _on_info(self, _c: FakeConnection, message: wire.Info, _b: bytes) -> Any:
        queue = self.queue(message.uid)
        open_ = [item for item in queue.messages if not item.done]
        leased = sum(item.lease is not None for item in open_)
        settings = QueueConfig(queue.name).settings() | {"lease_ns": self.lease_ns}
        return {
            "ready": len(open_) - leased, "leased": leased, "delayed": 0, "dead": len(queue.dead),
            "first_seq": 1, "next_seq": len(queue.messages) + 1, "consumers": len(self.consumers),
            "group": queue.group, "leader": self.leader, "settings": settings, "version": queue.version,
        }  # fmt: skip

    def _on_peek(self, _c: FakeConnection, message: wire.Peek, _b: bytes) -> Any:
        queue = self.queue(message.uid)
        picked = [(seq, item) for seq, item in enumerate(queue.messages, 1) if not item.done]
        picked = [row for row in picked if row[0] >= message.first][: min(message.limit, self.peek_max)]
        blobs = [batch.Packer().pack([item.body]) for _seq, item in picked]
        rows = [[0, 0, -1, [[row[0]] * 2], [], 1, len(blob)] for row, blob in zip(picked, blobs, strict=True)]
        return rows, b"".join(blobs)

    def _on_purge(self, _c: FakeConnection, message: wire.Purge, _b: bytes) -> Any:
        found = [item for item in self.queue(message.uid).messages if self._is_ready(item)]
        for item in found:
            item.done = True
        return len(found)

    def _now_ns(self) -> int:
        return round(trio.current_time() * 1e9)

    def _is_ready(self, item: FakeMessage) -> bool:
        return not item.done and item.lease is None and item.ready_ns <= self._now_ns()

    async def deliver(self) -> None:
        """Give ready messages to consumers with credit."""
        for consumer in list(self.consumers):
            queue = self.queues[consumer.uid]
            while consumer.messages > 0 and consumer.size > 0:
                picked: list[int] = []
                for seq, item in enumerate(queue.messages, 1):
                    if self._is_ready(item) and (not picked or picked[-1] == seq - 1):
                        picked.append(seq)
                        if len(picked) == min(consumer.messages, batch.COUNT_MAX):
                            break
                    elif picked:
                        break
                if not picked:
                    break
                await self._send_part(consumer, queue, picked)

    async def _send_part(self, consumer: FakeConsumer, queue: FakeQueue, picked: list[int]) -> None:
        self._counter += 1
        items = [queue.messages[seq - 1] for seq in picked]
        for item in items:
            item.lease, item.holder = (self.term, self._counter), consumer
            item.lease_ends_ns = self._now_ns() + self.lease_ns
        blob = batch.Packer().pack([item.body for item in items])
        attempts = [[seq, item.failures] for seq, item in zip(picked, items, strict=True) if item.failures]
        lease = [self.term, self._counter, -1, [[picked[0], picked[-1]]]]
        part = [*lease, attempts, 1_700_000_000_000_000_000, len(blob)]
        consumer.messages -= len(picked)
        consumer.size -= len(blob)
        try:
            await consumer.connection.send(
                wire.Deliver(consumer.group, consumer.number, queue.uid, self.lease_ns, [part]), blob
            )
        except StreamReset:
            self.consumers.pop(consumer, None)

    async def _expiry(self) -> None:
        while True:
            await trio.sleep(0.01)
            for queue in self.queues.values():
                for seq, item in enumerate(queue.messages, 1):
                    if item.lease is not None and item.lease_ends_ns <= self._now_ns():
                        await self.lose(queue, seq)
            await self.deliver()

    async def lose(self, queue: FakeQueue, seq: int) -> None:
        """The lease on a message ends."""
        item = queue.messages[seq - 1]
        lease, holder = item.lease, item.holder
        item.lease, item.holder = None, None
        if lease is not None and holder is not None and holder in self.consumers:
            await holder.connection.send(wire.LeaseLost(holder.group, holder.number, [[*lease, seq, seq]]))
