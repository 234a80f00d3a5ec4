"""A fiftieth of ``python -m benchmarks.slow_queue``, with segments and snapshots as much smaller."""

from functools import partial

import pytest
import trio

from benchmarks.slow_queue import PASSING_BYTES, SHARE_MAX, UNREAD_BYTES, run
from haqactor.config import MIB

PART = 50
SEGMENT_BYTES = 64 * MIB // PART // 4096 * 4096
BODY_BYTES = 16 * 1024
COMPACTION_S = 2.0
"""A node looks every half second for snapshots that a segment waits for, and as often for segments to retire;
these take their time, too. That does not shrink with the sizes, so what passes meanwhile comes on top."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_queue_that_nobody_reads_does_not_pin_the_disk() -> None:
    """No helper processes: there would be one for each of some thousand segments."""
    limits = {"segment_bytes": SEGMENT_BYTES, "snapshot_bytes": SEGMENT_BYTES}
    unread, passing = UNREAD_BYTES // PART, PASSING_BYTES // PART
    found = trio.run(partial(run, unread, passing, BODY_BYTES, limits=limits, sync="thread"))
    assert found.passed > 0.99 * passing
    assert found.usual >= found.unread
    assert found.ended <= SHARE_MAX * found.unread
    assert found.most <= SHARE_MAX * found.unread + found.most_within(COMPACTION_S)
