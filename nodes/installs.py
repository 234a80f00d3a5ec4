"""A snapshot on its way to a follower that is behind everything the leader's log still has.

One rule: the follower's state changes once, at the durable marker behind the last chunk; until then it is
what it was. Live entries go first, then the state. The sender pins the snapshot while it sends, one window
ahead.

Frame header: ``[group, term, index, step, number, ...]``; steps: OFFER(index_term, voters, learners),
ENTRIES, STATE, END, ACK, NO."""

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import trio

from haqactor.codec import are_numbers
from haqactor.errors import Conflict, DataDamaged, InvalidArgument, Overloaded, ProtocolError
from haqactor.frame import Frame, encode
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.peerwire import PeerOp
from haqactor.raft.messages import InstallSnapshot
from haqactor.raft.ready import SnapshotMeta

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_WINDOW: Final = 8
_PATIENCE_S: Final = 10.0
_READ_BYTES: Final = 512 * 1024


class Step(IntEnum):
    """The parts of an install."""

    OFFER = 0
    ENTRIES = 1
    STATE = 2
    END = 3
    ACK = 4
    NO = 5


class Sending:
    """The sender's side of one install of the snapshot at ``index``, offered in ``term``; ``acked`` moves
    with the follower's answers."""

    def __init__(self, term: Term, index: Index) -> None:
        self.term = term
        self.index = index
        self.number = 0
        self.acked = 0
        self.refused = False
        self.moved = trio.Event()

    def answer(self, term: int, index: int, number: int, refused: bool) -> None:
        """The follower answered. An answer to an earlier install, or to what was never sent, says nothing
        about this one."""
        if (term, index) != (self.term, self.index) or number > self.number:
            return
        self.acked = max(self.acked, number)
        self.refused = self.refused or refused
        self.moved.set()

    def cut(self) -> None:
        """The follower is at the end of another connection now, perhaps in another life: what was sent is
        lost, and no answer to it will come."""
        self.refused = True
        self.moved.set()


async def send(actor: "GroupActor", peer: NodeId, offer: InstallSnapshot) -> None:
    """Stream the newest snapshot of this group to ``peer``, then tell the core how it went."""
    reader = actor.context.journal.snapshot(actor.group)
    ok = False
    if reader is not None and peer not in actor.installs_out:
        sending = actor.installs_out[peer] = Sending(offer.term, reader.meta.index)
        try:
            reader.pin()
            ok = await _stream(actor, peer, offer, reader, sending)
        except Overloaded as error:
            actor.context.log.info("a snapshot waits", group=actor.group, peer=peer, reason=str(error))
        finally:
            reader.unpin()
            del actor.installs_out[peer]
        actor.context.env.probe.mark("nodes.install_sent" if ok else "nodes.install_failed")
        actor.context.count("installs_sent")
    actor.mailbox.put(lambda _now: actor.core.install_sent(peer, ok))


async def _stream(
    actor: "GroupActor", peer: NodeId, offer: InstallSnapshot, reader: Any, sending: Sending
) -> bool:
    meta: SnapshotMeta = reader.meta
    base = [actor.group, offer.term, meta.index]

    async def put(step: Step, extra: list[Any], blob: bytes = b"") -> bool:
        sending.number += 1
        link = actor.context.peers.get(peer)
        if link is None or not link.send(encode(PeerOp.INSTALL, [*base, step, sending.number, *extra], blob)):
            return False
        return await _room(sending)

    if not await put(Step.OFFER, [meta.term, list(meta.voters), list(meta.learners)]):
        return False
    forgetful = actor.context.env.probe.bug("nodes.install_without_entries")
    for first, last in () if forgetful else reader.live:
        at = first
        while at <= last:
            entries = await actor.context.journal.read(actor.group, Index(at), Index(last), _READ_BYTES)
            if not entries:
                break
            if not await put(Step.ENTRIES, [], b"".join(entry.frame for entry in entries)):
                return False
            at = entries[-1].index + 1
    for number in range(reader.chunk_count):
        if not await put(Step.STATE, [], await reader.chunk(number)):
            return False
    return await put(Step.END, []) and await _all(sending)


async def _room(sending: Sending) -> bool:
    return await _until(sending, _WINDOW)


async def _all(sending: Sending) -> bool:
    return await _until(sending, 1)


async def _until(sending: Sending, window: int) -> bool:
    with trio.move_on_after(_PATIENCE_S):
        while sending.number - sending.acked >= window and not sending.refused:
            sending.moved = trio.Event()
            await sending.moved.wait()
        return not sending.refused
    return False


class Receiving:
    """The follower's side: frames are taken in order by one task."""

    def __init__(self, actor: "GroupActor", sender: NodeId) -> None:
        self.actor = actor
        self.sender = sender
        self.queue_in, self.queue_out = trio.open_memory_channel[tuple[list[Any], bytes]](_WINDOW * 2)
        self._install: Any = None
        self._meta: SnapshotMeta | None = None
        self._chunks: list[bytes] = []
        self._number = 0
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    async def run(self) -> None:
        """Until the install is complete or broken off."""
        try:
            with self._scope:
                async with self.queue_out:
                    with trio.move_on_after(_PATIENCE_S) as patience:
                        async for header, blob in self.queue_out:
                            patience.deadline = trio.current_time() + _PATIENCE_S
                            if await self._step(header, blob):
                                break
        finally:
            self.actor.installs_in.pop(self.sender, None)
            if self._install is not None:  # the next offer begins anew
                with trio.CancelScope(shield=True):
                    await self._install.abandon()
            self._ended.set()

    async def end(self) -> None:
        """Break it off; returns when nothing of it is left."""
        self._scope.cancel()
        await self._ended.wait()

    async def _step(self, header: list[Any], blob: bytes) -> bool:
        actor = self.actor
        step, number = header[3], header[4]
        self._number += 1
        ok = False
        if number == self._number:  # else a frame was lost on the way: what follows has a hole
            try:
                ok = await self._take(header, blob)
            except (Conflict, DataDamaged, InvalidArgument, Overloaded, ProtocolError) as error:
                actor.context.log.warning(
                    "a snapshot was not taken", group=actor.group, peer=self.sender, reason=str(error)
                )
        link = actor.context.peers.get(self.sender)
        if link is not None:
            answer = Step.ACK if ok else Step.NO
            link.send(encode(PeerOp.INSTALL, [header[0], header[1], header[2], answer, number]))
        return not ok or step == Step.END

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
            return True
        if self._install is None or self._meta is None:
            return False
        if step == Step.ENTRIES:
            await self._install.add_entries((blob,))
        elif step == Step.STATE:
            self._chunks.append(blob)
            await self._install.add_chunk(blob)
        elif step == Step.END:
            actor.installing = True
            try:
                await self._install.finish()
            except BaseException:
                actor.installing = False
                actor.mailbox.put(actor.applier.go_on)
                raise
            meta, chunks = self._meta, self._chunks
            actor.context.env.probe.mark("nodes.install_received")
            actor.context.count("installs_received")
            actor.mailbox.put(lambda now: actor.restored(meta, chunks, now))
        return True


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
            sending.answer(header[1], header[2], header[4], header[3] == Step.NO)
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
