"""The network between replicas: single messages that are late, lost, repeated, overtaken or cut off.

One rule: each link draws from a stream of its own; a message that is cut is cut when it is sent, or when it
would arrive.
"""

from collections.abc import Callable
from heapq import heappush
from math import log
from typing import Any

from haqactor.sim.cores.heap import Timeline
from haqactor.sim.cores.plan import Plan
from haqactor.sim.keyed import keyed

_DELAYS = 256
_FINE = 1 << 32


class Links:
    """``cut[a][b]``: nothing gets from a to b. ``slow[a][b]``: nanoseconds on top. ``held``: messages of a
    link are kept back until it is let go."""

    def __init__(
        self, plan: Plan, timeline: Timeline, arrive: Callable[[tuple[int, int, Any]], None]
    ) -> None:
        size = plan.replicas
        self._timeline = timeline
        self._arrive = arrive
        self._loss = plan.loss
        self._odd = plan.loss + plan.repeat
        self._draws = [[keyed(plan.seed, "link", a, b).random for b in range(size)] for a in range(size)]
        mean = 0 if plan.constant else plan.delay_mean_ns
        chance = keyed(plan.seed, "delays")
        self._delays = [plan.delay_min_ns + int(-log(1.0 - chance.random()) * mean) for _ in range(_DELAYS)]
        self.cut = [[False] * size for _ in range(size)]
        self.slow = [[0] * size for _ in range(size)]
        self.held: dict[tuple[int, int], list[tuple[int, int, Any]]] = {}
        self.dropped = 0
        self.repeated = 0

    def send(self, source: int, target: int, message: Any) -> None:
        """Hand over one message."""
        if self.cut[source][target]:
            self.dropped += 1
            return
        envelope = (source, target, message)
        if self.held and (source, target) in self.held:
            self.held[source, target].append(envelope)
            return
        draw = self._draws[source][target]
        chance = draw()
        delay = self._delays[int(chance * _FINE) % _DELAYS] + self.slow[source][target]
        timeline = self._timeline
        if chance < self._odd:
            if chance < self._loss:
                self.dropped += 1
                return
            self.repeated += 1
            timeline.after(delay * (1 + int(draw() * 8)), self._arrive, envelope)
        timeline.number = number = timeline.number + 1
        heappush(timeline.heap, (timeline.now_ns + delay, number, self._arrive, envelope))

    def isolate(self, inside: list[int]) -> None:
        """Cut ``inside`` off from all others, both ways."""
        size = len(self.cut)
        for a in range(size):
            for b in range(size):
                if (a in inside) != (b in inside):
                    self.cut[a][b] = True

    def hold(self, source: int, target: int) -> None:
        """Keep back what is sent from now on."""
        self.held.setdefault((source, target), [])

    def release(self, source: int, target: int) -> None:
        """Let what was kept back arrive, the newest first."""
        for envelope in reversed(self.held.pop((source, target), [])):
            self._timeline.after(self._delays[0], self._arrive, envelope)

    def reachable(self, node: int, other: int) -> bool:
        """Both ways?"""
        return not (self.cut[node][other] or self.cut[other][node])

    def heal(self) -> None:
        """The network is whole, and quick."""
        size = len(self.cut)
        for a in range(size):
            for b in range(size):
                self.cut[a][b] = False
                self.slow[a][b] = 0
        for a, b in list(self.held):
            self.release(a, b)

    def calm(self) -> None:
        """For the rest of the run nothing is lost or repeated by itself."""
        self._loss = self._odd = 0.0
