"""Looking at messages without leasing them.

One rule: a peek is a confirmed read; its batches come from memory or disk beside the turn, like a delivery's.
"""

from typing import TYPE_CHECKING, Any

from haqactor import wire
from haqactor.errors import DataDamaged, Error
from haqactor.machine import picking
from haqactor.machine.actions import Part
from haqactor.machine.machine import GroupMachine
from haqactor.nodes.delivery import load
from haqactor.nodes.sessions import Request

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_LIMIT_MAX = 10_000
_BYTES_MAX = 4 * 1024 * 1024


def start(actor: "GroupActor", machine: GroupMachine, request: Request) -> None:
    """Answer ``wire.Peek`` in a task of its own."""
    message = request.message
    located = machine.peek(message.uid, max(0, min(message.limit, _LIMIT_MAX)), message.first)
    parts = [picking.peek_part(row, machine.failures(message.uid, row.first, row.last)) for row in located]
    if actor.applier.nursery is not None:
        actor.applier.nursery.start_soon(_answer, actor, request, parts)


async def _answer(actor: "GroupActor", request: Request, parts: list[Part]) -> None:
    rows: list[list[Any]] = []
    blobs: list[bytes | memoryview] = []
    size = 0
    try:
        for part in parts:
            blob = await load(actor, part)
            size += len(blob)
            if size > _BYTES_MAX and blobs:
                break
            blobs.append(blob)
            rows.append([0, 0, part.base, part.ranges, part.attempts, part.enqueued_ns, len(blob)])
    except DataDamaged:
        raise
    except Error as error:
        request.session.fail(request.message.rid, error)
        return
    request.session.send(wire.Reply(request.message.rid, rows), *blobs)
