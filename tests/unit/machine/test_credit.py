"""What a consumer takes of a batch that is larger than its credit."""

from haqactor.machine.credit import Consumer
from haqactor.machine.intervals import IntervalSet
from haqactor.machine.leases import Lease

KEY = (b"s" * 16, 1)


def consumer(credit: int, claimed: int) -> Consumer:
    found = Consumer(KEY, 7)
    found.subscribe(credit, 1000 * credit, claimed, 1000 * claimed)
    return found


def test_it_waits_for_a_whole_batch_while_credit_may_come_back() -> None:
    found = consumer(1, 1)
    lease = Lease((1, 1), 7, KEY, 1, 0)
    lease.held = IntervalSet([(1, 1)])
    found.leases[1] = lease
    assert found.fits(2, 2) == 0
    found.give(1, 1000)
    assert found.fits(2, 2) == 2


def test_with_nothing_in_hand_it_takes_what_it_can() -> None:
    """A `get` that had claimed a message at a new leader asks for one at a time, and would have waited for
    ever for a batch of two: the simulator's seed 5201 of the swarm profile."""
    found = consumer(1, 1)
    assert found.fits(2, 2) == 1
    found.credit_messages = 0
    assert found.fits(2, 2) == 0


def test_a_new_subscription_begins_with_the_credit_that_it_says() -> None:
    """Q15: credit of the one before is not added to it."""
    found = consumer(5, 0)
    found.subscribe(3, 3000, 2, 2000)
    assert (found.credit_messages, found.credit_bytes) == (3, 3000)
    assert (found.whole_messages, found.whole_bytes) == (5, 5000)


def test_one_that_asks_for_each_message_does_not_wait_for_what_it_holds() -> None:
    """A `get` that holds a message, claimed it at a new leader and asks for another: settling the first would
    give no credit back, and who settles it only after the second would have waited for ever."""
    found = consumer(0, 1)
    lease = Lease((1, 1), 7, KEY, 1, 0)
    lease.held = IntervalSet([(1, 1)])
    found.leases[1] = lease
    found.give(1, 1000)
    assert found.fits(2, 2) == 1


def test_nor_for_another_that_asked_at_the_same_time() -> None:
    """Two tasks waited at once, and one of them holds what it got for long."""
    found = consumer(0, 0)
    found.give(2, 2000)
    found.credit_messages = 1
    lease = Lease((1, 1), 7, KEY, 1, 0)
    lease.held = IntervalSet([(1, 1)])
    found.leases[1] = lease
    assert found.fits(2, 2) == 1
    assert found.fits(1, 1 << 30) == 1
