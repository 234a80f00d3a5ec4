"""The sender's side of a snapshot on its way (``haqactor.nodes.installs`` has the frames and the other side).

One rule: live traffic goes first: pieces are small, go at the node's pace (``haqactor.nodes.pacing``), behind
everything else that waits for the same peer, and only a few installs at once. The snapshot is pinned while it
is sent, one window ahead of the answers."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import trio

from haqactor.errors import Overloaded
from haqactor.frame import encode
from haqactor.ids import Index, NodeId, Term
from haqactor.journal.index import Ranges
from haqactor.nodes.installs import PATIENCE_S, WINDOW, Step, in_turn
from haqactor.nodes.peerwire import PeerOp
from haqactor.raft.messages import InstallSnapshot
from haqactor.raft.ready import SnapshotMeta

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_WINDOW_BYTES: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024
"""Of live entries in one piece; a larger entry is a piece of its own."""


class Sending:
    """The sender's side of one install of the snapshot at ``index``, offered in ``term``; ``acked`` moves
    with the follower's answers. ``upto``: the last live entry that the follower had before."""

    def __init__(self, term: Term, index: Index) -> None:
        self.term = term
        self.index = index
        self.number = 0
        self.acked = 0
        self.upto = Index(0)
        self.refused = False
        self.moved = trio.Event()
        self._flight: deque[int] = deque()
        self._flight_bytes = 0

    def sent(self, size: int) -> None:
        """One more frame is on its way."""
        self.number += 1
        self._flight.append(size)
        self._flight_bytes += size

    def answer(self, term: int, index: int, number: int, refused: bool, upto: int = 0) -> None:
        """The follower answered. An answer to an earlier install, or to what was never sent, says nothing
        about this one."""
        if (term, index) != (self.term, self.index) or number > self.number:
            return
        while self.acked < number:
            self.acked += 1
            self._flight_bytes -= self._flight.popleft()
        self.upto = max(self.upto, Index(upto))
        self.refused = self.refused or refused
        self.moved.set()

    def cut(self) -> None:
        """The follower is at the end of another connection now, perhaps in another life: what was sent is
        lost, and no answer to it will come."""
        self.refused = True
        self.moved.set()

    def has_room(self) -> bool:
        """May another frame follow?"""
        return len(self._flight) < WINDOW and self._flight_bytes < _WINDOW_BYTES

    def is_level(self) -> bool:
        """Is all answered that was sent?"""
        return not self._flight

    async def until(self, enough: Callable[[], bool]) -> bool:
        """Wait for answers; False where the follower refuses, or says nothing for too long."""
        while not enough() and not self.refused:
            self.moved = trio.Event()
            with trio.move_on_after(PATIENCE_S) as patience:
                await self.moved.wait()
            if patience.cancelled_caught:
                return False
        return not self.refused


async def send(actor: "GroupActor", peer: NodeId, offer: InstallSnapshot) -> None:
    """Stream the newest snapshot of this group to ``peer``, when it is its turn; then tell the core how it
    went."""
    if peer in actor.installs_out:
        return  # the core hears of the end of that one
    ok = False
    sending = actor.installs_out[peer] = Sending(offer.term, offer.index)
    try:
        async with actor.context.pace.installs:
            if actor.core.is_leader and actor.core.term == offer.term and not sending.refused:
                ok = await _send(actor, peer, offer, sending)
    finally:
        del actor.installs_out[peer]
    actor.mailbox.put(lambda _now: actor.core.install_sent(peer, ok))


async def _send(actor: "GroupActor", peer: NodeId, offer: InstallSnapshot, sending: Sending) -> bool:
    context = actor.context
    reader = context.journal.snapshot(actor.group)
    if reader is None:
        return False
    ok = False
    sending.index = reader.meta.index
    try:
        reader.pin()
        ok = await _stream(actor, peer, offer, reader, sending)
    except Overloaded as error:
        context.log.info("a snapshot waits", group=actor.group, peer=peer, reason=str(error))
    finally:
        reader.unpin()
    context.env.probe.mark("nodes.install_sent" if ok else "nodes.install_failed")
    context.count("installs_sent")
    return ok


async def _stream(
    actor: "GroupActor", peer: NodeId, offer: InstallSnapshot, reader: Any, sending: Sending
) -> bool:
    context = actor.context
    meta: SnapshotMeta = reader.meta
    base = [actor.group, offer.term, meta.index]

    async def put(step: Step, extra: list[Any], blob: bytes = b"") -> bool:
        await in_turn(context.pace, len(blob), alive)
        return push(step, extra, blob) and await sending.until(sending.has_room)

    def push(step: Step, extra: list[Any], blob: bytes = b"") -> bool:
        link = context.peers.get(peer)
        frame = encode(PeerOp.INSTALL, [*base, step, sending.number + 1, *extra], blob)
        if sending.refused or link is None or not link.send_later(frame):
            return False
        sending.sent(len(frame))
        return True

    def alive() -> None:
        if sending.number and sending.is_level():  # else the follower has something to do
            context.count("installs_waited")
            push(Step.ENTRIES, [])

    offered = await put(Step.OFFER, [meta.term, list(meta.voters), list(meta.learners)])
    if not offered or not await sending.until(sending.is_level):
        return False
    if sending.upto:
        context.env.probe.mark("nodes.install_resumed")
        context.count("installs_resumed")
    forgetful = context.env.probe.bug("nodes.install_without_entries")
    live: Ranges = () if forgetful else reader.live
    pieces = _Pieces(actor, live, sending.upto)
    while blob := await pieces.next():
        if not await put(Step.ENTRIES, [], blob):
            return False
        actor.applier.fed_bytes += len(blob)
        context.count("install_bytes_sent", len(blob))
    for number in range(reader.chunk_count):
        if not await put(Step.STATE, [], await reader.chunk(number)):
            return False
    count = sum(last - first + 1 for first, last in live)
    return await put(Step.END, [count]) and await sending.until(sending.is_level)


class _Pieces:
    """The live entries behind ``upto``, joined: of a queue that is half consumed there may be thousands of
    short runs."""

    def __init__(self, actor: "GroupActor", live: Ranges, upto: Index) -> None:
        self._actor = actor
        self._runs = iter(live)
        self._first = Index(upto + 1)
        self._last = upto

    async def next(self) -> bytes:
        """The frames of the next piece; none: there are no more."""
        actor = self._actor
        frames: list[bytes] = []
        room = _READ_BYTES
        while room > 0:
            if self._first > self._last:
                run = next(self._runs, None)
                if run is None:
                    break
                self._first, self._last = Index(max(run[0], self._first)), run[1]
                continue
            entries = await actor.context.journal.read(actor.group, self._first, self._last, room)
            frames += [entry.frame for entry in entries]
            room -= sum(entry.size for entry in entries)
            self._first = Index((entries[-1].index if entries else self._last) + 1)
        return b"".join(frames)
