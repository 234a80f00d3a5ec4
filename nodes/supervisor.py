"""Supervision: which actors may be started again, how often, and what ends the node.

One rule: an actor that owns replicated state is never restarted, for its state would be a guess: its failure
is the node's. An actor that owns only connections is restarted, within an intensity limit; beyond it the
failure escalates."""

from collections import deque
from collections.abc import Awaitable, Callable

import trio
from structlog.typing import FilteringBoundLogger

from haqactor.env import Clock
from haqactor.errors import Error

RESTARTS_MAX = 5
PERIOD_NS = 10_000_000_000


async def supervise(
    name: str,
    actor: Callable[[], Awaitable[None]],
    log: FilteringBoundLogger,
    clock: Clock,
    *,
    restarts_max: int = RESTARTS_MAX,
    period_ns: int = PERIOD_NS,
) -> None:
    """Run ``actor`` and start it again when it fails, at most ``restarts_max`` times in ``period_ns``; then
    let its error through. An ``haqactor.Error`` (the disk, damage, a broken invariant, a refusal by the
    cluster) is let through at once."""
    failures: deque[int] = deque()
    while True:
        try:
            await actor()
        except Error:
            raise
        except Exception as error:
            now = clock.monotonic_ns()
            failures.append(now)
            while failures and now - failures[0] > period_ns:
                failures.popleft()
            if len(failures) > restarts_max or _holds_fatal(error):
                raise
            log.exception("an actor failed and is started again", actor=name, failures=len(failures))
            await trio.lowlevel.checkpoint()
        else:
            return


def _holds_fatal(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_holds_fatal(inner) for inner in error.exceptions)
    return isinstance(error, Error)
