"""Each promise is broken by what breaks it, and by nothing else."""

import pytest

import haqactor
from haqactor.config import Limits
from tests.overload import checks
from tests.overload.bound import SPARE, Fills, bound_bytes, buffers_bytes
from tests.overload.outcomes import ERRORS_KEPT, Outcomes
from tests.overload.sampling import Sample

MB = 1_000_000
LEADERS = {0: (1, 1), 1: (2, 1)}


def samples(*rss: int, leaders: dict[int, tuple[int, int]] = LEADERS) -> list[Sample]:
    """One node, a sample a second."""
    return [Sample(float(second), (held,), leaders) for second, held in enumerate(rss)]


def test_memory_above_the_bound_is_told_once_a_node() -> None:
    assert checks.bounded(samples(50 * MB, 60 * MB), 60 * MB) == []
    assert checks.bounded(samples(50 * MB, 61 * MB, 62 * MB), 60 * MB) == [
        "n0 held 62.0 MB, allowed are 60.0 MB"
    ]


def test_a_node_that_ended_is_told() -> None:
    assert checks.bounded(samples(50 * MB, 0), 60 * MB) == ["n0 ended"]


def test_the_first_half_may_grow() -> None:
    assert checks.flat(samples(*(10 * MB * min(second, 5) for second in range(1, 11)))) == []


def test_growth_in_the_second_half_is_found() -> None:
    (found,) = checks.flat(samples(*(50 * MB + MB * second for second in range(20))))
    assert "n0 grew by 9.0 MB" in found


def test_a_long_run_has_no_caches_to_fill() -> None:
    seconds = range(round(checks.SHORT_S) + 1)
    slow = samples(*(50 * MB + 40_000 * second for second in seconds))
    assert len(checks.flat(slow)) == 1
    assert checks.flat(slow[:-1]) == []


def test_noise_is_no_growth() -> None:
    assert checks.flat(samples(*(50 * MB + MB * (second % 3) for second in range(60)))) == []


def test_what_is_lent_for_moments_is_no_growth_and_hides_none() -> None:
    seconds = range(601)
    lent = [4 * MB if second > 450 and second % 20 < 12 else 0 for second in seconds]
    assert checks.flat(samples(*(50 * MB + held for held in lent))) == []
    leaks = samples(*(50 * MB + 12_000 * second + held for second, held in zip(seconds, lent, strict=True)))
    assert len(checks.flat(leaks)) == 1


def test_peaks_that_grow_are_growth_though_their_floor_does_not() -> None:
    saw = [50 * MB + (second % 30) * 120_000 * second // 600 * 20 for second in range(601)]
    assert len(checks.flat(samples(*saw))) == 1


def test_a_leak_is_found_whatever_the_length_of_the_run() -> None:
    for length in (250, 270, 300, 590, 601):
        leak = [50 * MB + round(4 * MB * 2 * second / length) for second in range(length)]
        assert len(checks.flat(samples(*leak))) == 1, length


def test_a_pause_between_looks_is_no_fault() -> None:
    looks = [each for each in samples(*([50 * MB] * 601)) if not 400 < each.at_s < 470]
    assert checks.flat(looks) == []


def test_one_look_has_no_slope() -> None:
    assert checks.growth([1.0], [5.0]) == 0.0
    assert checks.growth([0.0, 1.0, 2.0], [1.0, 2.0, 3.0]) == pytest.approx(2.0)


def test_a_leader_that_changed_is_found_also_where_it_came_back() -> None:
    assert checks.led(LEADERS, samples(1)) == []
    assert checks.led(LEADERS, samples(1, leaders={0: (1, 1), 1: (2, 3)})) == [
        "group 1: n2 in term 1, at the end n2 in term 3"
    ]


def test_less_than_half_of_the_mean_is_unfair() -> None:
    outcomes = Outcomes()
    outcomes.confirmed = {"q": {0: 100, 1: 100, 2: 40}}
    assert checks.fair(outcomes) == []
    outcomes.confirmed["q"][2] = 30
    assert checks.fair(outcomes) == ["producer 2 of q got 30 messages in, the mean is 77"]


async def test_overloaded_is_allowed_and_nothing_else() -> None:
    outcomes = Outcomes()
    outcomes.expect("q", 0)
    errors: list[Exception] = []

    async def call() -> None:
        if errors:
            raise errors.pop()

    assert await outcomes.publish("q", 0, 3, call)
    errors.append(haqactor.Overloaded("full", retry_after=0.1))
    assert not await outcomes.publish("q", 0, 3, call)
    assert (outcomes.total, outcomes.refused) == (3, 1)
    assert checks.told(outcomes) == []
    for _ in range(ERRORS_KEPT + 2):
        errors.append(haqactor.NoQuorum("nobody leads"))
        await outcomes.publish("q", 0, 3, call)
    assert checks.told(outcomes)[0] == "publish of producer 0 to q: NoQuorum: nobody leads"
    assert checks.told(outcomes)[-1] == "and 2 more"


def test_nothing_confirmed_is_broken_too() -> None:
    outcomes = Outcomes()
    outcomes.expect("q", 0)
    assert checks.told(outcomes) == ["nothing was confirmed"]


def test_the_bound_is_made_of_limits() -> None:
    less, more = Limits(), Limits(tail_cache_bytes=Limits().tail_cache_bytes + 1000)
    fills = Fills(groups=2, senders=3, takers=4, connections=5, queues=6, messages=7)
    assert buffers_bytes(fills, more) - buffers_bytes(fills, less) == 1000
    assert buffers_bytes(fills, less) > buffers_bytes(Fills(groups=0), less)
    assert bound_bytes(1000, fills, less) == round((1000 + buffers_bytes(fills, less)) * SPARE)
