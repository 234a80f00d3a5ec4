"""What goes wrong in a run: each seed draws a shape of the cluster, a subset of the kinds of faults, and when
they come.

One rule: swarm testing (Groce et al., ISSTA 2012): a run with few kinds of faults finds what a run with all
of them hides; one seed in ten has none, and must be clean.
"""

from dataclasses import replace
from typing import Final

from haqactor.sim.aims import aimed
from haqactor.sim.drawn import SAFETY_NS, Drawn
from haqactor.sim.keyed import Stream, keyed
from haqactor.sim.plan import Fault, Plan
from haqactor.sim.rollouts import KINDS as RELEASES
from haqactor.sim.rollouts import rollout
from haqactor.sim.workload.kinds import ALONE, WORK
from haqactor.sim.world import NS

MS: Final = 1_000_000
_MEANS_NS: Final = (NS, 2 * NS, 4 * NS)
_OFTEN_NS: Final = (NS // 2, NS, 2 * NS)
"""Between two faults of a kind, on average."""
_BEGIN_NS: Final = NS
"""Until then a cluster founds itself in peace."""

PROCESS: Final = (
    "crash",
    "kill",
    "restart",
    "pause",
    "sandwich",
    "power_loss",
    "power_cut",
    "rolling_restart",
    "wipe",
    "handover",
    "stall",
)
NETWORK: Final = (
    *("isolate", "deafen", "mute", "bridge", "swizzle", "clog", "reset", "half_open", "late"),
    *("split", "flap"),
)
CLOCKS: Final = ("wall_step", "drift")
REFUSALS: Final = ("sync_error", "disk_full", "disk_slow", "disk_hang")
"""A disk that does less than it should, and says so."""
DAMAGE: Final = (
    *("bit_rot", "misdirected", "read_error", "truncated_file", "emptied_file"),
    *("lost_file", "lost_disk", "wipe"),
)
"""What takes durable bytes; let through by the atlas only."""
_SHY: Final = (*DAMAGE, *REFUSALS, "power_cut")
"""Those that need something of the disk to hit: they come more often than they fire."""
LIES: Final = ("sync_lie", "lost_write")
"""What no program can notice: nothing is promised on such disks, and the checkers have to see it."""

PROFILES: Final[dict[str, tuple[str, ...]]] = {
    "calm": (),
    "crash": (*PROCESS, *RELEASES),
    "partition": NETWORK,
    "clock": CLOCKS,
    "disk": (*REFUSALS, *DAMAGE, "crash", "power_cut"),
    "gray": ("pause", "stall", "disk_slow", "disk_hang", "deafen", "mute", "half_open", "late", *CLOCKS),
    "swarm": tuple(dict.fromkeys((*PROCESS, *RELEASES, *NETWORK, *CLOCKS, *REFUSALS, *DAMAGE))),
    "beyond": (*DAMAGE, "crash", "power_loss"),
    "lying": (*LIES, "crash", "power_loss", "power_cut"),
}
"""Name to the kinds of faults that its seeds draw from."""

UNBOUNDED: Final = ("beyond",)
"""Profiles in which majorities may be damaged: refusing is right there, lying is not."""

KINDS_MAX: Final = 6
"""Of faults in one seed, but for those of ``OWN_DRAWS``."""
OWN_DRAWS: Final = ("split", "flap", "handover", "stall", "disk_hang")
"""Kinds that are drawn each from a stream of its own, so that seeds which do without are as they were."""
GRAY: Final = ("stall", "disk_hang")
"""Those of them after which a node lives, is connected, beats, and does nothing."""
_OWN_SHARE: Final = 0.25
_LAST_NS: Final = 600 * MS
"""So long before the end at most they come once more: what they spoil is often mended by whatever follows."""

CHANCES: Final[dict[str, tuple[float, ...]]] = {
    "clog_share": (0.0002, 0.001),
    "reset_share": (0.0002, 0.002),
    "half_open_share": (0.2, 0.6),
    "late_share": (0.2, 0.6),
    "dial_loss_share": (0.01, 0.05),
    "split_share": (0.0, 0.5, 0.9),
    "chop_share": (0.0, 0.3, 0.9),
    "buggify": (0.05, 0.25),
}
"""What goes wrong by chance all the time, and how often."""
DATAGRAM_CHANCES: Final[dict[str, tuple[float, ...]]] = {
    "datagram_loss_share": (0.01, 0.1, 0.3),
    "datagram_duplicate_share": (0.01, 0.1),
    "datagram_reorder_share": (0.05, 0.3),
    "datagram_corrupt_share": (0.001, 0.02),
}
"""As CHANCES, of packets; each is drawn from a stream of its own, so that seeds are as they were before there
were any."""
_RANDOMLY: Final = ("swarm", "partition")

COMPANIONS: Final = {
    "split": ("backlog", "reads"),
    "flap": ("proxy",),
    "handover": ("proxy",),
    "bit_rot": ("monotonous",),
}
"""Kinds of faults, and the work in which most of what they bring about is seen: half of the seeds with the
one have the other, too."""

LIMITS: Final[dict[str, tuple[float, ...]]] = {
    "mailbox_batches_max": (2, 4),
    "uncommitted_bytes_max": (256, 1024),
    "consumer_credit_messages": (2, 6),
    "reserve_messages": (4, 8),
    "grace": (0.2, 0.4),
    "handshake": (0.5, 1.5),
    "heartbeat": (0.1, 0.25),
    "probe_interval": (0.2, 1.0),
}
"""Bounds of nodes that are smaller still in some seeds, and the values that they may have."""
_LIMITED_SHARE: Final = 0.5
_USUAL: Final = {"heartbeat": 0.15, "probe_interval": 0.4, "rejoin_max": 2.0}
"""Of all other seeds with faults: idle beats are most of what a run costs, and little of what it shows; and
membership is to suspect, bury and find back within seconds."""


def draw(seed: int, profile: str, safety_ns: int = SAFETY_NS) -> Drawn:
    """The run of a seed. Raises ValueError for a profile that is none."""
    if profile not in PROFILES:
        raise ValueError(f"there is no profile {profile!r}; there are {', '.join(PROFILES)}")
    stream = keyed(seed, "profile", profile)
    apart = (*OWN_DRAWS, *RELEASES)
    kinds = _subset(stream, tuple(kind for kind in PROFILES[profile] if kind not in apart))
    kinds += tuple(kind for kind in OWN_DRAWS if kinds and kind in PROFILES[profile] and _also(seed, kind))
    nodes = 3 if stream.random() < 0.8 else 5
    releases = rollout(seed, safety_ns) if kinds and RELEASES[0] in PROFILES[profile] else ()
    drawn = Drawn(
        nodes=nodes,
        groups=1 + stream.randrange(4),
        producers=1 + stream.randrange(3),
        consumers=1 + stream.randrange(2),
        pause_s=stream.choice((0.03, 0.06, 0.1)),
        operations=60 + stream.randrange(60),
        safety_ns=safety_ns,
        plan=Plan((*_plan(seed, kinds, nodes, safety_ns), *releases)),
        work=_work(seed, kinds),
        limits=_limits(seed) if kinds else {},
        chances=_chances(seed) if kinds and profile in _RANDOMLY else {},
        core=_core(seed, nodes) if kinds else (),
    )
    return _lasting(drawn) if releases or any(kind in OWN_DRAWS for kind in kinds) else drawn


def _lasting(drawn: Drawn) -> Drawn:
    """Somebody has to publish as long as leaders are cut off, or move, or what they do wrong is not seen."""
    pause_s = drawn.producers * drawn.safety_ns / NS / drawn.operations
    return replace(drawn, pause_s=max(drawn.pause_s, round(pause_s, 3)))


def _work(seed: int, kinds: tuple[str, ...]) -> tuple[str, ...]:
    stream = keyed(seed, "work")
    count = 0 if stream.random() < 0.1 else 1 + stream.randrange(6)
    together = tuple(kind for kind in WORK if kind not in ALONE)
    also = tuple(kind for kind in ALONE if keyed(seed, "work", kind).random() < ALONE[kind])
    met = tuple(
        work
        for kind in kinds
        for work in COMPANIONS.get(kind, ())
        if keyed(seed, "work", kind, work).random() < 0.5
    )
    return tuple(sorted(dict.fromkeys((*stream.sample(together, count), *also, *met))))


def _subset(stream: Stream, kinds: tuple[str, ...]) -> tuple[str, ...]:
    if not kinds or stream.random() < 0.1:
        return ()
    count = 1 + stream.randrange(min(KINDS_MAX, len(kinds)))
    return tuple(sorted(stream.sample(kinds, count)))


def _also(seed: int, kind: str) -> bool:
    return keyed(seed, "kinds", kind).random() < _OWN_SHARE


def _limits(seed: int) -> dict[str, float]:
    """Half of the seeds have some, each with probability 0.5."""
    stream = keyed(seed, "limits")
    if stream.random() >= _LIMITED_SHARE:
        return dict(_USUAL)
    drawn = {name: (stream.random() < 0.5, stream.choice(values)) for name, values in LIMITS.items()}
    return _USUAL | {name: value for name, (wanted, value) in drawn.items() if wanted}


def _chances(seed: int) -> dict[str, float]:
    """Each with probability 0.3."""
    stream = keyed(seed, "chances")
    drawn = {name: (stream.random() < 0.3, stream.choice(rates)) for name, rates in CHANCES.items()}
    for name, rates in DATAGRAM_CHANCES.items():
        own = keyed(seed, "chances", name)
        drawn[name] = own.random() < 0.3, own.choice(rates)
    return {name: rate for name, (wanted, rate) in drawn.items() if wanted}


def _core(seed: int, nodes: int) -> tuple[str, ...]:
    """Who works for ever in the liveness phase: from a bare majority up to all."""
    stream = keyed(seed, "core")
    count = stream.randrange(nodes // 2 + 1, nodes + 1)
    return tuple(sorted(f"n{number}" for number in stream.sample(range(nodes), count)))


def _plan(seed: int, kinds: tuple[str, ...], nodes: int, safety_ns: int) -> Plan:
    """Each kind from a stream of its own, so that taking one away leaves the others."""
    core = _core(seed, nodes)
    outside = next((f"n{number}" for number in range(nodes) if f"n{number}" not in core), "")
    faults: list[Fault] = []
    unlucky = f"n{keyed(seed, 'unlucky').randrange(3)}"
    for kind in kinds:
        stream, aims = keyed(seed, "faults", kind), keyed(seed, "aims", kind)
        mean_ns = stream.choice(_OFTEN_NS if kind in _SHY else _MEANS_NS)
        at_ns = _BEGIN_NS + stream.randrange(max(1, min(mean_ns, safety_ns - _BEGIN_NS)))
        while at_ns < safety_ns:
            fault = _fault(stream, kind, at_ns)
            fault = aimed(aims, fault)
            if kind in DAMAGE and stream.random() < 0.8:  # what is lost already may be hurt again and again
                fault = replace(fault, target=unlucky)
            faults.append(fault)
            at_ns += 100 * MS + round(stream.expovariate(1 / mean_ns))
        if kind in OWN_DRAWS and safety_ns > _BEGIN_NS + _LAST_NS:
            fault = _fault(stream, kind, safety_ns - stream.randrange(50 * MS, _LAST_NS))
            if kind in GRAY and outside:  # for ever: the others have to do without, though it lives
                fault = replace(fault, target=outside, args={**fault.args, "for_ns": safety_ns})
            faults.append(fault)
    return Plan(tuple(faults))


def _fault(stream: Stream, kind: str, at_ns: int) -> Fault:
    for_ns = stream.choice((20 * MS, 200 * MS, NS, 3 * NS)) * (50 + stream.randrange(100)) // 100
    if kind == "power_loss":
        return Fault(at_ns, kind, "all", {"for_ns": for_ns})
    if kind in ("swizzle", "rolling_restart"):
        gap_ns = 50 * MS if kind == "swizzle" else for_ns + stream.choice((0, 500 * MS))
        return Fault(at_ns, kind, "all", {"for_ns": for_ns, "gap_ns": gap_ns})
    who = "leader of group 1" if stream.random() < 0.4 else f"n{stream.randrange(3)}"
    if kind == "split":
        who = "leader of group 1" if stream.random() < 0.5 else who
        for_ns = stream.choice((3 * NS // 2, 2 * NS, 3 * NS))
        return Fault(at_ns, kind, who, {"for_ns": for_ns, "clients": stream.randrange(1 << 16)})
    if kind == "flap":
        gap_ns = stream.choice((2, 4, 20)) * MS
        return Fault(at_ns, kind, who, {"for_ns": gap_ns * stream.choice((10, 40, 100)), "gap_ns": gap_ns})
    if kind == "handover":
        trouble = stream.choice(("none", "pause", "slow", "crash", "crash"))
        on_ns = stream.choice((0, 20, 100, 300)) * MS
        to = stream.randrange(4)
        return Fault(at_ns, kind, who, {"for_ns": for_ns, "to": to, "trouble": trouble, "on_ns": on_ns})
    if kind == "wall_step":
        return Fault(at_ns, kind, who, {"by_ns": stream.choice((-1, 1)) * stream.randrange(1, 7200) * NS})
    if kind == "drift":
        return Fault(at_ns, kind, who, {"ppb": stream.randrange(-50_000_000, 50_000_000)})
    if kind == "power_cut":
        return Fault(at_ns, kind, who, {"for_ns": for_ns, "operations": 1 + stream.randrange(20)})
    if kind in ("disk_full", "sync_error"):
        return Fault(at_ns, kind, who, {"for_ns": NS + for_ns})
    if kind == "disk_hang":
        return Fault(at_ns, kind, who, {"for_ns": for_ns, "strength": 1, "stall_ns": 5 * NS})
    if kind == "disk_slow":
        strength, stall_ns = stream.choice((3, 10, 50)), stream.choice((NS // 2, NS // 2, 5 * NS))
        return Fault(at_ns, kind, who, {"for_ns": for_ns, "strength": strength, "stall_ns": stall_ns})
    if kind == "bit_rot" and stream.random() < 0.4:
        return Fault(at_ns, kind, who, {"for_ns": MS, **_place(stream), "crash": True, "tail": True})
    if kind in DAMAGE:
        return Fault(at_ns, kind, who, {"for_ns": for_ns // 4, **_place(stream)})
    return Fault(at_ns, kind, who, {"for_ns": for_ns})


def _place(stream: Stream) -> dict[str, int | bool]:
    """Where a disk is hurt, in numbers that fit any disk; whether the node then crashes and has to look."""
    return {
        "file": stream.randrange(1 << 16),
        "place": stream.randrange(1 << 24),
        "bit": stream.randrange(8),
        "crash": stream.random() < 0.6,
    }
