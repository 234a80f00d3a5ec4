"""The history of what clients did."""

import pytest

from haqactor.sim.watch.history import History, Op, replay


def test_records() -> None:
    history = History()
    first = history.call("c1", "publish", "q", b"a", 10, producer="p")
    second = history.delivered("w1", "q", b"a", 30, since_ns=20, seq=1)
    assert history.ops == [first, second]
    assert (first.i, first.outcome, first.returned_ns) == (0, "info", None)
    history.returned(first, 40, "ok", seq=1)
    assert first.out == {"producer": "p", "seq": 1}
    assert (second.i, second.invoked_ns, second.returned_ns, second.outcome) == (1, 20, 30, "ok")
    assert len(history) == 2
    assert str(first) == "#0 0.000000..0.000000 c1 publish q b'a': ok producer=p seq=1"


def test_returns_once() -> None:
    history = History()
    op = history.call("c1", "purge", "q", None, 1)
    history.returned(op, 2, "info")
    with pytest.raises(ValueError, match="returned before"):
        history.returned(op, 3, "ok")


def test_tells_as_it_goes() -> None:
    told: list[tuple[str, int]] = []
    history = History(lambda op: told.append(("call", op.i)), lambda op: told.append((op.outcome, op.i)))
    first = history.call("c1", "publish", "q", b"a", 1)
    history.delivered("w1", "q", b"a", 2, seq=1)
    history.returned(first, 3, "fail")
    assert told == [("call", 0), ("call", 1), ("ok", 1), ("fail", 0)]


def test_replay_is_in_order_of_time() -> None:
    ops = [
        Op(0, "c1", "publish", "q", b"a", 5, 20, "ok"),
        Op(1, "c1", "publish", "q", b"b", 20, None),
        Op(2, "w1", "deliver", "q", b"a", 20, 20, "ok"),
        Op(3, "c1", "info", "q", None, 1, 5, "ok"),
    ]
    told: list[tuple[str, int]] = []
    replay(ops, lambda op: told.append(("call", op.i)), lambda op: told.append(("return", op.i)))
    assert told == [
        ("call", 3), ("return", 3), ("call", 0), ("return", 0), ("call", 1), ("call", 2), ("return", 2)
    ]  # fmt: skip
