"""Kinds of faults by what they strike: processes, the network, clocks, disks.

One rule: each kind is of one family, so that hours can be told by family.
"""

from collections.abc import Iterable
from typing import Final

NO_FAULT: Final = "no fault"
PROCESSES: Final = "processes"
NETWORK: Final = "network"
CLOCKS: Final = "clocks"
DISKS: Final = "disks"
FAMILIES: Final = (NO_FAULT, PROCESSES, NETWORK, CLOCKS, DISKS)

_WORDS: Final = {
    "crash": PROCESSES,
    "unsynced": DISKS,
    "stopped": DISKS,
    "stalled": PROCESSES,
    "release": PROCESSES,
}
"""What the first word of a kind that no plan has says; those of links are the others."""


def family(kind: str) -> str:
    """Of a kind of fault, planned or of chance."""
    from haqactor.sim import profiles, rollouts

    planned = (
        (DISKS, (*profiles.REFUSALS, *profiles.DAMAGE, *profiles.LIES)),
        (PROCESSES, (*profiles.PROCESS, *rollouts.KINDS)),
        (NETWORK, profiles.NETWORK),
        (CLOCKS, profiles.CLOCKS),
    )
    for name, kinds in planned:
        if kind in kinds:
            return name
    return _WORDS.get(kind.partition("_")[0], NETWORK)


def families(kinds: Iterable[str]) -> tuple[str, ...]:
    """Those of all kinds, each once; NO_FAULT for none."""
    found = {family(kind): None for kind in kinds}
    return tuple(name for name in FAMILIES if name in found) or (NO_FAULT,)
