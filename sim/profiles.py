"""What goes wrong in a run: each seed draws a shape of the cluster, a subset of the kinds of faults, and when
they come.

One rule: swarm testing (Groce et al., ISSTA 2012): a run with few kinds of faults finds what a run with all
of them hides; one seed in ten has none, and must be clean.
"""

from typing import Final

from haqactor.sim.drawn import SAFETY_NS, Drawn
from haqactor.sim.keyed import Stream, keyed
from haqactor.sim.plan import Fault, Plan
from haqactor.sim.world import NS

MS: Final = 1_000_000

PROCESS: Final = ("crash", "restart", "pause", "sandwich", "power_loss")
NETWORK: Final = ("isolate", "deafen", "mute", "bridge", "swizzle", "clog", "reset", "half_open", "late")
CLOCKS: Final = ("wall_step", "drift")

PROFILES: Final[dict[str, tuple[str, ...]]] = {
    "calm": (),
    "crash": PROCESS,
    "partition": NETWORK,
    "clock": CLOCKS,
    "swarm": (*PROCESS, *NETWORK, *CLOCKS),
}
"""Name to the kinds of faults that its seeds draw from."""


def draw(seed: int, profile: str, safety_ns: int = SAFETY_NS) -> Drawn:
    """The run of a seed. Raises ValueError for a profile that is none."""
    if profile not in PROFILES:
        raise ValueError(f"there is no profile {profile!r}; there are {', '.join(PROFILES)}")
    stream = keyed(seed, "profile", profile)
    kinds = _subset(stream, PROFILES[profile])
    return Drawn(
        nodes=3 if stream.random() < 0.8 else 5,
        groups=1 + stream.randrange(4),
        producers=1 + stream.randrange(3),
        consumers=1 + stream.randrange(2),
        pause_s=stream.choice((0.02, 0.05, 0.1)),
        operations=60,
        safety_ns=safety_ns,
        plan=_plan(seed, kinds, safety_ns),
    )


def _subset(stream: Stream, kinds: tuple[str, ...]) -> tuple[str, ...]:
    if not kinds or stream.random() < 0.1:
        return ()
    count = 1 + stream.randrange(min(5, len(kinds)))
    return tuple(sorted(stream.sample(kinds, count)))


def _plan(seed: int, kinds: tuple[str, ...], safety_ns: int) -> Plan:
    """Each kind from a stream of its own, so that taking one away leaves the others."""
    faults: list[Fault] = []
    for kind in kinds:
        stream = keyed(seed, "faults", kind)
        mean_ns = stream.choice((1, 2, 4)) * NS
        at_ns = NS + round(stream.expovariate(1 / mean_ns))
        while at_ns < safety_ns:
            faults.append(_fault(stream, kind, at_ns))
            at_ns += 100 * MS + round(stream.expovariate(1 / mean_ns))
    return Plan(tuple(faults))


def _fault(stream: Stream, kind: str, at_ns: int) -> Fault:
    for_ns = stream.choice((20 * MS, 200 * MS, NS, 3 * NS)) * (50 + stream.randrange(100)) // 100
    if kind == "power_loss":
        return Fault(at_ns, kind, "all", {"for_ns": for_ns})
    if kind == "swizzle":
        return Fault(at_ns, kind, "all", {"for_ns": for_ns, "gap_ns": 50 * MS})
    who = "leader of group 1" if stream.random() < 0.4 else f"n{stream.randrange(3)}"
    if kind == "wall_step":
        return Fault(at_ns, kind, who, {"by_ns": stream.choice((-1, 1)) * stream.randrange(1, 7200) * NS})
    if kind == "drift":
        return Fault(at_ns, kind, who, {"ppb": stream.randrange(-50_000_000, 50_000_000)})
    return Fault(at_ns, kind, who, {"for_ns": for_ns})
