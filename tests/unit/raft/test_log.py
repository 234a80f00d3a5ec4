"""The log: term runs, memory, and what is durable."""

import pytest

from haqactor.errors import InvariantViolation
from haqactor.ids import Index, NodeId, Term
from haqactor.raft.log import Log
from haqactor.raft.ready import SnapshotMeta
from tests.builders.raft_core import entries, entry, runs_of

VOTERS = (NodeId(0), NodeId(1), NodeId(2))


def meta(index: int, term: int) -> SnapshotMeta:
    return SnapshotMeta(Index(index), Term(term), VOTERS)


def log_of(*terms: int, snapshot: tuple[int, int] = (0, 0)) -> Log:
    return Log(meta(*snapshot), runs_of(terms, snapshot[0] + 1), Index(snapshot[0] + len(terms)))


def terms_of(log: Log) -> list[int | None]:
    return [log.term_at(index) for index in range(log.snapshot.index, log.last_index + 1)]


def test_terms_come_from_runs() -> None:
    log = log_of(3, 3, 5, snapshot=(10, 2))
    assert terms_of(log) == [2, 3, 3, 5]
    assert log.term_at(9) is log.term_at(14) is None
    assert (log.last_index, log.last_term, log.durable_index) == (13, 5, 13)
    assert log.runs() == ((11, 3), (13, 5))


@pytest.mark.parametrize(
    "runs", [[(Index(10), Term(3))], [(Index(14), Term(3))], [(Index(12), Term(3)), (Index(11), Term(4))]]
)
def test_runs_that_do_not_fit_are_refused(runs: list[tuple[Index, Term]]) -> None:
    with pytest.raises(InvariantViolation):
        Log(meta(10, 2), runs, Index(13))


def test_append_follows() -> None:
    log = log_of(1)
    log.append(entries(2, (1, 2)))
    assert terms_of(log) == [0, 1, 1, 2]
    with pytest.raises(InvariantViolation):
        log.append([entry(5, 2)])
    with pytest.raises(InvariantViolation):
        log.append([entry(4, 1)])


def test_truncate_and_append_again() -> None:
    log = log_of(1, 1, 2)
    log.append(entries(4, (2, 3)))
    log.truncate(Index(3))
    assert (terms_of(log), log.last_term, log.durable_index) == ([0, 1, 1], 1, 2)
    new = entries(3, (4,))
    log.append(new)
    assert terms_of(log) == [0, 1, 1, 4]
    assert log.slice(3, 3) == new
    with pytest.raises(InvariantViolation):
        log.truncate(Index(0))


@pytest.mark.parametrize(
    ("at", "runs"),
    [(1, ((2, 1), (3, 2), (5, 4))), (2, ((3, 2), (5, 4))), (3, ((4, 2), (5, 4))), (4, ((5, 4),)), (5, ())],
)
def test_compact(at: int, runs: tuple[tuple[int, int], ...]) -> None:
    log = log_of()
    log.append(entries(1, (1, 1, 2, 2, 4)))
    log.take_unstable(0)
    before = {index: log.term_at(index) for index in range(at, 6)}
    term = log.term_at(at)
    assert term is not None
    assert log.compact(meta(at, term))
    assert log.runs() == runs
    assert {index: log.term_at(index) for index in range(at, 6)} == before
    assert log.term_at(at - 1) is None
    assert log.memory_first == at + 1
    assert not log.compact(meta(at, term))


def test_compact_needs_the_place() -> None:
    log = log_of(1, 1)
    assert not log.compact(meta(2, 7))
    assert not log.compact(meta(5, 1))
    assert log.snapshot.index == 0


def test_restore_drops_everything() -> None:
    log = log_of(1, 1)
    log.append(entries(3, (1,)))
    log.restore(meta(9, 4))
    assert (log.last_index, log.last_term, log.durable_index, log.runs(), log.memory_bytes) == (
        9,
        4,
        9,
        (),
        0,
    )
    log.append(entries(10, (4,)))
    assert terms_of(log) == [4, 4]


@pytest.mark.parametrize(
    ("index", "term", "found"),
    [
        (5, 9, (5, 4)),
        (9, 9, (5, 4)),
        (5, 3, (4, 2)),
        (4, 2, (4, 2)),
        (4, 1, (2, 1)),
        (5, 0, (0, 0)),
        (0, 5, (0, 0)),
    ],
)
def test_conflict_hints(index: int, term: int, found: tuple[int, int]) -> None:
    assert log_of(1, 1, 2, 2, 4).last_not_above(index, term) == found


def test_slices_keep_to_bytes() -> None:
    log = log_of(1)
    held = entries(2, (1, 1, 1))
    log.append(held)
    size = held[0].size
    assert log.slice(2, 4, size * 2) == held[:2]
    assert log.slice(2, 4, 1) == held[:1]
    assert log.slice(2, 4) == held
    assert log.slice(1, 4) is None
    assert log.slice(2, 5) is None


def test_memory_is_trimmed_but_never_what_is_unwritten() -> None:
    log = log_of()
    log.append(entries(1, (1,) * 10))
    log.trim(10, 0)
    assert log.memory_first == 1
    log.take_unstable(0)
    log.append(entries(11, (1,)))
    log.trim(4, 0)
    assert log.memory_first == 5
    log.forget(Index(11))
    assert log.memory_first == 11
    assert log.memory_bytes == entry(11, 1).size


def test_trim_keeps_the_newest() -> None:
    log = log_of()
    log.append(entries(1, (1,) * 100))
    log.take_unstable(0)
    limit = entry(1, 1).size * 40
    log.trim(100, limit)
    assert limit // 2 < log.memory_bytes <= limit
    assert log.slice(100, 100) is not None


def test_durable_in_order() -> None:
    log = log_of()
    log.append(entries(1, (1, 1)))
    log.take_unstable(0)
    log.append(entries(3, (1,)))
    log.take_unstable(0)
    assert log.written(Term(1), Index(2))
    assert log.durable_index == 2
    assert not log.written(Term(1), Index(2))  # repeated
    assert log.written(Term(1), Index(3))
    assert log.durable_index == 3


def test_a_later_report_covers_earlier_writes() -> None:
    log = log_of()
    for index in (1, 2, 3):
        log.append(entries(index, (1,)))
        log.take_unstable(0)
    assert log.written(Term(1), Index(3))
    assert log.durable_index == 3
    assert log.oldest_write_ns() is None


def test_a_stale_report_of_an_overwritten_suffix_says_nothing() -> None:
    """R5: (term, index) of a write whose entries were replaced before it was done."""
    log = log_of(1)
    log.append(entries(2, (1, 1, 1)))
    log.take_unstable(0)
    log.truncate(Index(3))
    log.append(entries(3, (2, 2)))
    assert log.written(Term(1), Index(4))
    assert log.durable_index == 2  # what was not replaced
    log.take_unstable(0)
    assert not log.written(Term(1), Index(4))
    assert log.written(Term(2), Index(4))
    assert log.durable_index == 4


def test_a_suffix_that_was_replaced_and_came_back() -> None:
    """R5: index 2 of term 1 was written, replaced, and written again: the first report does not vouch for
    the last."""
    log = log_of(1)
    log.append(entries(2, (1,)))
    log.take_unstable(0)
    log.truncate(Index(2))
    log.append(entries(2, (2,)))
    log.take_unstable(0)
    log.truncate(Index(2))
    log.append(entries(2, (1, 3)))
    log.take_unstable(0)
    assert log.written(Term(1), Index(2))
    assert log.durable_index == 1
    assert log.written(Term(3), Index(3))
    assert log.durable_index == 3


def test_what_was_on_its_way_when_a_snapshot_came_says_nothing() -> None:
    """R5: its entries are gone; if the place is written again, that write vouches for it."""
    log = log_of()
    log.append(entries(1, (1, 1, 1)))
    log.take_unstable(0)
    log.restore(meta(2, 4))
    assert log.oldest_write_ns() is None
    log.append(entries(3, (4,)))
    log.take_unstable(7)
    assert not log.written(Term(1), Index(3))
    assert log.durable_index == 2
    assert log.written(Term(4), Index(3))
    assert log.durable_index == 3
