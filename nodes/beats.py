"""The node's heartbeats: one frame a peer speaks for every group led here.

One rule: beats are sent and heard outside the groups' turns, yet only through the cores' own answers, so a
row never speaks for a term that its group has left; a group that is stuck is left out. Beats also carry wall
clocks (for logged time) and state digests."""

import math
from typing import Any

import trio

from haqactor.codec import are_numbers
from haqactor.errors import ProtocolError
from haqactor.frame import Frame, encode
from haqactor.ids import GroupId, Index, NodeId
from haqactor.nodes.context import Context
from haqactor.nodes.peerwire import PeerOp
from haqactor.nodes.slowness import SlowDisk
from haqactor.nodes.stalled import Stalled
from haqactor.raft.heartbeat import AnswerRow, Beat, BeatAnswer, BeatRow, Heartbeats, Turns


class Beats:
    """Sends beats every interval, and at once where a group waits for a round; one such extra beat is under
    way at a time. A regular one that would follow another within half an interval is left out: peers hear one
    at least every one and a half."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._heartbeats = Heartbeats(context.boot)
        self._turns = Turns()
        self._stalled = Stalled(context, self._turns)
        self._slow_disk = SlowDisk(context)
        self._wanted = trio.Event()
        self._answered = trio.Event()
        self._digests: dict[NodeId, dict[GroupId, Index]] = {}
        self._sent_at = -math.inf
        self.sent = 0

    def now(self) -> None:
        """A round waits: beat as soon as the last extra beat was answered."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        interval = self._context.limits.heartbeat
        regular = trio.current_time() + interval
        while True:
            extra = await self._wait(regular)
            self._answered = trio.Event()
            self._wanted = trio.Event()
            now = trio.current_time()
            if now >= regular:  # also where extra beats never pause
                regular = now + interval
                self._look()
            if extra or now - self._sent_at > interval / 2:
                self._sent_at = now
                if self._context.env.probe.buggify("nodes.extra_beat"):
                    self._send()
                self._send()
            if extra:
                with trio.CancelScope(deadline=regular):
                    await self._answered.wait()

    async def _wait(self, regular: float) -> bool:
        with trio.CancelScope(deadline=regular):
            await self._wanted.wait()
            return True
        await trio.lowlevel.checkpoint()
        return False

    def _look(self) -> None:
        """Once an interval: does everything go on?"""
        self._slow_disk.look()
        for group, actor in self._context.groups.items():
            self._turns.moving(group, actor.turns, actor.busy or len(actor.mailbox) > 0)
            self._stalled.look(group)

    def _send(self) -> None:
        context = self._context
        rows: list[BeatRow] = []
        for group, actor in context.groups.items():
            if actor.leading and self._moves(group):
                row = actor.core.row()
                if row is not None:
                    rows.append(row)
        wall = context.env.clock.wall_ns()
        context.departures.begin()
        for peer, link in context.peers.items():
            if link.connected:
                beat = self._heartbeats.beat(peer, rows)
                link.send(encode(PeerOp.BEAT, [wall, beat.to_tuple(), self._new_digests(peer)]))
                self.sent += 1
        context.departures.end()

    def _moves(self, group: GroupId) -> bool:
        """Does its actor take turns, or have none to take?"""
        return not self._turns.stuck(group) or self._context.env.probe.bug("nodes.stalled_actor_beats_on")

    def _new_digests(self, peer: NodeId) -> list[list[Any]]:
        told = self._digests.setdefault(peer, {})
        rows: list[list[Any]] = []
        for group, actor in self._context.groups.items():
            digests = actor.applier.digests
            if actor.leading and digests:
                index = next(reversed(digests))
                if told.get(group) != index:
                    told[group] = index
                    rows.append([group, index, digests[index]])
        return rows

    # -- from peers

    def on_beat(self, peer: NodeId, frame: Frame) -> None:
        """A peer's beat: hand its rows to the cores and answer in the same step. Raises ProtocolError."""
        wall, beat, digests = parse_beat(frame)
        context, now = self._context, self._context.now()
        context.walls[peer] = (wall, now)
        rows = self._heartbeats.on_beat(peer, beat)
        if rows is None:
            return
        answers: list[AnswerRow] = []
        for row in rows:
            actor = context.groups.get(row.group)
            if actor is None or not self._moves(row.group):
                continue
            core = actor.core
            core.beat(peer, row, now)
            answers.append(core.answer_row())
            if core.has_ready():
                actor.mailbox.wake()
        answer = self._heartbeats.answer(peer, answers)
        link = context.peers.get(peer)
        if link is not None:
            context.departures.begin()
            link.send(encode(PeerOp.BEAT_ANSWER, [context.env.clock.wall_ns(), answer.to_tuple()]))
            context.departures.end()
        for group, index, digest in digests:
            actor = context.groups.get(GroupId(group))
            if actor is not None:
                actor.applier.compare_digest(peer, index, digest)

    def on_answer(self, peer: NodeId, frame: Frame) -> None:
        """A peer's answer. Raises ProtocolError."""
        wall, answer = parse_answer(frame)
        context, now = self._context, self._context.now()
        context.walls[peer] = (wall, now)
        for row in self._heartbeats.on_answer(peer, answer):
            actor = context.groups.get(row.group)
            if actor is None:
                continue
            core = actor.core
            covered = core.covered
            core.beat_answer(peer, row, now)
            if actor.awaits_clocks or core.covered != covered or core.has_ready():
                actor.mailbox.wake()
        self._answered.set()


def parse_beat(frame: Frame) -> tuple[int, Beat, list[tuple[int, int, bytes]]]:
    """The sender's wall clock (ns), its beat, and digests (group, index, digest). Raises ProtocolError."""
    wall, fields, digests = _parts(frame, 3)
    return wall, _checked(Beat.from_tuple, fields), _checked(_digests, digests)


def parse_answer(frame: Frame) -> tuple[int, BeatAnswer]:
    """The sender's wall clock (ns) and its answer. Raises ProtocolError."""
    wall, fields = _parts(frame, 2)
    return wall, _checked(BeatAnswer.from_tuple, fields)


def _digests(rows: Any) -> list[tuple[int, int, bytes]]:
    found = [(group, index, digest) for group, index, digest in rows]
    if not all(are_numbers(row[:2]) and type(row[2]) is bytes for row in found):
        raise ValueError("a digest's row")
    return found


def _parts(frame: Frame, count: int) -> list[Any]:
    header = frame.header
    if not isinstance(header, list) or len(header) != count or not are_numbers(header[:1]):
        raise ProtocolError("a beat's header is wrong")
    return header


def _checked(make: Any, fields: Any) -> Any:
    try:
        return make(fields)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"a beat is malformed: {error}") from error
