"""What a seed means: sizes, speeds and the faults of one run, all drawn before it begins.

One rule: a plan is plain data, and the only place where a run's circumstances are chosen; the same seed,
profile and version make the same plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from haqactor.config import Limits
from haqactor.raft.config import RaftConfig
from haqactor.sim.keyed import Stream, keyed

US: Final = 1_000
MS: Final = 1_000_000
SECOND: Final = 1_000_000_000

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "calm": (),
    "crash": ("crash", "restart", "power", "tear", "reset"),
    "partition": ("isolate", "split", "oneway", "clog", "hold", "handover", "sandwich"),
    "disk": ("crash", "tear", "rot", "slow", "power"),
    "clock": ("pause", "crash", "isolate", "drift"),
    "swarm": (
        *("crash", "restart", "power", "tear", "rot", "slow", "pause", "isolate", "split", "oneway", "clog"),
        *("hold", "reset", "handover", "drift", "sandwich"),
    ),
}
"""The kinds of fault that a profile draws from; each seed gets a subset of them."""
PROFILES: Final = tuple(KINDS)


class Fault(NamedTuple):
    """``target``: a node, -1 for whoever leads then. ``span_ns``: until it is undone (0: at once)."""

    at_ns: int
    kind: str
    target: int
    span_ns: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Times in nanoseconds, chances in [0, 1]."""

    seed: int
    profile: str
    replicas: int
    safety_ns: int
    kinds: tuple[str, ...]
    faults: tuple[Fault, ...]
    raft: RaftConfig
    limits: Limits
    delay_min_ns: int
    delay_mean_ns: int
    constant: bool  #: every link and disk takes the same time always
    loss: float
    repeat: float
    turn_ns: int
    sync_ns: int
    snapshot_entries: int
    digest_every: int
    drift_ppm: tuple[int, ...]
    producers: int
    named: int
    consumers: int
    publish_ns: int
    batch_max: int
    client_delay_ns: int
    lease_ns: int
    max_attempts: int


def draw(seed: int, profile: str = "swarm") -> Plan:
    """The plan of a seed. Raises KeyError for a profile that is not known."""
    known = KINDS[profile]
    random = keyed(seed, "cores", profile)
    replicas = random.choice((3, 3, 3, 5))
    heartbeat_ns = random.choice((20, 30, 50)) * MS
    election_ns = heartbeat_ns * random.choice((4, 6))
    constant = random.random() < 0.15
    safety_ns = random.choice((3, 4, 6)) * SECOND
    kinds = _subset(random, known)
    rough = "clog" in kinds or (profile != "calm" and random.random() < 0.7)
    raft = RaftConfig(
        heartbeat_ns=heartbeat_ns,
        election_min_ns=election_ns,
        election_max_ns=election_ns * 2,
        suspicion_step_ns=heartbeat_ns // 2,
        disk_slow_ns=(slow_ns := random.choice((200, 500, 3_000)) * MS),
        disk_stuck_ns=slow_ns,  # nobody hands over here
        peer_window_bytes=random.choice((600, 4_000, 1 << 20)),
        append_bytes_max=random.choice((250, 1_000, 1 << 19)),
        uncommitted_bytes_max=random.choice((3_000, 1 << 20)),
        memory_bytes=random.choice((300, 3_000, 1 << 20)),
        committed_max=random.choice((2, 16, 1_024)),
    )
    return Plan(
        seed=seed,
        profile=profile,
        replicas=replicas,
        safety_ns=safety_ns,
        kinds=kinds,
        faults=_faults(random, kinds, replicas, safety_ns),
        raft=raft,
        limits=Limits(
            reserve_messages=random.choice((4, 16, 64)),
            grace=random.choice((0.2, 0.5)),
            producer_sessions_max=1_000,
        ),
        delay_min_ns=random.choice((50, 200, 1_000)) * US,
        delay_mean_ns=random.choice((100, 500, 2_000)) * US,
        constant=constant,
        loss=random.choice((0.0, 0.01, 0.05)) if rough and not constant else 0.0,
        repeat=random.choice((0.0, 0.02, 0.1)) if rough and not constant else 0.0,
        turn_ns=random.choice((20, 100, 500)) * US,
        sync_ns=random.choice((100, 500, 2_000, 5_000)) * US,
        snapshot_entries=random.choice((8, 20, 60)),
        digest_every=random.choice((4, 8, 16)),
        drift_ppm=tuple(
            random.randrange(-50_000, 50_000) if "drift" in kinds else 0 for _ in range(replicas)
        ),
        producers=random.choice((1, 2, 3)),
        named=random.choice((0, 1, 2)),
        consumers=random.choice((1, 2, 3)),
        publish_ns=random.choice((30, 60, 120)) * MS,
        batch_max=random.choice((1, 3, 8)),
        client_delay_ns=random.choice((100, 400, 1_500)) * US,
        lease_ns=random.choice((100, 300, 1_000)) * MS,
        max_attempts=random.choice((0, 2, 4)),
    )


def _subset(random: Stream, known: Sequence[str]) -> tuple[str, ...]:
    if not known or random.random() < 0.05:
        return ()
    count = random.randrange(1, len(known) + 1)
    chosen = dict.fromkeys(random.sample(list(known), count))
    return tuple(kind for kind in known if kind in chosen)


def _faults(random: Stream, kinds: Sequence[str], replicas: int, safety_ns: int) -> tuple[Fault, ...]:
    acting = [kind for kind in kinds if kind != "drift"]
    if not acting:
        return ()
    found: list[Fault] = []
    at_ns = random.randrange(100, 800) * MS
    between_ms = random.choice((150, 300, 700))
    while at_ns < safety_ns:
        target = -1 if random.random() < 0.4 else random.randrange(replicas)
        span_ns = random.choice((20, 100, 300, 800, 1_500)) * MS
        found.append(Fault(at_ns, random.choice(acting), target, span_ns, random.randrange(1 << 30)))
        at_ns += random.randrange(1, 2 * between_ms) * MS
    return tuple(found)
