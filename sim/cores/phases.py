"""The two phases of a run: first everything may fail, then a quorum is healed for ever and must come to rest.

One rule: in the second phase waiting is bounded, and what is still open when the time is up is a violation
that says what (L1 to L4).
"""

from typing import Final

from haqactor.sim.cores import state
from haqactor.sim.cores.faults import Faults
from haqactor.sim.cores.harness import Harness
from haqactor.sim.cores.plan import MS, SECOND
from haqactor.sim.cores.replica import Replica
from haqactor.sim.cores.serving import WORK
from haqactor.sim.cores.watch import Violation
from haqactor.sim.keyed import keyed

_STEP_NS: Final = 100 * MS
_SETTLE_NS: Final = 12 * SECOND


def safety(harness: Harness) -> None:
    """Everything may fail."""
    harness.timeline.run(harness.plan.safety_ns)


def choose_core(harness: Harness) -> list[Replica]:
    """A random quorum that counts; all of them, where too many are suspects to do without the others."""
    replicas = harness.replicas
    random = keyed(harness.plan.seed, "core")
    sound = [replica for replica in replicas if not (replica.disk.suspect or replica.rotted)]
    needed = len(replicas) // 2 + 1
    if len(sound) < needed or random.random() < 0.4:
        return list(replicas)
    chosen = random.sample(range(len(sound)), random.randrange(needed, len(sound) + 1))
    return [sound[place] for place in sorted(chosen)]


def heal(harness: Harness, core: list[Replica]) -> None:
    """The core is whole from now on; the others are gone for good, or stay as they are behind a cut."""
    harness.faults.end()
    links = harness.links
    links.heal()
    links.calm()
    outside = [replica for replica in harness.replicas if replica not in core]
    links.isolate([replica.node for replica in outside])
    harness.note_cuts()
    for replica in outside:
        if replica.up and replica.node % 2:
            replica.crash()
    for replica in core:
        replica.disk.stall_ns = 0
        Faults.revive(replica)


def liveness(harness: Harness) -> None:
    """Heal a quorum; all that was begun must end."""
    core = choose_core(harness)
    heal(harness, core)
    timeline = harness.timeline
    longest_ns = harness.plan.raft.election_max_ns
    # what a stalled disk began before it was healed may still take its time
    until = timeline.now_ns + 10 * longest_ns + SECOND
    while not _leader(core):
        if timeline.now_ns >= until:
            states = ", ".join(f"{r.node}: {r.core.role.value} in {r.core.term}" for r in core)
            raise Violation("L1", f"no leader within 10 election times ({states})")
        timeline.run(timeline.now_ns + _STEP_NS)
    harness.publishing = False
    until = timeline.now_ns + _SETTLE_NS
    terms: list[int] = []
    settled = 0
    while (reason := _unrest(harness, core)) is not None:
        terms.append(max(replica.core.term for replica in core))
        if reason[0] == "L3" and (moved := max(_settled(replica) for replica in core)) > settled:
            settled = moved
            until = timeline.now_ns + _SETTLE_NS
        if timeline.now_ns >= until:
            if terms[-1] - terms[len(terms) // 2] > 5:
                raise Violation("L7", f"terms keep growing: {terms[len(terms) // 2]} to {terms[-1]}")
            raise Violation(*reason)
        timeline.run(timeline.now_ns + _STEP_NS)
    for look in harness.watch.finished:
        look()


def _settled(replica: Replica) -> int:
    queue = replica.machine.queues.get(WORK)
    return queue.next_seq - queue.depth if queue is not None else 0


def _leader(core: list[Replica]) -> Replica | None:
    for replica in core:
        if replica.is_serving and sum(other.core.leader == replica.node for other in core) == len(core):
            return replica
    return None


def _unrest(harness: Harness, core: list[Replica]) -> tuple[str, str] | None:
    pending = [claim.first for producer in harness.producers for claim in producer.pending.values()]
    if pending:
        return "L2", f"publishes {pending[:5]} are not confirmed"
    leader = _leader(core)
    if leader is None:
        return "L1", "the leader is lost again though nothing fails"
    queue = leader.machine.queues.get(WORK)
    if queue is not None and queue.depth:
        return "L3", f"{queue.depth} messages are neither delivered nor settled"
    applied = [replica.applied for replica in core]
    if min(applied) < len(harness.canon):
        return "L4", f"replicas {[r.node for r in core]} have applied {applied} of {len(harness.canon)}"
    digests = dict.fromkeys(
        state.digest(replica.machine) for replica in core if replica.applied == max(applied)
    )
    if len(digests) > 1:
        return "L4", "replicas that applied everything are in different states"
    suspects = [replica.node for replica in core if replica.core.suspect]
    if suspects:
        return "L6", f"replicas {suspects} are still suspects"
    return None
