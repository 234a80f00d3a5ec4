"""What must be on a disk before anybody hears of it: S13, S14, S15.

One rule: only the disks are believed.
"""

from typing import TYPE_CHECKING, Any

from haqactor.ids import NO_NODE
from haqactor.raft.messages import AppendReply, RequestVote, Vote
from haqactor.sim.cores.watch import Checker, Violation

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness
    from haqactor.sim.cores.replica import Replica


class Votes(Checker):
    """S13: a vote is durable before it is told, told once a term, and survives. A suspect may have forgotten
    that it was a candidate itself: nobody counts that vote once its boot is over, and had anybody else voted
    for it, the suspect would have heard of that term before it counts again."""

    hears = (Vote, RequestVote)

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.votes: dict[tuple[int, int], int] = {}
        self.told: list[int] = [0] * harness.plan.replicas

    def sent(self, replica: "Replica", target: int, message: Any) -> None:
        if isinstance(message, Vote):
            if message.granted and not message.pre:
                self._voted(replica, message.term, target)
        elif isinstance(message, RequestVote) and not message.pre:
            self._voted(replica, message.term, replica.node)

    def _voted(self, replica: "Replica", term: int, candidate: int) -> None:
        node = replica.node
        known = self.votes.setdefault((node, term), candidate)
        if known != candidate:
            raise Violation("S13", f"node {node} votes for {candidate} in term {term}, after {known}")
        hard = replica.disk.hard_state
        if hard.term < term or (hard.term == term and hard.vote != candidate):
            raise Violation("S13", f"node {node} tells of its vote in term {term} before it is durable")
        self.told[node] = max(self.told[node], term)

    def started(self, replica: "Replica") -> None:
        hard, node = replica.disk.hard_state, replica.node
        if replica.disk.suspect:
            for mine in [key for key, vote in self.votes.items() if key[0] == node == vote]:
                del self.votes[mine]
            return
        known = self.votes.get((node, hard.term), NO_NODE)
        if hard.term < self.told[node] or known not in (NO_NODE, hard.vote):
            raise Violation("S13", f"node {node} has forgotten its vote in term {self.told[node]}")


class Durability(Checker):
    """S14: what an acknowledgement claims is on its sender's disk. One of an older term than the disk's
    claims what was there: the same sync may have replaced it for a new leader, behind it."""

    hears = (AppendReply,)

    def sent(self, replica: "Replica", target: int, message: Any) -> None:
        if type(message) is AppendReply:
            disk = replica.disk
            of_now = message.term >= disk.hard_state.term
            if message.accepted and of_now and message.matched > disk.last_index:
                raise Violation(
                    "S14",
                    f"node {replica.node} acknowledges {message.matched}, but only {disk.last_index} is "
                    "on its disk",
                )
            if message.term > disk.hard_state.term:
                raise Violation(
                    "S14", f"node {replica.node} answers in term {message.term} before it is durable"
                )


class CommitRule(Checker):
    """S15: committed is an entry of the leader's own term that a quorum of disks holds."""

    def commit(self, replica: "Replica") -> None:
        core = replica.core
        index, term = core.commit, core.term
        if core.term_at(index) != term:
            raise Violation("S15", f"node {replica.node} commits {index} of an older term than {term}")
        copies = 0
        for other in self.harness.replicas:
            disk = other.disk
            place = index - disk.meta.index - 1
            copies += (
                place < 0 or (place < len(disk.entries) and disk.entries[place].term == term) or other.rotted
            )
        if copies * 2 <= self.harness.plan.replicas:
            raise Violation("S15", f"{index} of term {term} is committed with {copies} copies")
