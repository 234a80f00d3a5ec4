"""The timeline: what happened to whom, and what clients felt of it, as lines of text.

One rule: it is made of a result alone, so that it can be drawn again from what a run left behind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.chaos.history import Record
from tests.chaos.nemesis import Span

WIDTH: Final = 80
MARKS: Final = {
    "dead": "X",
    "starting": "x",
    "paused": "=",
    "cut": "/",
    "cut_one_way": "/",
    "split": "%",
    "isolate": "#",
    "silence": "~",
    "deafen": "<",
    "mute": ">",
    "stall": "-",
    "delay": ".",
    "reset": "!",
    "client_crash": "X",
    "damage": "D",
    "disk_full": "F",
    "outage": "O",
}
"""What a lane shows; a fault of processes shows as the state that it makes."""
_LEVELS: Final = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Figures:
    """``confirmed``: messages; ``gap_s``: the longest time without a confirmation while programs published;
    ``refused``, ``unknown``: publishes that ended so."""

    confirmed: int
    delivered: int
    settled: int
    refused: int
    unknown: int
    per_s: float
    gap_s: float
    gap_at_s: float


def figures(records: Sequence[Record], until_s: float) -> Figures:
    """``until_s``: when programs stopped publishing."""
    published = [each for each in records if each.kind == "publish"]
    times = confirmations(records)
    within = [0.0, *[time for time, _count in times if time <= until_s], until_s]
    gap_s, gap_at_s = max(
        ((after - before, before) for before, after in pairwise(within)),
        default=(0.0, 0.0),
    )
    confirmed = sum(count for _time, count in times)
    return Figures(
        confirmed=confirmed,
        delivered=sum(1 for each in records if each.kind == "deliver"),
        settled=sum(
            len(each.ids) for each in records if each.kind == "settle" and each.outcome == "confirmed"
        ),
        refused=sum(1 for each in published if each.outcome == "refused"),
        unknown=sum(1 for each in published if each.outcome == "unknown"),
        per_s=confirmed / until_s if until_s else 0.0,
        gap_s=gap_s,
        gap_at_s=gap_at_s,
    )


def confirmations(records: Iterable[Record]) -> list[tuple[float, int]]:
    """When, and of how many messages; by time."""
    return sorted(
        (each.ended_s, len(each.ids))
        for each in records
        if each.kind == "publish" and each.outcome == "confirmed" and each.ended_s is not None
    )


def rates(records: Iterable[Record], until_s: float, parts: int) -> list[float]:
    """Confirmed messages a second, in so many equal parts of the time."""
    width_s = until_s / parts
    counts = [0] * parts
    for time, count in confirmations(records):
        if time < until_s:
            counts[int(time / width_s)] += count
    return [count / width_s for count in counts]


def text(
    lanes: Sequence[str], spans: Sequence[Span], records: Sequence[Record], until_s: float, width: int = WIDTH
) -> str:
    """A line for each lane, one of confirmations, and the time."""
    until_s = max(until_s, 0.001)
    rows = [f"{lane:>8} |{_lane(lane, spans, until_s, width)}|" for lane in lanes]
    found = rates(records, until_s, width)
    top = max(found, default=0.0) or 1.0
    bars = "".join(_LEVELS[round(rate / top * (len(_LEVELS) - 1))] for rate in found)
    rows.append(f"{'confirms':>8} |{bars}| up to {top:,.0f} messages/s")
    scale = f"0 s{f'{until_s:.0f} s':>{width - 3}}"
    rows.append(f"{'':>8}  {scale}")
    used = dict.fromkeys(span.kind for span in spans if span.kind in MARKS)
    rows.append(f"{'':>8}  " + "  ".join(f"{MARKS[kind]} {kind}" for kind in used))
    return "\n".join(rows)


def _lane(lane: str, spans: Sequence[Span], until_s: float, width: int) -> str:
    cells = [" "] * width
    for span in spans:
        if span.lane == lane and span.kind in MARKS and span.from_s < until_s:
            first = int(span.from_s / until_s * width)
            last = min(width - 1, int(span.to_s / until_s * width))
            for at in range(max(0, first), last + 1):
                cells[at] = MARKS[span.kind]
    return "".join(cells)
