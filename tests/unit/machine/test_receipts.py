"""What leases gave up is remembered: exactly, and not for ever."""

from haqactor.machine.receipts import RECEIPTS_MAX, Name, Receipts, Verdict


def name(counter: int) -> Name:
    return 10, (b"alice".ljust(16), 1), (1, counter), Verdict.NACK


def test_what_was_accepted_is_found_again_and_nothing_else() -> None:
    receipts = Receipts()
    receipts.add(name(1), [(2, 3), (7, 9)])
    receipts.add(name(1), [(4, 4)])
    assert receipts.within(name(1), 1, 8) == [(2, 4), (7, 8)]
    assert receipts.within(name(2), 1, 8) == []
    uid, key, lease, _verdict = name(1)
    assert receipts.within((uid, key, lease, Verdict.REJECT), 1, 8) == []
    assert receipts.within((uid + 1, key, lease, Verdict.NACK), 1, 8) == []


def test_the_oldest_go_first() -> None:
    """The one that was added to last is the newest."""
    receipts = Receipts()
    for counter in range(RECEIPTS_MAX):
        receipts.add(name(counter), [(counter, counter)])
    receipts.add(name(0), [(RECEIPTS_MAX, RECEIPTS_MAX)])
    receipts.add(name(RECEIPTS_MAX), [(1, 1)])
    assert len(receipts) == RECEIPTS_MAX
    assert receipts.within(name(0), 0, 0) == [(0, 0)]
    assert receipts.within(name(1), 1, 1) == []
