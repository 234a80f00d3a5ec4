"""Looking at messages without leasing them.

One rule: a peek is a confirmed read; its batches come from memory or disk beside the turn, like a delivery's,
a piece at a time, and only a few peeks of a node are under way at once.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from haqactor import wire
from haqactor.errors import DataDamaged, Error, Overloaded
from haqactor.machine import picking
from haqactor.machine.batches import Located
from haqactor.machine.machine import GroupMachine
from haqactor.nodes.delivery import load, read_ahead
from haqactor.nodes.sessions import Request

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_LIMIT_MAX: Final = 10_000
_BYTES_MAX: Final = 4 * 1024 * 1024
_PIECE_ROWS: Final = 512
_PIECE_BYTES: Final = 1024 * 1024
"""Of batches that are read together; a larger one is read alone."""


def start(actor: "GroupActor", machine: GroupMachine, request: Request) -> None:
    """Answer ``wire.Peek`` in a task of its own, once it is its turn. What it sees is what is there then."""
    nursery = actor.applier.nursery
    if nursery is None:
        return
    if not actor.context.peeks.ask():
        actor.context.count("peeks_refused")
        error = Overloaded("too many look at messages of this node's queues", retry_after=0.2)
        request.session.fail(request.message.rid, error)
        return
    nursery.start_soon(_answer, actor, machine, request)


async def _answer(actor: "GroupActor", machine: GroupMachine, request: Request) -> None:
    async with actor.context.peeks.place():
        if not request.session.open:
            return
        try:
            rows, blobs = await _look(actor, machine, request.message)
        except DataDamaged:
            raise
        except Error as error:
            request.session.fail(request.message.rid, error)
        else:
            request.session.send(wire.Reply(request.message.rid, rows), *blobs)


async def _look(
    actor: "GroupActor", machine: GroupMachine, message: wire.Peek
) -> tuple[list[list[Any]], list[bytes | memoryview]]:
    rows: list[list[Any]] = []
    blobs: list[bytes | memoryview] = []
    size = 0
    uid = message.uid
    for piece in _pieces(machine.peek(uid, max(0, min(message.limit, _LIMIT_MAX)), message.first)):
        parts = [picking.peek_part(row, machine.failures(uid, row.first, row.last)) for row in piece]
        ahead = await read_ahead(actor, parts)
        for part in parts:
            blob = await load(actor, part, ahead)
            size += len(blob)
            if size > _BYTES_MAX and blobs:
                return rows, blobs
            blobs.append(blob)
            rows.append([0, 0, part.base, part.ranges, part.attempts, part.enqueued_ns, len(blob)])
    return rows, blobs


def _pieces(located: Sequence[Located]) -> Iterator[Sequence[Located]]:
    """Neighbours that are read together. Those of one batch need it once."""
    begin = size = 0
    batch = (0, 0)
    for at, row in enumerate(located):
        place = (row.entry_index, row.body_at)
        if place != batch:
            if at > begin and (size + row.body_bytes > _PIECE_BYTES or at - begin >= _PIECE_ROWS):
                yield located[begin:at]
                begin, size = at, 0
            batch = place
            size += row.body_bytes
    if begin < len(located):
        yield located[begin:]
