"""How many files and connections this process may have open. One rule: a limit is raised only by who owns the
process."""

import resource
import sys
from contextlib import suppress


def descriptors_max() -> int:
    """The soft limit."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def raise_descriptors_max() -> None:
    """As far as the system lets this user: the soft limit is low for the sake of programs that use
    ``select``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # a system may have a bound of its own beside the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
