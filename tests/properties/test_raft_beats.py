"""Whatever gets lost, repeated or reordered between two nodes: a beat speaks only for rows that its sender
has said."""

from hypothesis import given
from hypothesis import strategies as st

from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.raft.heartbeat import AnswerRow, Beat, BeatAnswer, BeatRow, Heartbeats

A, B = NodeId(0), NodeId(1)
ROWS = st.dictionaries(st.integers(0, 3), st.integers(0, 5), max_size=4)
EVENT = st.one_of(
    ROWS.map(lambda rows: ("beat", rows)),
    st.integers(0, 20).map(lambda at: ("deliver", at)),
    st.integers(0, 20).map(lambda at: ("repeat", at)),
    st.integers(0, 20).map(lambda at: ("drop", at)),
    st.sampled_from([("restart", A), ("restart", B)]),
)


def beat_rows(rows: dict[int, int]) -> list[BeatRow]:
    return [BeatRow(GroupId(group), Term(1), Index(value), value) for group, value in rows.items()]


def answer_rows(rows: tuple[BeatRow, ...]) -> list[AnswerRow]:
    return [AnswerRow(row.group, row.term, row.context, False) for row in rows]


@given(st.lists(EVENT, max_size=60))
def test_rows_are_the_senders_own(events: list[tuple[str, dict[int, int] | int]]) -> None:
    boots = {A: 1, B: 1}
    nodes = {A: Heartbeats(1), B: Heartbeats(1)}
    said: dict[tuple[int, int], dict[GroupId, BeatRow]] = {}  # (boot, seq): the rows that the beat speaks for
    answered: dict[tuple[int, int], dict[GroupId, AnswerRow]] = {}
    network: list[Beat | BeatAnswer] = []

    def deliver(message: Beat | BeatAnswer) -> None:
        if isinstance(message, Beat):
            rows = nodes[B].on_beat(A, message)
            if rows is None:
                return
            for row in rows:
                assert said[message.boot, message.seq][row.group] == row
            answers = answer_rows(rows)
            answer = nodes[B].answer(A, answers)
            answered[answer.boot, answer.seq] = {said_row.group: said_row for said_row in answers}
            network.append(answer)
        else:
            for got in nodes[A].on_answer(B, message):
                assert answered[message.boot, message.seq][got.group] == got

    for name, value in events:
        if name == "beat":
            assert isinstance(value, dict)
            rows = beat_rows(value)
            beat = nodes[A].beat(B, rows)
            said[beat.boot, beat.seq] = {row.group: row for row in rows}
            network.append(Beat.from_tuple(beat.to_tuple()))
        elif name == "restart":
            assert isinstance(value, int)
            node = NodeId(value)
            boots[node] += 1
            nodes[node] = Heartbeats(boots[node])
        elif network:
            assert isinstance(value, int)
            at = value % len(network)
            if name == "drop":
                network.pop(at)
            else:
                deliver(network[at] if name == "repeat" else network.pop(at))

    # once nothing is lost any more, two exchanges are enough to be understood whole, and the third is short
    rows = beat_rows({0: 7, 2: 8})
    for turn in range(4):
        network.clear()
        beat = nodes[A].beat(B, rows)
        heard = nodes[B].on_beat(A, beat)
        assert heard is not None, "a new beat was taken for a late one"
        answer = nodes[B].answer(A, answer_rows(heard))
        got = nodes[A].on_answer(B, answer)
        if turn >= 2:
            assert sorted(heard) == sorted(rows)
            assert sorted(got) == sorted(answer_rows(tuple(rows)))
        if turn == 3:
            assert (beat.rows, answer.rows) == ((), ())
