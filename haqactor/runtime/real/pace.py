"""Even times to the microsecond, for loads at a fixed rate.

One rule: a moment that is due is told as soon as it is, and a late one is told all the same, so that whoever
waits from when it was due counts every lateness, its own as well.

trio's own sleep ends on whole milliseconds (epoll's), which at a thousand a second would be most of what is
measured. Where Linux's ``timerfd`` is, it wakes the loop; elsewhere trio's sleep does.
"""

import ctypes
import os
import time
from types import TracebackType
from typing import Any, Final, Self

import trio

_SECOND_NS: Final = 1_000_000_000
_CLOCK_MONOTONIC: Final = 1
_ABSOLUTE: Final = 1
_TICKS_BYTES: Final = 8


class Pace:
    """Moments ``rate`` a second, numbered from 0, the first one ``after_s`` from now; a context manager."""

    def __init__(self, rate: float, after_s: float = 0.0) -> None:
        self._rate = rate
        self._begin_ns = time.monotonic_ns() + round(after_s * _SECOND_NS)
        self._next = 0
        self._timer = Timer.made()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.close()

    def due_s(self, number: int) -> float:
        """When it is that one's turn, in seconds of ``time.monotonic()``."""
        return self._due_ns(number) / _SECOND_NS

    async def wait(self) -> range:
        """The numbers that became due since the last call, at least one; a checkpoint."""
        due = self._due_ns(self._next)
        now = time.monotonic_ns()
        if due <= now:
            await trio.lowlevel.checkpoint()
        elif self._timer is None:
            await trio.sleep((due - now) / _SECOND_NS)
        else:
            await self._timer.until(due)
        end = max(self._next, int((time.monotonic_ns() - self._begin_ns) * self._rate / _SECOND_NS)) + 1
        found = range(self._next, end)
        self._next = end
        return found

    def _due_ns(self, number: int) -> int:
        return self._begin_ns + round(number * _SECOND_NS / self._rate)


class Timer:
    """A ``timerfd`` (timerfd_create(2)); Python has it from 3.13 on."""

    def __init__(self, libc: Any, descriptor: int) -> None:
        self._libc = libc
        self._descriptor = descriptor
        self._when = (ctypes.c_long * 4)()  # the distance of the next ones, and the first; none, and when

    @classmethod
    def made(cls) -> "Timer | None":
        """None where the system has no such thing."""
        libc = ctypes.CDLL(None, use_errno=True)
        create = getattr(libc, "timerfd_create", None)
        descriptor = create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC) if create is not None else -1
        return cls(libc, descriptor) if descriptor >= 0 else None

    async def until(self, moment_ns: int) -> None:
        """Of the monotonic clock; one that is past ends at once."""
        self._when[2], self._when[3] = divmod(moment_ns, _SECOND_NS)
        if self._libc.timerfd_settime(self._descriptor, _ABSOLUTE, self._when, None) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        await trio.lowlevel.wait_readable(self._descriptor)
        os.read(self._descriptor, _TICKS_BYTES)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)
