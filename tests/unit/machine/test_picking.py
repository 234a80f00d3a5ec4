"""Which message goes to whom."""

import pytest

from haqactor.machine.actions import PollAnswered
from haqactor.machine.picking import DELIVER_BYTES
from tests.builders.queue_group import ALICE, BOB, Group, Q, leases, ranges


def test_a_suspect_is_for_who_holds_nothing() -> None:
    """Q8: if it kills its consumer, nothing beside it may be charged for that."""
    group = Group()
    group.publish(6)
    group.subscribe(ALICE, credit=3)
    assert [row[2:] for row in leases(group.run())] == [[1, 3]]
    group.subscribe(BOB)
    rows = leases(group.run())
    assert [row[2:] for row in rows] == [[4, 6]]
    group.d.session_lost(ALICE, group.now)
    assert leases(group.run(2.1)) == []
    group.settle(BOB, acks=rows)
    assert [row[2:] for row in leases(group.run())] == [[1, 1]]


@pytest.mark.parametrize("size", [DELIVER_BYTES - 1, DELIVER_BYTES, 20 * DELIVER_BYTES])
def test_a_message_as_large_as_a_delivery_is_given_to_who_asks_for_one(size: int) -> None:
    """The delivery is full with it, and closed before the caller comes to close it."""
    group = Group()
    for first in (1, 2):
        group.claim(first, 1, body_bytes=size)
    group.subscribe(ALICE, credit=0)
    for seq in (1, 2):
        group.d.poll_one(ALICE, 1, Q)
        actions = group.run()
        assert ranges(actions) == [(seq, seq)]
        assert actions[-1] == PollAnswered(ALICE, 1, Q, True)
