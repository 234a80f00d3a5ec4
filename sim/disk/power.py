"""Cutting the power of a host: now, or right after one operation of its disk.

One rule: the host dies first, then its disk forgets; a program that merely ends loses nothing.
"""

from collections.abc import Callable

from haqactor.sim.disk.fates import SECTOR, Fate, Survival
from haqactor.sim.disk.medium import Medium
from haqactor.sim.host import Host


def cut_power(host: Host, medium: Medium, survival: Survival | None = None) -> dict[Fate, int]:
    """Crash the host, and let its disk keep, drop and tear what was not synced: how many of each. Not from
    within a host."""
    host.crash()
    counted = medium.crash(survival=survival)
    host.world.trace.add("fault", host.name, "power", *(counted[fate] for fate in Fate))
    return counted


def cut_power_after(
    host: Host,
    medium: Medium,
    operation: int,
    survival: Survival | None = None,
    *,
    torn: str = "",
    cut: Callable[[], object] | None = None,
) -> None:
    """Cut it when the disk was changed for the ``operation``-th time (from 1, over all incarnations): that
    change has happened, and nobody has heard of it. Nothing later has an effect, or an answer. ``torn``: not
    before a write of several sectors, to a file whose path begins so, waits for its sync: it can be torn.

    ``cut`` is called instead of ``cut_power`` by whoever has more to do then; it must crash both, too."""

    def default() -> object:
        return cut_power(host, medium, survival)

    def look(number: int, _kind: str) -> None:
        if number >= operation and (not torn or medium.longest_unsynced(torn) > SECTOR):
            medium.on_operation = None
            medium.stopped = True
            chosen = default if cut is None else cut
            host.world.call_after(0, lambda: _drop(chosen()))

    medium.on_operation = look


def _drop(_result: object) -> None:
    """A callback of the world answers nothing."""
