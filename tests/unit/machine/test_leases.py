"""When leases end: in order, once, and in memory for as long as they are held."""

from typing import Any

from haqactor.machine.leases import Expiry, Lease
from tests.builders.queue_group import ALICE, Group, leases, ranges


def lease(serial: int) -> Lease:
    """One that holds a message."""
    made = Lease((1, serial), 1, (ALICE, 1), serial, 0)
    made.held.add(serial, serial)
    return made


def test_what_was_settled_is_not_kept_until_an_older_lease_ends() -> None:
    """A consumer that holds one message for an hour, beside others that settle a thousand a second."""
    group = Group(lease=3600)
    group.publish(1)
    group.subscribe(ALICE)
    assert ranges(group.run()) == [(1, 1)]
    dispatcher: Any = group.d
    expiry: Expiry = dispatcher._expiry
    for seq in range(2, 5000):
        group.publish(1)
        rows = leases(group.run(0.001))
        assert [row[2:] for row in rows] == [[seq, seq]]
        group.settle(ALICE, acks=rows)
        group.d.credit(ALICE, 1, 1, 10)
        assert len(expiry) <= 1100


def test_what_is_held_ends_in_order_whatever_was_cleared_away() -> None:
    """Of two times of one lease the last one counts, and of equal ones one is kept."""
    expiry = Expiry()
    held: list[Lease] = []
    for serial in range(4000):
        made = lease(serial)
        expiry.watch(made, 10_000 - serial)
        if serial % 10:
            made.held.discard(serial, serial)
        else:
            held.append(made)
    expiry.watch(held[0], 20_000)
    for _ in range(3000):
        expiry.watch(held[1], 15_000)
    assert len(expiry) <= 2 * len(held) + 1025
    assert expiry.pop(0) is None
    ended: list[Lease] = []
    while (found := expiry.pop(30_000)) is not None:
        ended.append(found)
        found.held.discard(found.serial, found.serial)
    assert ended == [*reversed(held[2:]), held[1], held[0]]
    assert expiry.next_ns() is None
