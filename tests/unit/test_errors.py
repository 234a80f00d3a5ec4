"""Errors: one code a class, and the same error at the other end of the wire."""

import pytest

from haqactor import errors


def test_codes_are_unique_and_stable() -> None:
    codes = sorted(errors.BY_CODE)
    assert len(codes) == len({kind.code for kind in errors.BY_CODE.values()})
    for code in (
        "no_quorum",
        "not_found",
        "conflict",
        "overloaded",
        "outcome_unknown",
        "sequence_gap",
        "lease_lost",
        "fenced",
    ):
        assert code in codes


@pytest.mark.parametrize("kind", [errors.BY_CODE[code] for code in sorted(errors.BY_CODE)], ids=str)
def test_every_error_says_what_to_do_and_travels(kind: type[errors.Error]) -> None:
    assert kind.__doc__
    sent = kind("what happened")
    back = errors.from_wire(kind.code, str(sent), sent.fields())
    assert type(back) is kind
    assert str(back) == "what happened"
    assert back.fields() == sent.fields()


def test_fields_travel() -> None:
    back = errors.from_wire("overloaded", "full", {"retry_after": 2.5})
    assert isinstance(back, errors.Overloaded)
    assert back.retry_after == 2.5


def test_an_unknown_code_is_still_an_error_that_names_it() -> None:
    assert "from_the_future: x" in str(errors.from_wire("from_the_future", "x", {}))


def test_unknown_fields_do_no_harm() -> None:
    assert isinstance(errors.from_wire("not_found", "x", {"surprise": 1}), errors.NotFound)


def test_fields_of_another_type_are_left_out() -> None:
    """What a program does with them would fail long after they were taken."""
    back = errors.from_wire("overloaded", "full", {"retry_after": "soon", "message": "x", "self": 1})
    assert isinstance(back, errors.Overloaded)
    assert back.retry_after == 0.1
    moved = errors.from_wire("not_leader", "there", {"leader": 2, "term": [1], "from_the_future": 1})
    assert isinstance(moved, errors.NotLeader)
    assert (moved.leader, moved.term) == (2, 0)
