"""Where faults aim: at the moments and places at which most can go wrong.

One rule: an aim is more arguments of a fault, drawn from a stream of its own; so it leaves all other draws as
they were.
"""

from dataclasses import replace
from typing import Final

from haqactor.sim.keyed import Stream
from haqactor.sim.plan import Fault, Json

MS: Final = 1_000_000
_RECENT: Final = 0.6
_TORN: Final = 0.8
_AGAIN: Final = 0.4


def aimed(stream: Stream, fault: Fault) -> Fault:
    """What rots is often read again at once; the power often goes while something long is being written, and
    whoever comes back is often stopped again."""
    more: dict[str, Json] = {}
    if fault.kind == "bit_rot" and stream.random() < _RECENT and not fault.args.get("tail"):
        more = {"for_ns": MS, "recent": True, "crash": True}
    elif fault.kind == "power_cut":
        if stream.random() < _TORN:
            more["torn"] = True
        again_ns = stream.choice((5, 30, 100)) * MS
        if stream.random() < _AGAIN:
            more |= {"again": True, "again_ns": again_ns}
    return replace(fault, args={**fault.args, **more}) if more else fault
