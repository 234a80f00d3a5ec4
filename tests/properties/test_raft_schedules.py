"""Any schedule of loss, repetition, reordering, crashes, torn and rotten tails: nothing committed is lost,
and it goes on.

Checked all the time: election safety, the commit rule over real copies, that replies claim only what is
durable, log matching, state machine safety, reads that miss nothing; at the end liveness.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders.raft_schedule import Schedule

STEPS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 2**16)), min_size=20, max_size=200)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(size=st.sampled_from([1, 3, 3, 5]), seed=st.integers(0, 2**32), steps=STEPS)
def test_nothing_committed_is_lost(size: int, seed: int, steps: list[tuple[int, int]]) -> None:
    schedule = Schedule(size, seed)
    for kind, number in steps:
        schedule.act(kind, number)
    schedule.finish()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_long_schedules(seed: int) -> None:
    """Longer than what is drawn step by step: the seed draws them."""
    schedule = Schedule(3, seed)
    chance = schedule.cluster.chance
    for _ in range(300):
        schedule.act(chance.below(2**16), chance.below(2**16))
    schedule.finish()
