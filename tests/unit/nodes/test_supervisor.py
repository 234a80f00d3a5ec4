"""What is started again, how often, and what is not."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from haqactor.errors import StorageFailed
from haqactor.nodes.supervisor import RESTARTS_MAX, supervise
from tests.builders.memory_environment import TrioClock
from tests.builders.node_context import quiet_log


def failing(
    times: int, error: BaseException, *, every: float = 0.0
) -> tuple[Callable[[], Awaitable[None]], list[int]]:
    """An actor that fails so often, then ends in order."""
    runs: list[int] = []

    async def actor() -> None:
        await trio.sleep(every)
        runs.append(1)
        if len(runs) <= times:
            raise error

    return actor, runs


async def test_a_failure_is_restarted_and_an_end_is_an_end(autojump_clock: MockClock) -> None:
    """Up to the intensity."""
    actor, runs = failing(RESTARTS_MAX, KeyError("bug"))
    await supervise("actor", actor, quiet_log(), TrioClock())
    assert len(runs) == RESTARTS_MAX + 1


async def test_too_many_failures_escalate(autojump_clock: MockClock) -> None:
    """With the last error itself."""
    actor, runs = failing(100, KeyError("bug"))
    with pytest.raises(KeyError, match="bug"):
        await supervise("actor", actor, quiet_log(), TrioClock())
    assert len(runs) == RESTARTS_MAX + 1


async def test_rare_failures_never_escalate(autojump_clock: MockClock) -> None:
    """The limit is a rate, not a life's total."""
    actor, runs = failing(50, KeyError("bug"), every=3.0)
    await supervise("actor", actor, quiet_log(), TrioClock())
    assert len(runs) == 51


@pytest.mark.parametrize(
    "error",
    [
        StorageFailed("the disk"),
        ExceptionGroup("", [KeyError("bug"), ExceptionGroup("", [StorageFailed("the disk")])]),
    ],
)
async def test_errors_of_ours_pass_at_once(error: Exception) -> None:
    """Alone, or within groups."""
    actor, runs = failing(1, error)
    with pytest.raises(type(error)):
        await supervise("actor", actor, quiet_log(), TrioClock())
    assert len(runs) == 1


async def test_cancellation_is_no_failure(autojump_clock: MockClock) -> None:
    """It ends the actor and its supervisor."""
    with trio.move_on_after(1) as scope:
        await supervise("actor", trio.sleep_forever, quiet_log(), TrioClock())
    assert scope.cancelled_caught
