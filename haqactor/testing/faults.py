"""What a scenario can do to the simulated network, by the names of hosts: nodes ``n0``, ``n1``, ... and its
own programs.

One rule: a fault happens at this very instant, but after the task that asked for it has waited for something;
so a host is never changed while it runs.
"""

from collections.abc import Callable, Sequence
from functools import partial

from haqactor.sim.cluster import SimCluster
from haqactor.sim.network import partitions
from haqactor.sim.world import NS

Faults = Callable[[Callable[[], object]], None]


class NetworkFaults:
    """Cuts lose what is sent, and TCP sends it again after ``heal``: nothing else tells a slow network from a
    broken one."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster

    def _do(self, name: str, *arguments: object) -> None:
        world = self._cluster.world
        world.trace.add("scenario", "", name, str(arguments))
        world.call_after(0, partial(partitions.apply, self._cluster.fabric, name, *arguments))

    def _known(self, *names: str) -> None:
        for name in names:
            if name not in self._cluster.world.hosts:
                known = ", ".join(self._cluster.world.hosts)
                raise ValueError(f"there is no host {name!r} in this world; there are {known}")

    def isolate(self, name: str, *, spared: Sequence[str] = ()) -> None:
        """``name`` and all others, clients too, do not hear each other; but for ``spared``."""
        self._known(name, *spared)
        self._do("isolate", name, tuple(spared))

    def deafen(self, name: str, *, spared: Sequence[str] = ()) -> None:
        """``name`` hears nobody, and is heard."""
        self._known(name, *spared)
        self._do("deafen", name, tuple(spared))

    def mute(self, name: str, *, spared: Sequence[str] = ()) -> None:
        """``name`` hears all, and nobody hears it."""
        self._known(name, *spared)
        self._do("mute", name, tuple(spared))

    def partition(self, *groups: Sequence[str]) -> None:
        """No group hears another one; hosts in no group hear all."""
        self._known(*(name for group in groups for name in group))
        self._do("partition", [list(group) for group in groups])

    def one_way(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        """What ``sources`` send to ``targets`` is lost; the other direction works."""
        self._known(*sources, *targets)
        self._do("one_way", list(sources), list(targets))

    def clog(self, source: str, target: str, seconds: float) -> None:
        """Hold everything back from one to the other for so long; nothing is lost."""
        self._known(source, target)
        self._do("clog", source, target, round(seconds * NS))

    def reset(self, one: str, other: str) -> None:
        """Break all connections between the two; they may dial again at once."""
        self._known(one, other)
        self._do("reset", one, other)

    def heal(self) -> None:
        """All cuts are over, those of the profile that are under way, too."""
        self._do("heal")
