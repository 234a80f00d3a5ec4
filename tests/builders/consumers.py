"""Honest clients of a group, for tests: they remember what they hold, and check what they are sent."""

from dataclasses import dataclass, field

from haqactor.machine.actions import Part

Key = tuple[bytes, int]


def sequences(part: Part) -> dict[int, int]:
    """What a part leases: sequence -> row of the stored batch."""
    leased = [seq for low, high in part.ranges for seq in range(low, high + 1)]
    if part.rows is not None:
        assert part.base == -1
        return dict(zip(leased, part.rows, strict=True))
    assert part.base >= 0
    return {seq: seq - part.base for seq in leased}


def runs(numbers: list[int]) -> list[list[int]]:
    """Sorted numbers as [first, last]."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


@dataclass
class TestConsumer:
    """``held``: sequence -> lease. ``attached``: subscribed at the present leader."""

    __test__ = False

    key: Key
    uid: int
    credit: int
    attached: bool = False
    held: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    started: list[int] = field(default_factory=list[int])

    def rows(self, chosen: list[int]) -> list[list[int]]:
        """Lease rows of some of what it holds."""
        by_lease: dict[tuple[int, int], list[int]] = {}
        for seq in chosen:
            by_lease.setdefault(self.held[seq], []).append(seq)
        return [[*lease, low, high] for lease, held in by_lease.items() for low, high in runs(held)]

    def drop(self, chosen: list[int]) -> None:
        """It holds them no longer."""
        for seq in chosen:
            self.held.pop(seq, None)
        self.started = [seq for seq in self.started if seq in self.held]
