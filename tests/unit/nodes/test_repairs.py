"""When a node repairs its disk by itself, and when it refuses."""

from dataclasses import dataclass

import pytest
import structlog

from haqactor.errors import DataDamaged
from haqactor.journal.identity import Identity
from haqactor.nodes.repairs import PERIOD_NS, REPAIRS_MAX, Refused, Repairs

ALONE = Identity(members=((0, "a:1", b"x"),))
TOGETHER = Identity(members=tuple((number, f"n{number}:1", bytes([number])) for number in range(3)))
ERROR = DataDamaged("segment-1 at offset 512: a checksum is wrong")


@dataclass
class Clock:
    now_ns: int = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns


def repairs(clock: Clock | None = None) -> Repairs:
    return Repairs(clock or Clock(), structlog.get_logger(), "/data")


def test_the_only_copy_is_refused_with_the_ways_out() -> None:
    ours = repairs()
    assert not ours.allowed(ALONE)
    with pytest.raises(Refused, match=r"offset 512.*Restore a backup of /data.*haq group recover"):
        ours.again(ERROR, ALONE)
    assert not ours.distrust


def test_what_others_hold_is_repaired_also_where_the_cluster_was_founded_since_the_start() -> None:
    ours = repairs()
    assert not ours.allowed(Identity()), "nothing is founded yet"
    ours.again(ERROR, TOGETHER)
    assert ours.distrust
    ours.opened(())
    assert not ours.distrust


def test_a_disk_that_goes_on_rotting_ends_the_node() -> None:
    clock = Clock()
    ours = repairs(clock)
    for _ in range(REPAIRS_MAX):
        ours.again(ERROR, TOGETHER)
        clock.now_ns += 1
    with pytest.raises(Refused, match="replace the disk"):
        ours.again(ERROR, TOGETHER)
    clock.now_ns += PERIOD_NS + 1
    ours.again(ERROR, TOGETHER)
