"""Lets threads get the GIL back from a busy trio loop. One rule: only a process that stores a journal asks
for it.

Why it is needed: a thread that comes back from a system call waits on the GIL's condition variable for the
switch interval (5 ms), and asks the holder to let go only if it waited that long *undisturbed*. A saturated
trio loop lets go for an instant at each ``epoll_wait(0)``, which wakes the waiter too late to win and starts
its wait afresh: it never asks. An interval shorter than a turn of the loop makes it ask within each turn,
and the holder that is asked must wait until the other has had its turn (CPython's ceval_gil.c,
FORCE_SWITCHING). The kernel rounds so short a wait up by its timer slack (50 us), so that is lowered as
well; threads inherit it from the one that starts them.
"""

import ctypes
import sys
from typing import Final

SWITCH_INTERVAL: Final = 20e-6
"""Seconds; below the shortest turn of a busy loop that matters."""

_PR_SET_TIMERSLACK: Final = 29
_SLACK_NS: Final = 1


def switch_threads_fairly() -> None:
    """Shorten the switch interval of this process, and the timer slack of this thread and of those it will
    start."""
    if sys.getswitchinterval() > SWITCH_INTERVAL:
        sys.setswitchinterval(SWITCH_INTERVAL)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        # A kernel that refuses leaves threads a little slower, not wrong: the answer is not looked at.
        libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(_SLACK_NS), 0, 0, 0)
