"""The leader's judgement of a settlement before it is proposed; apply then is unconditional.

One rule: what is refused is refused for those messages only, and what is accepted is frozen until its entry
applies or the term ends.

An acknowledgement is good while nobody else holds the message (a late one after an expiry, or with an older
term's lease), and for a message that is gone already. A nack, reject or release needs a lease that is held;
with an older term's only once the queue is open; one that is said again is answered as the first copy was,
once that has applied: the command behind it may be empty.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from haqactor.errors import InvalidArgument
from haqactor.machine import commands
from haqactor.machine.commands import Command, Range
from haqactor.machine.desk import Desk
from haqactor.machine.intervals import IntervalSet, merged, minus
from haqactor.machine.leases import Key, Lease
from haqactor.machine.queue import Moves
from haqactor.machine.receipts import Verdict
from haqactor.wire import Rows, Settle, lease_rows

REASON_MAX: Final = 1024
"""Characters of a reason; each dead letter keeps its own, and snapshots hold them all."""


class Judged(NamedTuple):
    """``command`` to propose (None: nothing is left to settle); ``refused``: ranges whose lease is lost.
    ``later``: nothing was judged; try again at ``actions.Opened`` of this queue."""

    command: Command | None
    refused: list[Range]
    later: bool = False


def check(settle: Settle) -> None:
    """Are the rows of the right shape? Raises ProtocolError, InvalidArgument."""
    lease_rows(settle.acks)
    lease_rows(settle.releases)
    lease_rows(settle.nacks, 2)
    lease_rows(settle.rejects, 1)
    for row in settle.nacks:
        if type(row[4]) is not int or not -1 <= row[4] < 1 << 62 or not _is_reason(row[5]):
            raise InvalidArgument(f"not a nack: {row!r:.80}")
    for row in settle.rejects:
        if not _is_reason(row[4]):
            raise InvalidArgument(f"not a reject: {row!r:.80}")
    for row in settle.started:
        if not (2 <= len(row) <= 5 and all(type(value) is int and 0 <= value < 1 << 62 for value in row[:4])):
            raise InvalidArgument(f"not a range that was started: {row!r:.80}")


def _is_reason(value: Any) -> bool:
    return type(value) is str and len(value) <= REASON_MAX


def started_ranges(rows: Rows) -> IntervalSet:
    """``[first, last]``, or lease rows, as a set."""
    found = IntervalSet()
    for row in rows:
        low, high = (row[0], row[1]) if len(row) < 4 else (row[2], row[3])
        if low <= high:
            found.add(low, high)
    return found


def judge(desk: Desk, key: Key, settle: Settle, term: int) -> Judged:
    """Judge the rows of one settlement, which ``check`` has passed."""
    rows = (*settle.nacks, *settle.rejects, *settle.releases)
    if not desk.opening.open and any(row[0] < term for row in rows):
        return Judged(None, [], later=True)
    refused: list[Range] = []
    acks: list[Range] = []
    for row in settle.acks:
        _acknowledge(desk, key, row, acks, refused)
    again: list[Range] = []
    nacks = [
        [low, high, row[4], row[5]]
        for row in settle.nacks
        for low, high in _give_up(desk, key, Verdict.NACK, row, refused, again)
    ]
    rejects = [
        [low, high, row[4]]
        for row in settle.rejects
        for low, high in _give_up(desk, key, Verdict.REJECT, row, refused, again)
    ]
    releases = [
        piece
        for row in settle.releases
        for piece in _give_up(desk, key, Verdict.RELEASE, row, refused, again)
    ]
    if refused:  # of an older lease, beside the newer one's acknowledgement
        refused = minus(refused, IntervalSet(acks))
    waits = any(desk.leases.frozen.overlaps(low, high) for low, high in again)
    if not (acks or nacks or rejects or releases or waits):
        return Judged(None, merged(refused))
    command = commands.settle(desk.uid, merged(acks), nacks, rejects, merged(releases))
    return Judged(command, merged(refused))


def held_by(desk: Desk, key: Key, lease_id: tuple[int, int]) -> Iterable[Lease]:
    """The records of a lease if it is this consumer's."""
    records = desk.leases.by_id.get(lease_id, ())
    return [lease for lease in records if lease.key == key]


def _acknowledge(desk: Desk, key: Key, row: list[Any], acks: list[Range], refused: list[Range]) -> None:
    low, high = row[2], row[3]
    leases = desk.leases
    rest: list[Range] = [(low, high)]
    taken = IntervalSet()
    for lease in held_by(desk, key, (row[0], row[1])):
        for first, last in rest:
            for piece in lease.held.within(first, last):
                desk.release(lease, *piece)
                leases.acking.add(*piece)
                taken.add(*piece)
                acks.append(piece)
                if desk.probe.bug("machine.acked_before_commit"):
                    desk.queue.retire(*piece, Moves())
        rest = minus(rest, taken)  # not what an earlier settlement is acking: that may still come to nothing
    for first, last in rest:
        _late(desk, first, last, acks, refused)


def _late(desk: Desk, low: int, high: int, acks: list[Range], refused: list[Range]) -> None:
    """An acknowledgement of what its lease does not hold any more."""
    end = desk.cursor - 1
    if high > end:
        refused.append((max(low, end + 1), high))
    queue, leases = desk.queue, desk.leases
    for first, last in queue.gone.missing(max(low, queue.low), min(high, end)):
        stale = desk.probe.bug("machine.stale_lease_acks")
        if not stale:
            refused += leases.leased.within(first, last)
        for piece in [(first, last)] if stale else leases.leased.missing(first, last):
            desk.returned.discard(*piece)
            leases.acking.add(*piece)
            acks.append(piece)


def _give_up(
    desk: Desk, key: Key, verdict: Verdict, row: list[Any], refused: list[Range], again: list[Range]
) -> list[Range]:
    """What the lease still holds of a row that is no acknowledgement, frozen from now on. Of the rest, what
    this very lease gave up before in the same way is said ``again``, and what is left is refused."""
    found: list[Range] = []
    for lease in held_by(desk, key, (row[0], row[1])):
        for piece in lease.held.within(row[2], row[3]):
            desk.release(lease, *piece)
            desk.leases.frozen.add(*piece)
            found.append(piece)
    name = (desk.uid, key, (row[0], row[1]), verdict)
    for low, high in IntervalSet(found).missing(row[2], row[3]):
        known = IntervalSet(desk.receipts.within(name, low, high))
        again += known
        refused += known.missing(low, high)
    if found:
        desk.receipts.add(name, found)
    return found
