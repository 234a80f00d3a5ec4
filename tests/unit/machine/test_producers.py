"""Publish deduplication (docs/internals/traps.md, Q1-Q4), as a table: a claim, and what it gets."""

from typing import Any

import pytest

from haqactor.errors import Error, Fenced, Overloaded, SequenceConflict, SequenceExpired, SequenceGap
from haqactor.machine import commands
from haqactor.machine.machine import GroupMachine
from haqactor.machine.producers import ANONYMOUS_EXPIRY_NS, NAMED_EXPIRY_NS, ROWS_EXPIRY_NS, WINDOW_ROWS
from tests.builders.queue_group import BEGAN, NS, PRODUCER, Group, Q

NAME = b"named".ljust(16)


@pytest.mark.parametrize(
    ("first", "count", "crc", "expected"),
    [
        (1, 10, 1, [[1, 10, True]]),  # the same again
        (11, 5, 11, [[11, 5, True]]),
        (1, 10, 2, SequenceConflict),  # other content
        (3, 1, 99, [[3, 1, True]]),  # one number of a batch
        (3, 12, 99, [[3, 12, True]]),  # inside several
        (10, 2, 99, [[10, 2, True]]),
        (15, 2, 15, SequenceConflict),  # begins inside, reaches beyond
        (1, 16, 1, SequenceConflict),
        (16, 1, 16, [[16, 1, False]]),  # the next
        (17, 1, 17, SequenceGap),
        (18, 3, 18, SequenceGap),
    ],
)
def test_a_claim_after_two_batches(first: int, count: int, crc: int, expected: Any) -> None:
    group = Group()
    group.claim(1, 10)
    group.claim(11, 5)
    reply = group.claim(first, count, crc=crc)
    if isinstance(expected, list):
        assert reply == expected
    else:
        assert isinstance(reply, expected)
    assert group.machine.queues[Q].next_seq == (17 if first == 16 else 16)


def test_receipts_of_one_number_where_queues_interleave() -> None:
    group = Group()
    group.claim(1, 2)
    group.claim(1, 3, producer=NAME)
    group.claim(3, 2)
    assert group.claim(2, 2, crc=5) == [[2, 1, True], [6, 1, True]]


def test_what_the_producer_holds_is_forgotten_and_never_stored_twice() -> None:
    group = Group()
    group.claim(1, 10)
    group.claim(11, 10, below=11)
    assert isinstance(group.claim(1, 10), SequenceExpired)
    assert group.claim(11, 10) == [[11, 10, True]]
    assert group.machine.queues[Q].next_seq == 21


def test_a_named_producer_keeps_its_last_claims_whatever_it_holds() -> None:
    group = Group()
    for number in range(1, WINDOW_ROWS + 3):
        group.claim(number, 1, producer=NAME, epoch=1, below=number)
    assert isinstance(group.claim(2, 1, producer=NAME, epoch=1), SequenceExpired)
    assert group.claim(3, 1, producer=NAME, epoch=1) == [[3, 1, True]]


def test_an_older_epoch_is_fenced_from_the_first_entry_of_the_newer() -> None:
    group = Group()
    group.claim(1, 5, producer=NAME, epoch=1)
    assert group.apply(commands.producer_epoch(NAME, 2, Q))[0] == [BEGAN + group.now, 5]
    fenced = group.claim(6, 1, producer=NAME, epoch=1)
    assert isinstance(fenced, Fenced)
    assert fenced.current_token == 2
    assert group.claim(6, 1, producer=NAME, epoch=3) == [[6, 1, False]]
    assert isinstance(group.apply(commands.producer_epoch(NAME, 2, Q))[0], Fenced)
    assert group.claim(5, 1, producer=NAME, epoch=3, crc=1) == [[5, 1, True]], "numbers go on across epochs"


def test_an_expired_session_is_never_taken_for_a_new_one() -> None:
    group = Group()
    began = BEGAN + group.now
    group.claim(1, 5, began_ns=began)
    group.now += ANONYMOUS_EXPIRY_NS + 1
    group.apply(commands.tick(sessions=True))
    assert len(group.machine.producers) == 0
    assert isinstance(group.claim(1, 5, began_ns=began), SequenceExpired)
    assert isinstance(group.claim(6, 1, began_ns=began), SequenceExpired)
    assert group.machine.queues[Q].next_seq == 6
    assert group.claim(1, 1, producer=NAME) == [[6, 1, False]]


@pytest.mark.parametrize("late_ns", [-1, 0, 1])
def test_no_moment_between_expiry_and_refusal(late_ns: int) -> None:
    group = Group()
    began = BEGAN + group.now
    group.claim(1, 5, began_ns=began)
    group.now += ANONYMOUS_EXPIRY_NS + late_ns
    group.apply(commands.tick(sessions=True))
    reply = group.claim(1, 5, began_ns=began)
    assert isinstance(reply, SequenceExpired) or reply == [[1, 5, True]]


def test_a_tick_of_a_young_term_expires_no_session() -> None:
    group = Group()
    group.claim(1, 5)
    group.now += ANONYMOUS_EXPIRY_NS + 1
    group.apply(commands.tick(sessions=False))
    assert len(group.machine.producers) == 1


def test_a_named_session_forgets_rows_first_and_numbers_later() -> None:
    group = Group()
    group.claim(1, 5, producer=NAME, epoch=1)
    group.now += ROWS_EXPIRY_NS + 1
    group.apply(commands.tick(sessions=True))
    assert group.machine.last_seq(NAME, Q) == 5
    assert isinstance(group.claim(1, 5, producer=NAME, epoch=1), SequenceExpired)
    assert group.claim(6, 1, producer=NAME, epoch=1) == [[6, 1, False]]
    group.now += NAMED_EXPIRY_NS + 1
    group.apply(commands.tick(sessions=True))
    assert group.machine.last_seq(NAME, Q) == 0


def test_an_ended_session_stays_refused() -> None:
    group = Group()
    group.claim(1, 5)
    assert group.apply(commands.end_session(PRODUCER)) == [True]
    assert isinstance(group.claim(1, 5), SequenceExpired)
    assert isinstance(group.claim(6, 1), SequenceExpired)
    group.now += ANONYMOUS_EXPIRY_NS + 1
    group.apply(commands.tick(sessions=True))
    assert not group.machine.producers.ended


def test_the_limit_of_sessions_is_in_the_log() -> None:
    group = Group()
    group.apply(commands.limits(2))
    assert not isinstance(group.claim(1, 1), Error)
    assert not isinstance(group.claim(1, 1, producer=NAME, epoch=1), Error)
    refused = group.claim(1, 1, producer=b"third".ljust(16))
    assert isinstance(refused, Overloaded)
    assert refused.retry_after > 0
    assert group.claim(2, 1) == [[3, 1, False]]


def test_windows_of_two_queues_are_apart_and_die_with_their_queue() -> None:
    group = Group()
    group.claim(1, 5)
    assert group.claim(1, 3, uid=11) == [[1, 3, False]]
    settings = group.machine.queues[Q].settings
    group.apply(commands.follow_directory(2, [Q], [[20, 1, "q", settings]]))
    assert group.claim(1, 5, uid=20) == [[1, 5, False]]
    assert group.claim(1, 3, uid=11, crc=1) == [[1, 3, True]]


def test_expiry_is_bounded_per_tick() -> None:
    group = Group()
    for number in range(1500):
        group.claim(1, 1, producer=number.to_bytes(16, "little"))
    group.now += ANONYMOUS_EXPIRY_NS + NS
    group.apply(commands.tick(sessions=True))
    assert len(group.machine.producers) == 500
    assert group.machine.producers.next_due_ns() is not None
    group.apply(commands.tick(sessions=True))
    assert len(group.machine.producers) == 0


def test_windows_survive_a_snapshot() -> None:
    group = Group()
    group.claim(1, 5)
    group.claim(1, 5, producer=NAME, epoch=4)
    group.apply(commands.end_session(PRODUCER))
    fresh = GroupMachine()
    fresh.restore(list(group.machine.snapshot_chunks()))
    group.machine = fresh
    assert isinstance(group.claim(1, 5), SequenceExpired)
    assert group.claim(1, 5, producer=NAME, epoch=4) == [[6, 5, True]]
    assert isinstance(group.claim(6, 1, producer=NAME, epoch=3), Fenced)
