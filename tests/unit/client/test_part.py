"""Parts, their rows and states, and the settlements made of them."""

from typing import Any

import pytest

from haqactor.batch import Content, Packer
from haqactor.client.credit import Credit
from haqactor.client.holdings import Holdings
from haqactor.client.listening import Counts
from haqactor.client.outcome import Outcome
from haqactor.client.part import BUFFERED, GONE, HANDED, SETTLING, Part
from haqactor.client.settling import NACK, Settlement
from haqactor.errors import NoQuorum, ProtocolError


def part(ranges: list[list[int]], base: int = -1, count: int | None = None) -> Part:
    total = sum(last - first + 1 for first, last in ranges) if count is None else count
    blob = Packer().pack([Content(b"%d" % row) for row in range(total)])
    found = Part([3, 7, base, ranges, [[ranges[0][0], 2]], 1, len(blob)], b"", 100)
    found.blob = blob
    return found


def test_rows_are_the_ranges_in_order() -> None:
    found = part([[5, 6], [9, 9]])
    assert [found.seq(row) for row in range(3)] == [5, 6, 9]
    assert (found.row(9), found.row(7)) == (2, -1)
    assert found.content(2, 1000).body == b"2"
    assert (found.failures(5), found.failures(6)) == (2, 0)
    assert found.spans(0, 2) == [[3, 7, 5, 6], [3, 7, 9, 9]]


def test_rows_are_picked_from_a_whole_batch() -> None:
    found = part([[102, 103], [105, 105]], base=100, count=8)
    assert [found.content(row, 1000).body for row in range(3)] == [b"2", b"3", b"5"]


def test_what_is_held_is_claimed_in_few_rows() -> None:
    """Single messages of one lease, which follow each other, are one claim as long as they are alike."""
    holdings = Holdings(Credit(100, 100), Counts())
    for seq in (1, 2, 3, 4, 7):
        holdings.parts[part([[seq, seq]])] = None
    started = next(iter(holdings.parts))
    started.move(0, HANDED)
    assert holdings.claims() == [[3, 7, 1, 1, True], [3, 7, 2, 4, False], [3, 7, 7, 7, False]]


def test_settlements_of_single_messages_are_few_rows() -> None:
    settlement = Settlement()
    for seq in (1, 2, 3, 5):
        settlement.ack(part([[seq, seq]]), 0, 0)
    assert settlement.wire_rows() == ([[3, 7, 1, 3], [3, 7, 5, 5]], [], [], [])


@pytest.mark.parametrize(
    "row",
    [[], [1, 1, -1, [], [], 1, 9], [1, 1, -1, [[1]], [], 1, 9], [1, 1, -1, [[1, 9999]], [], 1, 9], [1] * 7],
)
def test_malformed_parts(row: list[Any]) -> None:
    with pytest.raises(ProtocolError):
        Part(row, b"", 0)


def test_a_batch_that_is_not_what_it_says() -> None:
    with pytest.raises(ProtocolError, match="leases"):
        part([[1, 3]], count=2).content(0, 1000)
    with pytest.raises(ProtocolError, match="does not have"):
        part([[105, 108]], base=100, count=8).content(0, 1000)


def test_states_move_on_only() -> None:
    found = part([[1, 4]])
    assert found.move(1, HANDED)
    assert not found.move(1, BUFFERED)
    assert (found.handed, found.open) == (1, 4)
    assert found.move(1, GONE)
    assert not found.move(1, GONE)
    assert (found.handed, found.open) == (0, 3)
    assert found.runs(BUFFERED) == [(0, 0), (2, 3)]


def test_credit_adds_up_to_the_bytes_delivered() -> None:
    found = part([[1, 3]])
    assert sum(found.bytes_for(1) for _ in range(3)) + found.rest_bytes() == found.blob_bytes


def test_acknowledgements_in_order_are_one_range() -> None:
    found = part([[1, 10]])
    settlement = Settlement()
    for row in (0, 1, 2, 5, 6):
        settlement.ack(found, row, row)
    settlement.other(NACK, found, 8, 8, [-1, "why"])
    acks, nacks, rejects, releases = settlement.wire_rows()
    assert acks == [[3, 7, 1, 3], [3, 7, 6, 7]]
    assert nacks == [[3, 7, 9, 9, -1, "why"]]
    assert (rejects, releases) == ([], [])


def test_a_verdict_names_what_nobody_waits_for() -> None:
    found = part([[1, 3]])
    settlement = Settlement()
    found.states[0:3] = bytes([SETTLING]) * 3
    settlement.ack(found, 0, 2)
    settlement.loud[2] = None
    for wrong in (None, [[1]], [["a", 1]], [[0, 1 << 40]]):
        with pytest.raises(ProtocolError):
            settlement.judged(wrong, final=True)
    refused = settlement.judged([[2, 3]], final=True)
    assert refused is not None
    assert list(refused) == [2, 3]
    assert settlement.quiet(refused) == [(found, 2)]
    assert settlement.retire() == [found]


def test_a_refusal_is_final_with_the_last_sending() -> None:
    """What any of them accepted is settled, and needs no other verdict."""
    settlement = Settlement()
    settlement.ack(part([[1, 3]]), 0, 2)
    assert settlement.judged([[2, 3]], final=False) is None
    assert settlement.judged([[1, 2]], final=False) is None
    assert list(settlement.judged([[1, 3]], final=True) or ()) == [2]
    assert settlement.judged([[1, 1]], final=False) == {}


def test_an_outcome_is_decided_once() -> None:
    outcome: Outcome[int] = Outcome()
    outcome.resolve(1)
    outcome.fail(NoQuorum())
    assert outcome.get() == 1
    failed: Outcome[int] = Outcome()
    failed.fail(NoQuorum(reason="damaged"))
    failed.resolve(2)
    with pytest.raises(NoQuorum) as caught:
        failed.get()
    assert caught.value.reason == "damaged"
    assert caught.value is not failed.error


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, "x"),
        (2, None),
        (3, [[1 << 40, 1], [0, 1 << 40]]),
        (3, [[5, 4], [4, 9]]),
        (3, [[-1, 3]]),
        (4, [["x", 1]]),
        (4, 5),
        (5, "x"),
        (5, 1 << 63),
        (6, "x"),
        (6, -1),
    ],
)
def test_a_field_of_another_type_is_refused(at: int, value: Any) -> None:
    """Two ranges whose lengths add up to a few, one of them backwards, were a list of 2**40 numbers."""
    row: list[Any] = [3, 7, -1, [[5, 6]], [], 1, 9]
    row[at] = value
    with pytest.raises(ProtocolError, match="malformed"):
        Part(row, b"", 100)
