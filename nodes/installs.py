"""A snapshot on its way to a follower that is behind everything the leader's log still has.

One rule: the follower's state changes once, at the durable marker behind the last chunk; until then it is
what it was. Live entries go first, then the state. The sender pins the snapshot while it sends, one window
ahead, and both ends go at the node's pace (``haqactor.nodes.pacing``). However long a piece waits there for
its turn, the other side hears that this one is there: the sender says so by an ENTRIES frame without any, the
follower by an ACK of what it has acknowledged before.

An install that broke off is gone on with where the same snapshot is offered again, by whichever leader: what
the follower has of its live entries is not sent again, for every leader's are the same. The state always is.

Frame header: ``[group, term, index, step, number, ...]``; steps: OFFER(index_term, voters, learners),
ENTRIES, STATE, END(how many live entries there are: what came short of that is not taken), ACK(the last live
entry that is there already: only where it answers an OFFER), NO."""

from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import TYPE_CHECKING, Any, Final

import trio

from haqactor.codec import are_numbers
from haqactor.errors import Conflict, DataDamaged, InvalidArgument, Overloaded, ProtocolError
from haqactor.frame import Frame, encode
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.pacing import Pace
from haqactor.nodes.peerwire import PeerOp
from haqactor.raft.messages import InstallSnapshot
from haqactor.raft.ready import SnapshotMeta

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

WINDOW: Final = 8
"""Frames that are sent ahead of their answers."""
PATIENCE_S: Final = 10.0
"""How long either side waits for the other's next word."""
_ALIVE_S: Final = PATIENCE_S / 4
"""How often either side says that it is there while a piece waits for its turn."""
KEPT_S: Final = 30.0
"""How long a follower keeps the live entries of an install that broke off, for one that goes on with it."""


class Step(IntEnum):
    """The parts of an install."""

    OFFER = 0
    ENTRIES = 1
    STATE = 2
    END = 3
    ACK = 4
    NO = 5


async def in_turn(pace: Pace, size: int, alive: Callable[[], None]) -> None:
    """Return when a piece of ``size`` bytes may go, at once where it has none; ``alive`` is called again and
    again meanwhile. In a node that feeds many a piece may wait for longer than the other side has
    patience."""
    if not size:
        return

    async def say() -> None:
        while True:
            await trio.sleep(_ALIVE_S)
            alive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(say)
        await pace.take(size)
        nursery.cancel_scope.cancel()


class Receiving:
    """The follower's side: frames are taken in order by one task."""

    def __init__(self, actor: "GroupActor", sender: NodeId) -> None:
        self.actor = actor
        self.sender = sender
        self.queue_in, self.queue_out = trio.open_memory_channel[tuple[list[Any], bytes]](WINDOW * 2)
        self._install: Any = None
        self._meta: SnapshotMeta | None = None
        self._chunks: list[bytes] = []
        self._number = 0
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._taken_over = trio.Event()

    async def run(self) -> None:
        """Until the install is complete or broken off."""
        try:
            with self._scope:
                async with self.queue_out:
                    with trio.move_on_after(PATIENCE_S) as patience:
                        async for header, blob in self.queue_out:
                            patience.deadline = inf  # what takes long now is this side's own
                            if await self._step(header, blob):
                                break
                            patience.deadline = trio.current_time() + PATIENCE_S
        except BaseException:
            await self._abandon()
            raise
        finally:
            self.actor.installs_in.pop(self.sender, None)
            self._ended.set()
        if self._install is not None and self._install.open:
            await self._keep()

    async def _keep(self) -> None:
        """The next offer of the same snapshot goes on with it, if one comes soon."""
        actor = self.actor
        actor.install_kept = self
        self._chunks.clear()  # the state is sent anew
        try:
            with trio.move_on_after(KEPT_S):
                await self._taken_over.wait()
        finally:
            if actor.install_kept is self:
                actor.install_kept = None
                await self._abandon()

    def let_go(self) -> None:
        """What is kept of it is another one's now."""
        self.actor.install_kept = None
        self._taken_over.set()

    async def _abandon(self) -> None:
        if self._install is not None:
            with trio.CancelScope(shield=True):
                await self._install.abandon()

    async def end(self) -> None:
        """Break it off; returns when nothing comes to it any more."""
        self._scope.cancel()
        await self._ended.wait()

    async def _step(self, header: list[Any], blob: bytes) -> bool:
        actor = self.actor
        step, number = header[3], header[4]
        self._number += 1
        ok, more = False, list[int]()
        if number == self._number:  # else a frame was lost on the way: what follows has a hole
            try:
                await in_turn(
                    actor.context.pace, len(blob), lambda: self._answer(header, Step.ACK, number - 1)
                )
                ok = await self._take(header, blob)
            except (Conflict, DataDamaged, InvalidArgument, Overloaded, ProtocolError) as error:
                actor.context.log.warning(
                    "a snapshot was not taken", group=actor.group, peer=self.sender, reason=str(error)
                )
        if ok and step == Step.OFFER:
            more.append(self._install.last_entry)
        self._answer(header, Step.ACK if ok else Step.NO, number, *more)
        return not ok or step == Step.END

    def _answer(self, header: list[Any], answer: Step, number: int, *more: int) -> None:
        link = self.actor.context.peers.get(self.sender)
        if link is not None:
            link.send(encode(PeerOp.INSTALL, [*header[:3], answer, number, *more]))

    async def _take(self, header: list[Any], blob: bytes) -> bool:
        actor = self.actor
        step = header[3]
        if step == Step.OFFER:
            check_offer(header)
            offer = InstallSnapshot(Term(header[1]), Index(header[2]), Term(header[5]), tuple(header[6]))
            actor.core.step(self.sender, offer, actor.context.now())
            if actor.core.has_ready():  # what is not ahead of this log is acknowledged, or it came for ever
                actor.mailbox.wake()
            if not actor.core.accepts_snapshot(offer):
                return False
            for other in [each for each in actor.installs_in.values() if each is not self]:
                actor.context.env.probe.mark("nodes.install_overtaken")
                await other.end()  # two leaders may offer the same place: their chunks must not mix
            self._meta = SnapshotMeta(Index(header[2]), Term(header[5]), tuple(header[6]), tuple(header[7]))
            self._install = await actor.context.journal.begin_install(actor.group, self._meta)
            if actor.install_kept is not None:
                actor.install_kept.let_go()
            await self._install.begin_state()
            return True
        if self._install is None or self._meta is None:
            return False
        if step == Step.ENTRIES:
            await self._install.add_entries((blob,))
        elif step == Step.STATE:
            self._chunks.append(blob)
            await self._install.add_chunk(blob)
        elif step == Step.END:
            await self._check_complete(header)
            actor.installing += 1
            try:
                await self._install.finish()
            except BaseException:
                actor.installing -= 1
                actor.mailbox.put(actor.applier.go_on)
                raise
            meta, chunks = self._meta, self._chunks
            actor.context.env.probe.mark("nodes.install_received")
            actor.context.count("installs_received")
            actor.mailbox.put(lambda now: actor.restored(meta, chunks, now))
        return True

    async def _check_complete(self, header: list[Any]) -> None:
        """Has it every live entry? Older releases do not say how many there are. Raises ProtocolError; what
        is here is not gone on with then, for nobody would send what it lacks."""
        if len(header) > 5 and [self._install.entry_count] != header[5:6]:
            have = self._install.entry_count
            await self._abandon()
            raise ProtocolError(f"{have} live entries came, and the snapshot refers to {header[5]!r:.20}")


def check_offer(header: list[Any]) -> None:
    """Is the rest of an OFFER's header in order? Raises ProtocolError."""
    right = len(header) == 8 and are_numbers(header[5:6])
    if not right or not all(isinstance(row, list) and are_numbers(row) for row in header[6:]):
        raise ProtocolError("a snapshot's offer is malformed")


def group_of(frame: Frame) -> GroupId:
    """The group of an INSTALL frame. Raises ProtocolError."""
    header = frame.header
    if not isinstance(header, list) or len(header) < 5 or not are_numbers(header[:5]):
        raise ProtocolError("an Install frame's header is wrong")
    return GroupId(header[0])


def on_frame(actor: "GroupActor", sender: NodeId, frame: Frame) -> None:
    """An INSTALL frame arrived, its header checked by ``group_of``."""
    header = frame.header
    if header[3] in (Step.ACK, Step.NO):
        sending = actor.installs_out.get(sender)
        if sending is not None:
            upto = header[5] if len(header) > 5 and are_numbers(header[5:6]) else 0
            sending.answer(header[1], header[2], header[4], header[3] == Step.NO, upto)
        return
    receiving = actor.installs_in.get(sender)
    if header[3] == Step.OFFER and receiving is None and actor.applier.nursery is not None:
        receiving = actor.installs_in[sender] = Receiving(actor, sender)
        actor.applier.nursery.start_soon(receiving.run)
    if receiving is not None:
        try:
            receiving.queue_in.send_nowait((header, frame.blob))
        except (trio.WouldBlock, trio.BrokenResourceError):
            actor.context.count("install_frames_dropped")
