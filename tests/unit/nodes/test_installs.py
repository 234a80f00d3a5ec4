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
from haqactor.journal.statistics import Counters
from haqactor.nodes.group import GroupActor
from haqactor.nodes.installs import KEPT_S, PATIENCE_S, WINDOW, Step, check_offer, group_of, on_frame
from haqactor.nodes.memory_stream import memory_stream_pair
from haqactor.nodes.node import Node
from haqactor.nodes.pacing import Pace
from haqactor.nodes.peerwire import PeerOp
from haqactor.nodes.sending import Sending
from haqactor.raft.messages import InstallSnapshot
from haqactor.raft.ready import SnapshotMeta
from tests.builders.memory_disk import MemoryDisk
from tests.builders.memory_environment import MemoryNetwork, SeededRandom, memory_environment
from tests.builders.node_context import quiet_log

ADDRESSES = ["127.0.0.1:7000", "127.0.0.1:7010", "127.0.0.1:7020"]
LIMITS = Limits(snapshot_entries=20, tail_cache_bytes=20_000, segment_bytes=65_536, catch_up_bytes_s=1 << 20)
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


class Story:
    """A cluster with a queue, one node of which leads nothing. ``leader``: the queue's."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.cluster = Cluster(nursery)
        self._nursery = nursery
        self._sent = 0

    async def begin(self) -> None:
        cluster = self.cluster
        for number in range(3):
            cluster.start(number, number)
        with trio.fail_after(60):
            for node in cluster.nodes.values():
                await node.wait_ready()
        context = cluster.nodes[0].context
        assert context is not None
        leaders = [context.leaders.leader(group)[0] for group in sorted(context.groups)]
        self.leader: int = leaders[1]
        self.away = next(number for number in (2, 1) if number not in leaders)
        client = self._client = Client(cluster.nodes[0], self._nursery)
        await client.greet()
        queue = await client.ask(wire.Declare(0, "q", {}))
        self._uid = queue["uid"]
        await client.ask(wire.Await(0, GROUP, self._uid, queue["version"], False))
        self._began, _last = await client.ask(wire.Begin(0, GROUP, self._uid, b"p" * 16, 0))

    async def publish(self, count: int, size: int = 500) -> None:
        """So many batches of two, an entry each."""
        for _ in range(count):
            first = self._sent + 1
            body = batch.Packer().pack([batch.Content(SeededRandom(first).token(size))] * 2)
            fields = wire.Publish(0, GROUP, self._uid, b"p" * 16, 0, first, 2, first, self._began)
            await self._client.ask(fields, body)
            self._sent += 2

    def sending(self) -> Sending | None:
        """The leader's side of what goes to the node that was away."""
        context = self.cluster.nodes[self.leader].context
        assert context is not None
        return context.groups[GROUP].installs_out.get(NodeId(self.away))

    def counters(self, number: int) -> dict[str, int]:
        found: dict[str, int] = self.cluster.nodes[number].status()["counters"]
        return found

    async def check_level(self) -> None:
        """It holds what the leader holds: the state, and every entry that it refers to."""
        away, leader = self.cluster.group(self.away), self.cluster.group(self.leader)
        assert away["applied"] == leader["applied"]
        assert self.cluster.digest(self.away) == self.cluster.digest(self.leader)
        assert await self._live(self.away) == await self._live(self.leader)

    async def _live(self, number: int) -> list[bytes]:
        context = self.cluster.nodes[number].context
        assert context is not None
        frames: list[bytes] = []
        for first, last in context.groups[GROUP].service.live_entries():
            found = await context.journal.read(GROUP, first, last, 1 << 30)
            frames += [entry.frame for entry in found]
        assert frames
        return frames


async def test_a_node_that_was_away_too_long(autojump_clock: MockClock) -> None:
    """It takes state and live entries from the leader, and goes on from there."""
    async with trio.open_nursery() as nursery:
        story = Story(nursery)
        await story.begin()
        story.cluster.scopes[story.away].cancel()
        await story.publish(100)
        await trio.sleep(3)
        story.cluster.start(story.away, 9)
        await trio.sleep(10)
        assert story.counters(story.away)["installs_received"] == 1
        assert story.cluster.group(story.away)["applied"] > 100
        await story.check_level()
        await story.publish(1)
        await trio.sleep(2)
        await story.check_level()
        nursery.cancel_scope.cancel()


async def test_a_busy_group_waits_for_whom_it_feeds(autojump_clock: MockClock) -> None:
    """Its leader takes no snapshot meanwhile: the follower, which is given some seconds' worth, would find
    the log gone behind it whenever it is through, and begin anew."""
    async with trio.open_nursery() as nursery:
        story = Story(nursery)
        await story.begin()
        story.cluster.scopes[story.away].cancel()
        await story.publish(100, size=20_000)
        await trio.sleep(3)
        story.cluster.start(story.away, 9)
        before = story.cluster.group(story.leader)["applied"]
        beside = 0
        for _ in range(500):
            await story.publish(1)
            await trio.sleep(0.02)
            beside += story.sending() is not None
        assert beside > 3 * LIMITS.snapshot_entries
        assert story.counters(story.away)["installs_received"] == 1
        assert story.counters(story.leader)["install_bytes_sent"] < 6_000_000
        await trio.sleep(2)
        await story.check_level()
        assert story.cluster.group(story.leader)["applied"] >= before + 500
        context = story.cluster.nodes[story.leader].context
        assert context is not None
        assert context.groups[GROUP].core.snapshot.index > before + 400
        nursery.cancel_scope.cancel()


async def test_an_install_that_broke_off_is_not_sent_again(autojump_clock: MockClock) -> None:
    """But for what comes after: the follower says how far it is, whatever became of the connection."""
    async with trio.open_nursery() as nursery:
        story = Story(nursery)
        await story.begin()
        story.cluster.scopes[story.away].cancel()
        await story.publish(200, size=40_000)
        await trio.sleep(3)
        size = story.cluster.nodes[story.leader].status()["journal"]["bytes"]
        story.cluster.start(story.away, 9)
        cuts = 0
        for _ in range(500):
            await story.publish(1)
            await trio.sleep(0.02)
            sending = story.sending()
            if sending is not None and not sending.refused and sending.acked >= 3 and cuts < 2:
                sending.cut()
                cuts += 1
        await trio.sleep(5)
        assert cuts == 2
        assert story.counters(story.leader)["installs_resumed"] == 2
        assert story.counters(story.leader)["install_bytes_sent"] < size * 1.2
        assert story.counters(story.away)["installs_received"] == 1
        await story.check_level()
        nursery.cancel_scope.cancel()


def test_the_window_is_one_of_frames_and_of_bytes() -> None:
    """Entries may be as large as a message may be; what waits for its answer is bounded all the same."""
    sending = Sending(Term(3), Index(40))
    assert sending.has_room()
    assert sending.is_level()
    for _ in range(WINDOW):
        assert sending.has_room()
        sending.sent(10)
    assert not sending.has_room()
    sending.answer(3, 40, 1, False)
    assert sending.has_room()
    sending.answer(3, 40, WINDOW, False)
    assert sending.is_level()
    sending.sent(32 << 20)
    assert not sending.has_room()
    sending.answer(3, 40, WINDOW + 1, False)
    assert sending.has_room()


async def test_patience_begins_with_every_answer(autojump_clock: MockClock) -> None:
    """A slow follower is not a dead one."""
    sending = Sending(Term(3), Index(40))
    for _ in range(3):
        sending.sent(10)
    found: list[bool] = []

    async def wait() -> None:
        found.append(await sending.until(sending.is_level))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        for number in (1, 2, 3):
            await trio.sleep(PATIENCE_S * 0.9)
            sending.answer(3, 40, number, False)
    sending.sent(10)
    begun = trio.current_time()
    await wait()
    assert (found, trio.current_time() - begun) == ([True, False], PATIENCE_S)


def test_an_answer_counts_for_its_own_install_only() -> None:
    """Late words about an earlier snapshot, or about frames that were never sent, move nothing."""
    sending = Sending(Term(3), Index(40))
    sending.sent(10)
    sending.sent(10)
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
        self.entries: list[bytes] = []
        self.state: list[bytes] = []

    @property
    def last_entry(self) -> Index:
        return Index(len(self.entries))

    @property
    def entry_count(self) -> int:
        return len(self.entries)

    async def begin_state(self) -> None:
        self.state = []

    async def add_entries(self, frames: tuple[bytes, ...]) -> None:
        self.entries += frames

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
        self.install_kept: Any = None
        self.installing = 0
        self.counters = Counters()
        self.log = quiet_log()
        self.applier = self.context = self.journal = self.core = self.mailbox = self
        self.env = memory_environment()
        self.pace = Pace(self.env, 1 << 20, lambda: self.counters)
        self.answers: list[list[Any]] = []
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

    def send(self, frame: bytes) -> bool:
        """As the link to whoever offers."""
        (answer,) = Decoder(1 << 20).feed(frame)
        self.answers.append(answer.header)
        return True

    def put(self, _item: Any) -> None:
        """Restored."""

    async def hear(
        self, sender: int, term: int, step: Step, number: int, *extra: Any, blob: bytes = b""
    ) -> None:
        frame = SimpleNamespace(header=[GROUP, term, 40, step, number, *extra], blob=blob)
        on_frame(cast(GroupActor, self), NodeId(sender), cast(Frame, frame))
        await wait_all_tasks_blocked()


async def test_chunks_of_two_leaders_never_mix() -> None:
    """The old one died in the middle, the new one offers a snapshot at the same place: its state begins
    anew."""
    async with trio.open_nursery() as nursery:
        receiver = FakeReceiver(nursery)
        await receiver.hear(1, 3, Step.OFFER, 1, 2, [0, 1, 2], [])
        await receiver.hear(1, 3, Step.STATE, 2, blob=b"old")
        await receiver.hear(2, 4, Step.OFFER, 1, 2, [0, 1, 2], [])
        await receiver.hear(1, 3, Step.STATE, 3, blob=b"late")
        await receiver.hear(2, 4, Step.STATE, 2, blob=b"new")
        await receiver.hear(2, 4, Step.END, 3)
        assert [install.state for install in receiver.installs] == [[b"new"]]
        assert receiver.installs_in == {}
        assert receiver.install_kept is None


async def test_what_broke_off_is_gone_on_with(autojump_clock: MockClock) -> None:
    """Whoever offers the same snapshot next hears how far its live entries are here; the state that came
    with them is forgotten."""
    async with trio.open_nursery() as nursery:
        receiver = FakeReceiver(nursery)
        receiver.peers = {NodeId(1): receiver, NodeId(2): receiver}
        await receiver.hear(1, 3, Step.OFFER, 1, 2, [0, 1, 2], [])
        await receiver.hear(1, 3, Step.ENTRIES, 2, blob=b"one")
        await receiver.hear(1, 3, Step.ENTRIES, 3, blob=b"two")
        await receiver.hear(1, 3, Step.STATE, 4, blob=b"old")
        await receiver.hear(1, 3, Step.STATE, 6, blob=b"one was lost before it")
        assert receiver.answers[0] == [GROUP, 3, 40, Step.ACK, 1, 0]
        assert receiver.answers[-1] == [GROUP, 3, 40, Step.NO, 6]
        await trio.sleep(KEPT_S / 2)
        await receiver.hear(2, 4, Step.OFFER, 1, 2, [0, 1, 2], [])
        assert receiver.answers[-1] == [GROUP, 4, 40, Step.ACK, 1, 2]
        await trio.sleep(PATIENCE_S * 0.9)
        await receiver.hear(2, 4, Step.ENTRIES, 2, blob=b"three")
        await trio.sleep(PATIENCE_S * 0.9)  # the first one's time is over: this is the second one's
        await receiver.hear(2, 4, Step.STATE, 3, blob=b"new")
        await receiver.hear(2, 4, Step.END, 4)
        (install,) = receiver.installs
        assert (install.entries, install.state) == ([b"one", b"two", b"three"], [b"new"])


async def test_what_broke_off_is_not_kept_for_ever(autojump_clock: MockClock) -> None:
    """It takes space on the disk."""
    async with trio.open_nursery() as nursery:
        receiver = FakeReceiver(nursery)
        await receiver.hear(1, 3, Step.OFFER, 1, 2, [0, 1, 2], [])
        (install,) = receiver.installs
        await trio.sleep(PATIENCE_S + KEPT_S / 2)
        assert (install.open, receiver.installs_in) == (True, {})
        assert receiver.install_kept is not None
        await trio.sleep(KEPT_S)
        assert (install.open, receiver.install_kept) == (False, None)


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
