"""The promises under overload, judged by samples and outcomes: pure functions that return what was broken.

One rule: a sentence names the node, the producer or the error, with both figures: found and allowed.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final

from tests.overload.outcomes import Outcomes
from tests.overload.sampling import Leaders, Sample

MB: Final = 1_000_000
GROWTH_BYTES: Final = 3 * MB
GROWTH_SHARE: Final = 0.03
"""Over the second half memory may grow by this much, whichever is more: pages come and go."""
WINDOW_S: Final = 30.0
SHORT_S: Final = 240.0
SHORT_GROWTH_BYTES: Final = 8 * MB
"""In a run that is shorter caches still fill, and the journal starts the helper of its next segment."""


def bounded(samples: Sequence[Sample], bound: int) -> list[str]:
    """No node's memory was ever above ``bound`` bytes."""
    found: list[str] = []
    for node, row in enumerate(zip(*(each.rss for each in samples), strict=True)):
        most = max(row)
        if most > bound:
            found.append(f"n{node} held {most / MB:.1f} MB, allowed are {bound / MB:.1f} MB")
        if min(row) == 0:
            found.append(f"n{node} ended")
    return found


def growth(times: Sequence[float], values: Sequence[float]) -> float:
    """How much a straight line through the points rises from the first time to the last."""
    middle, mean = fmean(times), fmean(values)
    spread = sum((time - middle) ** 2 for time in times)
    if not spread:
        return 0.0
    slope = sum((time - middle) * (value - mean) for time, value in zip(times, values, strict=True)) / spread
    return slope * (times[-1] - times[0])


def floors(samples: Sequence[Sample]) -> list[Sample]:
    """The least that each node held in every ``WINDOW_S``, at that window's first time: what is lent for a
    moment (a worker thread's buffers) goes again, and what leaks stays."""
    windows: dict[int, list[Sample]] = {}
    for each in samples:
        windows.setdefault(int((each.at_s - samples[0].at_s) / WINDOW_S), []).append(each)
    if len(windows) > 1 and samples[-1].at_s - next(reversed(windows.values()))[0].at_s < WINDOW_S / 2:
        windows.popitem()  # few samples have no floor
    return [
        Sample(window[0].at_s, tuple(map(min, zip(*(each.rss for each in window), strict=True))), {})
        for window in windows.values()
    ]


def flat(samples: Sequence[Sample]) -> list[str]:
    """Memory does not grow over the second half: neither its floor, nor, by more, all of it."""
    half = samples[len(samples) // 2 :]
    found = _grown(half, half, SHORT_GROWTH_BYTES)
    if samples[-1].at_s >= SHORT_S:
        found = found or _grown(floors(half), half, GROWTH_BYTES)
    return found


def _grown(looked: Sequence[Sample], half: Sequence[Sample], least: int) -> list[str]:
    times = [each.at_s for each in looked]
    longer = (half[-1].at_s - half[0].at_s) / max(times[-1] - times[0], 1e-9)
    found: list[str] = []
    for node in range(len(half[0].rss)):
        values = [each.rss[node] for each in looked]
        allowed = max(least, GROWTH_SHARE * fmean(values))
        grown = growth(times, values) * longer
        if grown > allowed:
            found.append(
                f"n{node} grew by {grown / MB:.1f} MB over the second half, allowed are {allowed / MB:.1f} MB"
            )
    return found


def told(outcomes: Outcomes) -> list[str]:
    """Whoever asked waited or got ``Overloaded``, and something was confirmed."""
    found = list(outcomes.others)
    if outcomes.wrong > len(found):
        found.append(f"and {outcomes.wrong - len(found)} more")
    if outcomes.confirmed and not outcomes.total:
        found.append("nothing was confirmed")
    return found


def led(before: Leaders, samples: Sequence[Sample]) -> list[str]:
    """No group changed its leader or its term."""
    last: Mapping[int, tuple[int, int]] = samples[-1].leaders
    return [
        f"group {group}: n{node} in term {term}, at the end n{last[group][0]} in term {last[group][1]}"
        for group, (node, term) in before.items()
        if group in last and last[group] != (node, term)
    ]


def fair(outcomes: Outcomes) -> list[str]:
    """Of equal producers none has less than half of the mean."""
    found: list[str] = []
    for queue, row in outcomes.confirmed.items():
        mean = fmean(row.values())
        found += [
            f"producer {producer} of {queue} got {count:,} messages in, the mean is {mean:,.0f}"
            for producer, count in row.items()
            if count < mean / 2
        ]
    return found
