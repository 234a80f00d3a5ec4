"""Figures of several entrants beside each other, and haqactor's ratios to the others'.

One rule: what is compared was measured in one run, row by row; a figure that was measured several times is
its median.
"""

from dataclasses import dataclass
from typing import Final

from benchmarks import programs
from benchmarks.result import Result, median

OURS: Final = "haqactor"
"""Among the peers' names; its rows are those of ``benchmarks.programs``."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One value of one entrant."""

    peer: str
    client: str
    name: str
    value: float
    unit: str


def with_ratios(figures: list[Figure]) -> list[Result]:
    """haqactor's figures, each by the ceiling's, where it moved messages of its size, and by each peer's."""
    results = [Result(each.name, each.value, each.unit) for each in figures if each.peer == OURS]
    programs.add_ratios(results)
    for result in results:
        for other in figures:
            if other.peer != OURS and other.name == result.name and other.value:
                result.ratio_to[other.peer] = result.value / other.value
    return results


def medians(figures: list[Figure]) -> list[Figure]:
    """One of each name of each entrant, in the order in which they first came."""
    found: dict[tuple[str, str], list[Figure]] = {}
    for each in figures:
        found.setdefault((each.peer, each.name), []).append(each)
    return [
        Figure(peer, several[0].client, name, median([each.value for each in several]), several[0].unit)
        for (peer, name), several in found.items()
    ]
