"""A node that was away longer than any log reaches back gets a snapshot and is as the others."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor import batch, wire
from haqactor.config import Limits, NodeConfig
from haqactor.env import NetworkError
from haqactor.errors import Conflict, ProtocolError
from haqactor.frame import Decoder, Frame
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.group import GroupActor
from haqactor.nodes.installs import Sending, Step, check_offer, group_of, on_frame
from haqactor.nodes.memory_stream import memory_stream_pair
from haqactor.nodes.node import Node
from haqactor.nodes.peerwire import PeerOp
from haqactor.raft.messages import InstallSnapshot
from haqactor.raft.ready import SnapshotMeta
from tests.builders.memory_disk import MemoryDisk
from tests.builders.memory_environment import MemoryNetwork, memory_environment
from tests.builders.node_context import quiet_log

ADDRESSES = ["127.0.0.1:7000", "127.0.0.1:7010", "127.0.0.1:7020"]
LIMITS = Limits(snapshot_entries=20, tail_cache_bytes=20_000, segment_bytes=65_536)
GROUP = GroupId(1)


class Cluster:
    """Three nodes in one program."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.network = MemoryNetwork()
        self.disks = [MemoryDisk() for _ in ADDRESSES]
        self.nodes: dict[int, Node] = {}
        self.scopes: dict[int, trio.CancelScope] = {}

    def start(self, number: int, seed: int) -> None:
        config = NodeConfig(
            data_dir="d", listen=ADDRESSES[number], bootstrap=ADDRESSES, groups=1, limits=LIMITS
        )
        env = memory_environment(self.network, self.disks[number], seed=seed)
        node = self.nodes[number] = Node(config, env, quiet_log())
        scope = self.scopes[number] = trio.CancelScope()

        async def run() -> None:
            with scope:
                await node.run()

        self.nursery.start_soon(run)

    def group(self, number: int) -> dict[str, Any]:
        """The data group's status at a node."""
        found: list[dict[str, Any]] = self.nodes[number].status().get("groups", [])
        return next((row for row in found if row["group"] == GROUP), {"applied": 0})

    def digest(self, number: int) -> bytes:
        context = self.nodes[number].context
        assert context is not None
        return context.groups[GROUP].service.digest()


class Client:
    """Asks one thing after the other, through any node."""

    def __init__(self, node: Node, nursery: trio.Nursery) -> None:
        self._near, far = memory_stream_pair("client", "node")
        self._decoder = Decoder(1 << 20)
        self._rid = 0
        nursery.start_soon(node.accept, far)

    async def greet(self) -> None:
        await self._near.send_all(wire.pack(wire.Hello(1, 1, ["none"], "a test", b"s" * 16, b"", True)))

    async def ask(self, message: Any, *blobs: bytes) -> Any:
        self._rid += 1
        await self._near.send_all(wire.pack(message._replace(rid=self._rid), *blobs))
        while data := await self._near.receive_some():
            for frame in self._decoder.feed(data):
                answer = wire.parse(frame)
                if isinstance(answer, wire.Reply | wire.Failed) and answer.rid == self._rid:
                    assert isinstance(answer, wire.Reply), answer
                    return answer.result
        raise NetworkError("the node ended the connection")


async def test_a_node_that_was_away_too_long(autojump_clock: MockClock) -> None:
    """It takes state and live entries from the leader, and goes on from there."""
    async with trio.open_nursery() as nursery:
        cluster = Cluster(nursery)
        for number in range(3):
            cluster.start(number, number)
        with trio.fail_after(60):
            for node in cluster.nodes.values():
                await node.wait_ready()
        context = cluster.nodes[0].context
        assert context is not None
        leaders = [context.leaders.leader(group)[0] for group in sorted(context.groups)]
        away = next(number for number in (2, 1) if number not in leaders)
        client = Client(cluster.nodes[0], nursery)
        await client.greet()
        queue = await client.ask(wire.Declare(0, "q", {}))
        await client.ask(wire.Await(0, GROUP, queue["uid"], queue["version"], False))
        began, _last = await client.ask(wire.Begin(0, GROUP, queue["uid"], b"p" * 16, 0))
        cluster.scopes[away].cancel()
        body = batch.Packer().pack([batch.Content(b"x" * 500)] * 2)
        for first in range(1, 200, 2):
            await client.ask(wire.Publish(0, GROUP, queue["uid"], b"p" * 16, 0, first, 2, first, began), body)
        await trio.sleep(3)
        cluster.start(away, 9)
        await trio.sleep(10)
        status = cluster.nodes[away].status()
        assert status["counters"]["installs_received"] == 1
        assert cluster.group(away)["applied"] == cluster.group(0)["applied"] > 100
        await client.ask(wire.Publish(0, GROUP, queue["uid"], b"p" * 16, 0, 201, 2, 201, began), body)
        await trio.sleep(2)
        assert cluster.digest(away) == cluster.digest(leaders[1])
        nursery.cancel_scope.cancel()


def test_an_answer_counts_for_its_own_install_only() -> None:
    """Late words about an earlier snapshot, or about frames that were never sent, move nothing."""
    sending = Sending(Term(3), Index(40))
    sending.number = 2
    for term, index, number in ((2, 40, 1), (3, 39, 1), (3, 40, 3)):
        for refused in (False, True):
            sending.answer(term, index, number, refused)
    assert (sending.acked, sending.refused, sending.moved.is_set()) == (0, False, False)
    sending.answer(3, 40, 2, False)
    sending.answer(3, 40, 1, False)
    assert (sending.acked, sending.refused, sending.moved.is_set()) == (2, False, True)
    sending.answer(3, 40, 2, True)
    assert sending.refused


class FakeInstall:
    """Writes down what it is given."""

    def __init__(self) -> None:
        self.open = True
        self.state: list[bytes] = []

    async def add_chunk(self, chunk: bytes) -> None:
        if not self.open:
            raise Conflict("this installation has ended")
        self.state.append(chunk)

    async def finish(self) -> bool:
        self.open = False
        return True

    async def abandon(self) -> None:
        self.open = False


class FakeReceiver:
    """The actor of a follower, and its journal, which goes on with an install of the same place."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.group = GROUP
        self.installs_in: dict[NodeId, Any] = {}
        self.peers: dict[NodeId, Any] = {}
        self.installs: list[FakeInstall] = []
        self.log = quiet_log()
        self.applier = self.context = self.journal = self.core = self.mailbox = self
        self.env = memory_environment()
        self.behind = True
        self.stepped: list[tuple[NodeId, InstallSnapshot]] = []
        self.woken = 0

    def step(self, sender: NodeId, offer: InstallSnapshot, _now: int) -> None:
        self.stepped.append((sender, offer))

    def has_ready(self) -> bool:
        return bool(self.stepped)

    def wake(self) -> None:
        self.woken += 1

    def now(self) -> int:
        return 0

    def accepts_snapshot(self, _offer: InstallSnapshot) -> bool:
        return self.behind

    async def begin_install(self, _group: GroupId, _meta: SnapshotMeta) -> FakeInstall:
        if not self.installs or not self.installs[-1].open:
            self.installs.append(FakeInstall())
        return self.installs[-1]

    def count(self, _name: str) -> None:
        """Nobody asks."""

    def put(self, _item: Any) -> None:
        """Restored."""

    async def hear(
        self, sender: int, term: int, step: Step, number: int, *extra: Any, blob: bytes = b""
    ) -> None:
        frame = SimpleNamespace(header=[GROUP, term, 40, step, number, *extra], blob=blob)
        on_frame(cast(GroupActor, self), NodeId(sender), cast(Frame, frame))
        await wait_all_tasks_blocked()


async def test_chunks_of_two_leaders_never_mix() -> None:
    """The old one died in the middle, the new one offers a snapshot at the same place: it begins anew."""
    async with trio.open_nursery() as nursery:
        receiver = FakeReceiver(nursery)
        await receiver.hear(1, 3, Step.OFFER, 1, 2, [0, 1, 2], [])
        await receiver.hear(1, 3, Step.STATE, 2, blob=b"old")
        await receiver.hear(2, 4, Step.OFFER, 1, 2, [0, 1, 2], [])
        await receiver.hear(1, 3, Step.STATE, 3, blob=b"late")
        await receiver.hear(2, 4, Step.STATE, 2, blob=b"new")
        await receiver.hear(2, 4, Step.END, 3)
        assert [install.state for install in receiver.installs] == [[b"old"], [b"new"]]
        assert receiver.installs_in == {}


async def test_an_offer_that_is_not_ahead_is_acknowledged() -> None:
    """Its core hears of it and answers with what is here: else the leader, which lost its place in this log
    and has compacted what would find it, would offer the same snapshot for ever."""
    async with trio.open_nursery() as nursery:
        receiver = FakeReceiver(nursery)
        receiver.behind = False
        await receiver.hear(1, 3, Step.OFFER, 1, 2, [0, 1, 2], [])
        ((sender, offer),) = receiver.stepped
        assert (sender, offer.term, offer.index, offer.index_term) == (1, 3, 40, 2)
        assert receiver.woken == 1
        assert receiver.installs == []
        assert receiver.installs_in == {}


@pytest.mark.parametrize("number", [-1, 1 << 63, True, "x"])
def test_numbers_that_the_journal_cannot_hold_are_refused(number: Any) -> None:
    """They would have ended the node when its record was written."""
    for at in range(5):
        header = [5, 3, 9, 0, 1, 2, [0, 1, 2], [3]]
        header[at] = number
        with pytest.raises(ProtocolError):
            group_of(Frame(PeerOp.INSTALL, header, b""))
    for wrong in (
        [5, 3, 9, 0, 1, number, [0], []],
        [5, 3, 9, 0, 1, 2, [number], []],
        [5, 3, 9, 0, 1, 2, [0]],
    ):
        with pytest.raises(ProtocolError):
            check_offer(wrong)
