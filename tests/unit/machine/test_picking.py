"""Which message goes to whom."""

from tests.builders.queue_group import ALICE, BOB, Group, leases


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
