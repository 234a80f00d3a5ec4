"""Beats between nodes: rows that changed, a hash of those that did not, and what happens when they differ."""

import cbor2
import pytest

from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.raft import heartbeat
from haqactor.raft.heartbeat import AnswerRow, Beat, BeatAnswer, BeatRow, Heartbeats, Turns, digest_of

A, B = NodeId(0), NodeId(1)


def row(group: int, commit: int = 0, term: int = 1) -> BeatRow:
    return BeatRow(GroupId(group), Term(term), Index(commit), 0)


def answer_to(rows: tuple[BeatRow, ...]) -> list[AnswerRow]:
    return [AnswerRow(each.group, each.term, each.context, False) for each in rows]


def exchange(
    a: Heartbeats, b: Heartbeats, rows: list[BeatRow]
) -> tuple[Beat, tuple[BeatRow, ...], BeatAnswer]:
    beat = a.beat(B, rows)
    heard = b.on_beat(A, beat)
    assert heard is not None
    answer = b.answer(A, answer_to(heard))
    a.on_answer(B, answer)
    return beat, heard, answer


def test_unchanged_rows_travel_as_a_hash() -> None:
    a, b = Heartbeats(1), Heartbeats(1)
    first, heard, _ = exchange(a, b, [row(1), row(2)])
    assert (first.full, len(first.rows), len(heard)) == (True, 2, 2)
    second, heard, answer = exchange(a, b, [row(1), row(2)])
    assert (second.rows, second.gone) == ((), ())
    assert second.digest == digest_of([row(2), row(1)])
    assert heard == (row(1), row(2))
    assert answer.rows == ()
    third, heard, _ = exchange(a, b, [row(1), row(2, 5)])
    assert third.rows == (row(2, 5),)
    assert sorted(heard) == [row(1), row(2, 5)]


def test_an_unconfirmed_change_is_said_again() -> None:
    a, b = Heartbeats(1), Heartbeats(1)
    exchange(a, b, [row(1), row(2)])
    lost = a.beat(B, [row(1), row(2, 5)])
    again, heard, _ = exchange(a, b, [row(1), row(2, 5)])
    assert lost.rows == again.rows == (row(2, 5),)
    assert sorted(heard) == [row(1), row(2, 5)]
    assert b.on_beat(A, lost) is None  # late


def test_a_group_that_is_left_out_is_not_spoken_for() -> None:
    a, b = Heartbeats(1), Heartbeats(1)
    exchange(a, b, [row(1), row(2)])
    beat, heard, _ = exchange(a, b, [row(2)])
    assert beat.gone == (1,)
    assert heard == (row(2),)
    _, heard, _ = exchange(a, b, [row(1), row(2)])
    assert sorted(heard) == [row(1), row(2)]


def test_a_mismatch_asks_for_all() -> None:
    a, b = Heartbeats(1), Heartbeats(1)
    exchange(a, b, [row(1), row(2)])
    forgetful = Heartbeats(1)  # holds other rows, without having restarted
    beat, heard, answer = exchange(a, forgetful, [row(1), row(2, 5)])
    assert heard == beat.rows == (row(2, 5),)  # the hash speaks for nobody here
    assert answer.want_all
    beat, heard, answer = exchange(a, forgetful, [row(1), row(2, 5)])
    assert beat.full
    assert sorted(heard) == [row(1), row(2, 5)]
    assert not answer.want_all


def test_a_restarted_peer_is_told_all() -> None:
    a, b = Heartbeats(1), Heartbeats(1)
    for _ in range(3):
        exchange(a, b, [row(1), row(2)])
    b = Heartbeats(2)
    exchange(a, b, [row(1), row(2)])
    beat, heard, _ = exchange(a, b, [row(1), row(2)])
    assert beat.full
    assert sorted(heard) == [row(1), row(2)]


def test_a_restarted_sender_starts_anew() -> None:
    a, b = Heartbeats(1), Heartbeats(1)
    for _ in range(3):
        exchange(a, b, [row(1), row(2)])
    old = a.beat(B, [row(1)])
    a = Heartbeats(2)
    _, heard, _ = exchange(a, b, [row(2)])
    assert heard == (row(2),)
    assert b.on_beat(A, old) is None
    a.on_answer(B, BeatAnswer(99, 1, 99, (), (), b"", False, False))  # answers a beat that was never sent


def test_late_answers_say_nothing() -> None:
    a, b = Heartbeats(1), Heartbeats(1)
    beat = a.beat(B, [row(1)])
    heard = b.on_beat(A, beat)
    assert heard is not None
    late = b.answer(A, answer_to(heard))
    exchange(a, b, [row(1, 3)])
    assert a.on_answer(B, late) == ()


@pytest.mark.parametrize("count", [0, 3])
def test_messages_survive_cbor(count: int) -> None:
    beat = Beat(7, 2, 5, tuple(row(group) for group in range(count)), (GroupId(9),), b"d" * 16, True, False)
    assert Beat.from_tuple(cbor2.loads(cbor2.dumps(beat.to_tuple()))) == beat
    rows = tuple(AnswerRow(GroupId(group), Term(3), 4, True) for group in range(count))
    answer = BeatAnswer(7, 2, 5, rows, (), b"d" * 16, False, True)
    assert BeatAnswer.from_tuple(cbor2.loads(cbor2.dumps(answer.to_tuple()))) == answer
    with pytest.raises((TypeError, ValueError)):
        Beat.from_tuple([1, 2, 3])


def test_a_stuck_group_is_left_out_counted_in_beats() -> None:
    turns = Turns()
    group = GroupId(1)
    assert turns.moving(group, 5, waiting=True)
    assert [turns.moving(group, 5, waiting=True) for _ in range(4)] == [True, True, False, False]
    assert turns.stuck(group)
    assert turns.moving(group, 6, waiting=True)
    assert not turns.stuck(group)


def test_an_idle_group_is_not_stuck() -> None:
    turns = Turns()
    assert all(turns.moving(GroupId(1), 5, waiting=False) for _ in range(9))
    assert turns.moving(GroupId(1), 5, waiting=True)


def test_rows_that_stay_are_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle cluster's beats cost next to nothing; a change is noticed all the same, and so is its end."""
    a, b = Heartbeats(1), Heartbeats(1)
    rows = [row(1), row(2)]
    exchange(a, b, rows)
    beat, heard, answer = exchange(a, b, rows)
    hashed = 0

    def counting(given: object) -> bytes:
        nonlocal hashed
        hashed += 1
        return digest_of(given)  # type: ignore[arg-type]  # whatever rows it was handed

    monkeypatch.setattr(heartbeat, "digest_of", counting)
    for _ in range(5):
        beat, heard, answer = exchange(a, b, list(reversed(rows)))
        assert (beat.rows, answer.rows, heard) == ((), (), (row(1), row(2)))
    assert hashed == 0
    assert exchange(a, b, [row(1), row(2, 5)])[0].rows == (row(2, 5),)
    assert hashed > 0
    _, heard, _ = exchange(a, b, [row(1), row(2, 5)])
    assert sorted(heard) == [row(1), row(2, 5)]
    b = Heartbeats(2)  # it restarted and holds nothing
    a.on_answer(B, BeatAnswer(beat.seq + 2, 2, 0, (), (), digest_of([]), True, True))
    assert exchange(a, b, rows)[0].full
