"""What callers were told: confirmed, ``Overloaded``, or something that must not happen.

One rule: a publish that still waits when its run ends is waiting, which is allowed; every other outcome is
counted.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

import haqactor

ERRORS_KEPT: Final = 20


class Outcomes:
    """Of one scenario. ``confirmed``: messages, by queue and producer. ``refused``: with ``Overloaded``.
    ``others``: texts of the first outcomes that are neither; ``waits_s``: the longest publish that ended."""

    def __init__(self) -> None:
        self.confirmed: dict[str, dict[int, int]] = {}
        self.refused = 0
        self.wrong = 0
        self.others: list[str] = []
        self.waits_s = 0.0

    @property
    def total(self) -> int:
        """All confirmed messages."""
        return sum(sum(row.values()) for row in self.confirmed.values())

    def expect(self, queue: str, producer: int) -> None:
        """It will publish there; nothing confirmed counts, too."""
        self.confirmed.setdefault(queue, {}).setdefault(producer, 0)

    async def publish(
        self, queue: str, producer: int, count: int, call: Callable[[], Awaitable[object]]
    ) -> bool:
        """One publish of ``count`` messages; was it confirmed?"""
        began = trio.current_time()
        try:
            await call()
        except haqactor.Overloaded:
            self.refused += 1
            return False
        except haqactor.Error as error:
            self.failed(f"publish of producer {producer} to {queue}", error)
            return False
        finally:
            self.waits_s = max(self.waits_s, trio.current_time() - began)
        self.confirmed[queue][producer] += count
        return True

    def failed(self, what: str, error: Exception) -> None:
        """Nothing but ``Overloaded`` may come."""
        self.wrong += 1
        if len(self.others) < ERRORS_KEPT:
            self.others.append(f"{what}: {type(error).__name__}: {error}")
