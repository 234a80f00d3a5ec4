"""Which release runs where in the course of a run: an upgrade of all nodes or of some, and a way back.

One rule: all of it comes from a stream of its own, so that the other faults of a seed are as they would be
without it.
"""

from typing import Final

from haqactor.sim.keyed import Stream, keyed
from haqactor.sim.plan import NS, Fault

KINDS: Final = ("upgrade", "downgrade")
_SHARE: Final = 0.3
"""Of the seeds."""
_MS: Final = 1_000_000


def rollout(seed: int, safety_ns: int) -> tuple[Fault, ...]:
    """The faults of these kinds in a seed's plan; none in most. A roll is meant to be over in time, and who
    goes back does it in its midst, or right after it, while the version is being raised, or later."""
    stream = keyed(seed, "faults", "upgrade")
    if stream.random() >= _SHARE:
        return ()
    for_ns = stream.choice((20, 100, 300)) * _MS
    gap_ns = for_ns + stream.choice((100, 300, 600)) * _MS
    at_ns = NS + stream.randrange(NS)
    everybody = stream.random() < 0.7
    first = "all" if everybody else f"n{stream.randrange(3)}"
    faults = [_change("upgrade", at_ns, first, stream, for_ns, gap_ns)]
    at_ns += gap_ns * stream.choice((1, 3, 3)) if everybody else gap_ns
    back = stream.random() < 0.6
    if back:
        at_ns += stream.choice((0, 100, 300, 1000)) * _MS
        who = f"n{stream.randrange(3)}" if everybody else first
        faults.append(_change("downgrade", at_ns, who, stream, for_ns, gap_ns))
        at_ns += for_ns + 500 * _MS
    if not everybody or (back and stream.random() < 0.5):
        who = "all" if everybody else stream.choice(("all", f"n{stream.randrange(3)}"))
        faults.append(_change("upgrade", at_ns, who, stream, for_ns, gap_ns))
    return tuple(fault for fault in faults if fault.at_ns < safety_ns)


def _change(kind: str, at_ns: int, who: str, stream: Stream, for_ns: int, gap_ns: int) -> Fault:
    """``crash``: it ends by a crash, not in order."""
    crash = stream.random() < 0.4
    return Fault(at_ns, kind, who, {"for_ns": for_ns, "gap_ns": gap_ns, "crash": crash})
