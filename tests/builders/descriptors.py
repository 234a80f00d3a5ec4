"""A process that may open few files more.

One rule: the limit is as it was before once the block is left.
"""

import os
import resource
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def descriptors_left(count: int) -> Generator[int, None, None]:
    """The process may open ``count`` more; yields its limit meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe + count, hard))
    try:
        yield probe + count
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
