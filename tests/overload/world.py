"""What a scenario is handed: the cluster, a broker to look with, the books, and how much of everything.

One rule: a scenario makes its queues, then its load until it is cancelled; it judges nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import haqactor
from haqactor.cli.launcher import LocalCluster
from tests.overload.bound import Fills
from tests.overload.outcomes import Outcomes
from tests.overload.sampling import leaders


@dataclass(slots=True, kw_only=True)
class World:
    """``size``: how many producers, connections or queues, as the scenario says. ``notes``: figures of its
    own. ``places``: group and uid of the queues that were declared."""

    cluster: LocalCluster
    broker: haqactor.Broker
    size: int
    outcomes: Outcomes = field(default_factory=Outcomes)
    notes: dict[str, float] = field(default_factory=dict[str, float])
    places: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def count(self, note: str, more: float = 1) -> None:
        """Add to a figure."""
        self.notes[note] = self.notes.get(note, 0) + more

    async def declare(self, config: haqactor.QueueConfig) -> None:
        """A queue."""
        await self.broker.declare(config)
        target = await self.broker.resolve(config.name)
        self.places[config.name] = target.group, target.uid

    async def leader_of(self, group: int) -> str:
        """The address of its leader."""
        node, _term = (await leaders(self.broker))[group]
        return self.cluster.node(node).listen


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """``size``: its default; ``unit``: of what. ``prepare`` ends; ``load`` goes on until it is cancelled.
    ``fills``: what it can fill at one node, for a size. ``fair``: its producers are equal."""

    name: str
    about: str
    size: int
    unit: str
    prepare: Callable[[World], Awaitable[None]]
    load: Callable[[World], Awaitable[None]]
    fills: Callable[[int], Fills]
    fair: bool = False
