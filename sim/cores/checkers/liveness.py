"""Who has to give way, and to whom nobody has to: S10, L7. (L1 to L4 are conditions of the liveness
phase, see ``phases``.)

One rule: a higher term ends a leadership, and a replica that can reach no quorum keeps its term.
"""

from typing import TYPE_CHECKING

from haqactor.raft.state import Role
from haqactor.sim.cores.watch import Checker, Violation

if TYPE_CHECKING:
    from haqactor.sim.cores.replica import Replica


class Disruption(Checker):
    """L7: nobody stands for election who has been cut off from all others."""

    def role(self, replica: "Replica") -> None:
        if replica.core.role is not Role.CANDIDATE:
            return
        since_ns = self.harness.cut_off_ns[replica.node]
        plan = self.harness.plan
        longest_ns = 2 * plan.raft.election_max_ns
        if since_ns >= 0 and self.harness.timeline.now_ns - since_ns > longest_ns:
            raise Violation(
                "L7", f"node {replica.node}, which reaches nobody, raises its term to {replica.core.term}"
            )


class Deposed(Checker):
    """S10: a leader that hears of a higher term leads no more."""

    def answered(self, replica: "Replica", term: int) -> None:
        core = replica.core
        if core.is_leader and core.term < term:
            raise Violation("S10", f"node {replica.node} leads term {core.term} though it heard of {term}")
