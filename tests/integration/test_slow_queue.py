"""A fiftieth of ``python -m benchmarks.slow_queue``, with segments and snapshots as much smaller."""

from functools import partial

import pytest
import trio

from benchmarks.slow_queue import PASSING_BYTES, SHARE_MAX, UNREAD_BYTES, run
from haqactor.config import MIB

PART = 50
SEGMENT_BYTES = 64 * MIB // PART // 4096 * 4096
COMPACTION_S = 1.0
"""A node looks every half second for snapshots that a segment waits for, and as often for segments to retire;
that does not shrink with the sizes."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_queue_that_nobody_reads_does_not_pin_the_disk() -> None:
    limits = {"segment_bytes": SEGMENT_BYTES, "snapshot_bytes": SEGMENT_BYTES}
    found = trio.run(partial(run, UNREAD_BYTES // PART, PASSING_BYTES // PART, 16 * 1024, limits=limits))
    assert found.passed > 0.99 * PASSING_BYTES / PART
    assert found.most >= found.unread
    assert found.most <= SHARE_MAX * found.unread + found.most_within(COMPACTION_S)
    assert found.ended <= SHARE_MAX * found.unread + 3 * SEGMENT_BYTES
