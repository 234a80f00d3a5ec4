"""Heartbeats between nodes: rows reach the cores, answers come back, stuck groups are left out."""

from itertools import pairwise
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from haqactor.errors import InvariantViolation, ProtocolError
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.beats import Beats, parse_beat
from haqactor.nodes.peerwire import PeerOp
from haqactor.raft.heartbeat import STUCK_BEATS, AnswerRow, BeatRow
from tests.builders.memory_environment import memory_environment
from tests.builders.node_context import node_context

GROUP = GroupId(1)


class FakeCore:
    """A group's core as beats use it."""

    def __init__(self, *, leads: bool) -> None:
        self.leads = leads
        self.covered = 0
        self.round = 0
        self.heard: list[BeatRow] = []
        self.answers: list[tuple[int, AnswerRow]] = []
        self.ready = False

    def row(self) -> BeatRow | None:
        return BeatRow(GROUP, Term(3), Index(9), self.round) if self.leads else None

    def beat(self, sender: NodeId, row: BeatRow, now_ns: int) -> None:
        self.heard.append(row)

    def answer_row(self) -> AnswerRow:
        return AnswerRow(GROUP, Term(3), self.heard[-1].context, False)

    def beat_answer(self, sender: NodeId, row: AnswerRow, now_ns: int) -> None:
        self.answers.append((sender, row))
        self.covered = max(self.covered, row.context)

    def has_ready(self) -> bool:
        return self.ready

    def waits_for_disk(self, now_ns: int) -> bool:
        return False


class FakeApplier:
    """Digests, compared as the true one does."""

    def __init__(self) -> None:
        self.digests: dict[Index, bytes] = {}

    def compare_digest(self, peer: NodeId, index: int, digest: bytes) -> None:
        if self.digests.get(Index(index), digest) != digest:
            raise InvariantViolation(f"differs from node {peer}'s")


class FakeActor:
    """A group."""

    def __init__(self, *, leads: bool) -> None:
        self.leading = leads
        self.core = FakeCore(leads=leads)
        self.applier = FakeApplier()
        self.turns = 0
        self.busy = False
        self.wakes = 0
        self.waiting = 0
        self.awaits_clocks = 0

    @property
    def mailbox(self) -> "FakeActor":
        return self

    def __len__(self) -> int:
        return self.waiting

    def wake(self) -> None:
        self.wakes += 1


class Link:
    """Carries frames to the other node's beats at once."""

    def __init__(self, sender: int) -> None:
        self.sender = NodeId(sender)
        self.connected = True
        self.target: Beats | None = None
        self.times: list[float] = []
        self.lost = 0
        self.holding = False
        self.frames: list[Frame] = []

    def send(self, data: bytes) -> bool:
        (frame,) = Decoder(1 << 20).feed(data)
        if frame.kind == PeerOp.BEAT:
            self.times.append(round(trio.current_time(), 6))
        self.frames.append(frame)
        if not self.holding:
            self.flush()
        return True

    def flush(self) -> None:
        frames, self.frames = self.frames, []
        for frame in frames:
            assert self.target is not None
            if frame.kind == PeerOp.BEAT:
                self.target.on_beat(self.sender, frame)
            else:
                self.target.on_answer(self.sender, frame)


class Two:
    """Node 0 leads the group, node 1 follows."""

    def __init__(self) -> None:
        self.contexts = [
            node_context(n, size=2, env=memory_environment(skew_ns=n * 10**9))[0] for n in (0, 1)
        ]
        self.leader, self.follower = FakeActor(leads=True), FakeActor(leads=False)
        self.beats = [Beats(context) for context in self.contexts]
        self.links = [Link(0), Link(1)]
        for number, actor in ((0, self.leader), (1, self.follower)):
            self.contexts[number].groups = cast(Any, {GROUP: actor})
            self.contexts[number].peers = cast(Any, {NodeId(1 - number): self.links[number]})
            self.links[number].target = self.beats[1 - number]

    async def run(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.beats[0].run()


async def test_rows_and_answers(autojump_clock: MockClock) -> None:
    """Every interval; both cores hear of each, by row or by hash, and wall clocks come along."""
    two = Two()
    await two.run(1.05)
    assert two.links[0].times == pytest.approx([k / 10 for k in range(1, 11)])
    assert two.follower.core.heard == [BeatRow(GROUP, Term(3), Index(9), 0)] * 10
    assert two.leader.core.answers == [(1, AnswerRow(GROUP, Term(3), 0, False))] * 10
    wall, at = two.contexts[0].walls[NodeId(1)]
    assert wall - at - (two.contexts[0].env.clock.wall_ns() - two.contexts[0].now()) == 10**9
    assert NodeId(0) in two.contexts[1].walls


async def test_a_round_is_carried_at_once_and_wakes_its_group(autojump_clock: MockClock) -> None:
    """One extra beat at a time; the next when that was answered."""
    two = Two()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(two.beats[0].run)
        await trio.sleep(0.01)
        two.leader.core.round = 1
        two.beats[0].now()
        await trio.sleep(0.001)
        assert two.leader.core.covered == 1
        assert two.leader.wakes == 1
        two.links[0].holding = True
        two.leader.core.round = 2
        for _ in range(5):
            two.beats[0].now()
            await trio.sleep(0.001)
        assert len(two.links[0].times) == 2
        two.links[0].flush()
        await trio.sleep(0.001)
        assert len(two.links[0].times) == 3
        assert two.leader.core.covered == 2
        nursery.cancel_scope.cancel()


async def test_extra_beats_do_not_put_off_the_regular_ones(autojump_clock: MockClock) -> None:
    """Not when they are never answered, and the search for stuck groups goes on when they never pause."""
    two = Two()
    two.links[0].holding = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(two.beats[0].run)
        await trio.sleep(0.01)
        two.beats[0].now()
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    times = two.links[0].times
    assert max(after - before for before, after in pairwise(times)) <= 0.150001
    two = Two()
    two.leader.waiting = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(two.beats[0].run)
        for _ in range(1000):
            two.beats[0].now()
            await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    heard = len(two.follower.core.heard)
    assert 100 < heard < len(two.links[0].times)


async def test_a_regular_beat_soon_after_another_is_left_out(autojump_clock: MockClock) -> None:
    """Every beat speaks for all groups; peers hear one within one and a half intervals all the same."""
    two = Two()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(two.beats[0].run)
        for pause in (0.08, 0.1, 0.05, 0.17):
            await trio.sleep(pause)
            two.beats[0].now()
        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    extra, regular = [0.08, 0.18, 0.23, 0.4], [0.3]
    assert two.links[0].times == pytest.approx(sorted(extra + regular))


async def test_a_stuck_group_is_left_out(autojump_clock: MockClock) -> None:
    """Work waits and no turn ends: its followers shall look for another leader."""
    two = Two()
    two.leader.waiting = 1
    await two.run(2.05)
    assert len(two.follower.core.heard) == STUCK_BEATS
    two.leader.turns += 1
    await two.run(0.25)
    assert len(two.follower.core.heard) > STUCK_BEATS


async def test_so_is_one_that_hangs_in_a_turn_with_nothing_else_to_do(autojump_clock: MockClock) -> None:
    two = Two()
    two.leader.busy = True
    await two.run(1.05)
    assert len(two.follower.core.heard) == STUCK_BEATS
    assert two.contexts[0].gauges["stalled_actors"] == 1


async def test_an_actor_that_does_not_go_on_ends_the_node(autojump_clock: MockClock) -> None:
    """Counted in beats: a program that was stopped meanwhile has not sent any."""
    two = Two()
    bound = two.contexts[0].limits.actor_stall
    two.leader.waiting = 1
    await two.run(bound - 1)
    two.leader.turns += 1
    await two.run(bound - 1)
    with pytest.raises(InvariantViolation, match="group 1"):
        await two.run(2)


async def test_a_group_led_elsewhere_or_not_connected_is_not_spoken_for(autojump_clock: MockClock) -> None:
    """Also when the actor has not noticed yet that its core leads no more."""
    two = Two()
    two.leader.core.leads = False
    await two.run(0.55)
    assert two.follower.core.heard == []
    two.leader.core.leads = True
    two.links[0].connected = False
    await two.run(0.55)
    assert two.follower.core.heard == []


async def test_digests_are_told_once_and_compared(autojump_clock: MockClock) -> None:
    """A difference is a broken invariant, and comes out."""
    two = Two()
    two.leader.applier.digests[Index(256)] = b"same"
    two.follower.applier.digests[Index(256)] = b"same"
    await two.run(0.35)
    two.follower.applier.digests[Index(256)] = b"else"
    await two.run(0.35)
    two.leader.applier.digests[Index(512)] = b"one"
    two.follower.applier.digests[Index(512)] = b"two"
    with pytest.raises(InvariantViolation, match="node 0"):
        await two.run(0.35)


GARBAGE: list[Any] = [
    None,
    [],
    [1, [], []],
    ["now", (1, 1, 1, (), (), b"", True, False), []],
    [1, [1, 1, 1, [[1, 2]], [], b"", True, False], []],
    [1, [1, 1, 1, 5, [], b"", True, False], []],
    [1, 7, []],
]


@pytest.mark.parametrize("header", GARBAGE)
async def test_garbage(header: Any) -> None:
    """Is a ProtocolError of the connection that brought it."""
    two = Two()
    (frame,) = Decoder(1 << 16).feed(encode(PeerOp.BEAT, header))
    with pytest.raises(ProtocolError):
        two.beats[1].on_beat(NodeId(0), frame)
    with pytest.raises(ProtocolError):
        two.beats[1].on_answer(NodeId(0), frame)


GOOD = [1, 1, 0, [[1, 3, 9, 2]], [7], bytes(16), True, False]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, "x"),
        (0, -1),
        (1, None),
        (2, 1 << 63),
        (3, [[1, 3, 9, "x"]]),
        (3, [[1, 3, 9, -1]]),
        (3, [5]),
        (3, 5),
        (4, ["x"]),
        (4, None),
        (5, 10**12),
        (5, "x"),
        (6, 1),
        (7, None),
    ],
)
def test_a_beat_with_a_field_of_another_type_is_refused(at: int, value: Any) -> None:
    """A digest that is a number was taken for that many bytes of memory; a row of text ended the node."""
    fields = [*GOOD[:at], value, *GOOD[at + 1 :]]
    with pytest.raises(ProtocolError):
        parse_beat(Frame(PeerOp.BEAT, [5, fields, []], b""))
    assert parse_beat(Frame(PeerOp.BEAT, [5, GOOD, [[1, 9, b"d"]]], b""))[2] == [(1, 9, b"d")]


@pytest.mark.parametrize("digests", [5, [5], [[1, 9]], [[1, 9, "d"]], [["x", 9, b"d"]]])
def test_digests_of_another_shape_are_refused(digests: Any) -> None:
    with pytest.raises(ProtocolError):
        parse_beat(Frame(PeerOp.BEAT, [5, GOOD, digests], b""))
