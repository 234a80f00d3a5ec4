"""Suspicion: how long, who confirms, and what a stall adds."""

import pytest

from haqactor.swim.config import SECOND_NS, SwimConfig
from haqactor.swim.suspicion import Suspicion, Times, timeout_ns, times

CONFIG = SwimConfig()
A, B, C, D = (bytes([number]) * 16 for number in range(4))


@pytest.mark.parametrize(("members", "seconds"), [(1, 4), (3, 4), (10, 4), (100, 8), (1_000, 12)])
def test_the_shortest_grows_with_the_logarithm(members: int, seconds: int) -> None:
    assert times(CONFIG, members).shortest_ns == seconds * SECOND_NS


@pytest.mark.parametrize(("members", "wanted"), [(2, 0), (3, 0), (4, 2), (50, 2)])
def test_where_nobody_is_left_to_confirm_nothing_is_waited_for(members: int, wanted: int) -> None:
    of = times(CONFIG, members)
    assert of.wanted == wanted
    assert of.longest_ns == of.shortest_ns * (6 if wanted else 1)


def test_confirmations_shorten_it_on_a_logarithm() -> None:
    of = Times(4 * SECOND_NS, 24 * SECOND_NS, 2, 24 * SECOND_NS)
    waits = [timeout_ns(of, count) / SECOND_NS for count in range(4)]
    assert waits[0] == 24
    assert waits[1] == pytest.approx(11.38, abs=0.01)
    assert waits[2] == waits[3] == 4


def test_each_accuser_counts_once_and_no_more_than_wanted() -> None:
    suspicion = Suspicion(A, Times(4, 24, 2, 24), 1, 100)
    assert suspicion.by == A
    assert not suspicion.confirm(A)
    assert suspicion.deadline_ns == 124
    assert suspicion.confirm(B)
    assert not suspicion.confirm(B)
    assert suspicion.confirm(C)
    assert not suspicion.confirm(D)
    assert suspicion.deadline_ns == 104


def test_bad_health_has_a_bound() -> None:
    suspicion = Suspicion(A, Times(4, 24, 2, 24), 9, 100)
    assert suspicion.deadline_ns == 124
    suspicion.confirm(B)
    suspicion.confirm(C)
    assert suspicion.deadline_ns == 124
    assert Suspicion(A, Times(4, 4, 0, 24), 9, 100).deadline_ns == 124
    assert Suspicion(A, Times(4, 4, 0, 24), 2, 100).deadline_ns == 108


def test_bad_health_and_stalls_lengthen_it() -> None:
    suspicion = Suspicion(A, Times(4, 4, 0, 24), 3, 100)
    assert suspicion.deadline_ns == 112
    suspicion.extend(50, 5)
    assert suspicion.deadline_ns == 167
    suspicion.extend(50, 5)
    assert suspicion.deadline_ns == 217, "the grace is given once"
