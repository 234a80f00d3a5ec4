"""One figure: its name is fixed, since others compare against it.

One rule: a figure carries the ratio to the ceiling of the same run wherever both moved messages of the same
size.
"""

import os
from dataclasses import dataclass, field
from typing import Final

QUICK: Final = os.environ.get("QUICK", "") not in ("", "0")
"""``QUICK=1``: fewer messages and runs, three minutes in all."""


class BenchmarkWrong(Exception):
    """What arrived is not what was sent: whatever was measured is worthless."""


@dataclass(slots=True)
class Result:
    """``ratio_to``: this value by that of the ceiling (or a peer) in the same run."""

    name: str
    value: float
    unit: str
    ratio_to: dict[str, float] = field(default_factory=dict[str, float])


def check_same(sent: list[bytes], arrived: list[bytes]) -> None:
    """Every body exactly once. Raises BenchmarkWrong."""
    if len(arrived) != len(sent):
        raise BenchmarkWrong(f"{len(sent)} messages were sent, {len(arrived)} arrived")
    if arrived != sent and sorted(arrived) != sorted(sent):
        raise BenchmarkWrong("the number of messages is right, but not their content")


def median(values: list[float]) -> float:
    """The middle one; the mean of two would be a figure that nobody measured."""
    return sorted(values)[len(values) // 2]
