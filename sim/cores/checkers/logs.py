"""What logs and state machines owe each other: S10, S11, S12, S19.

One rule: the first replica that does a thing writes it down, all others are compared with it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from haqactor.entry import Entry
from haqactor.ids import Index
from haqactor.machine.effects import Applied
from haqactor.sim.cores import state
from haqactor.sim.cores.disk import Block
from haqactor.sim.cores.watch import Checker, Violation

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness
    from haqactor.sim.cores.replica import Replica


class Elections(Checker):
    """S10: at most one leader a term. S12: it has every committed entry."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.leaders: dict[int, int] = {}

    def role(self, replica: "Replica") -> None:
        core = replica.core
        if not core.is_leader:
            return
        known = self.leaders.setdefault(core.term, replica.node)
        if known != replica.node:
            raise Violation("S10", f"term {core.term} has two leaders, {known} and {replica.node}")
        canon = self.harness.canon
        last = Index(len(canon))
        if last > core.snapshot.index and core.term_at(last) != canon[last - 1][0]:
            raise Violation(
                "S12",
                f"node {replica.node} leads term {core.term} without the committed entry {last} "
                f"(term {canon[last - 1][0]}, there {core.term_at(last)})",
            )


class LogMatching(Checker):
    """S11: two logs that hold the same index and term are the same up to there."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.seen: dict[tuple[int, int], tuple[int, int]] = {}

    def durable(self, replica: "Replica", blocks: Sequence[Block]) -> None:
        disk = replica.disk
        held, start = disk.entries, disk.meta.index + 1
        for block in blocks:
            for entry in block.entries:
                place = entry.index - start
                if not 0 <= place < len(held) or held[place] is not entry:
                    continue  # gone again with the same sync
                before = held[place - 1].term if place else disk.meta.term
                found = (entry.crc, before)
                known = self.seen.setdefault((entry.index, entry.term), found)
                if known != found:
                    raise Violation(
                        "S11",
                        f"node {replica.node} holds another log at {entry.index} of term {entry.term}: "
                        f"the entry before is of term {before}, elsewhere {known[1]}",
                    )


class StateMachine(Checker):
    """S12: every replica applies the same entries in order, to the same effect. S19: a snapshot is as good
    as the log it stands for."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.digests: dict[int, state.Digest] = {}
        self.places: list[int] = [0] * harness.plan.replicas

    def started(self, replica: "Replica") -> None:
        self.places[replica.node] = replica.applied

    def applied(self, replica: "Replica", entry: Entry, applied: Applied) -> None:
        canon, index = self.harness.canon, entry.index
        place = self.places[replica.node]
        if index != place + 1:
            raise Violation("S12", f"node {replica.node} applies {index} behind {place}")
        self.places[replica.node] = index
        if index > len(canon):
            self.harness.first_applied(entry, applied)
        elif canon[index - 1] != (entry.term, entry.crc):
            raise Violation(
                "S12",
                f"node {replica.node} applies another entry at {index}: term {entry.term}, "
                f"elsewhere {canon[index - 1][0]}",
            )

    def digest(self, replica: "Replica", index: Index, digest: state.Digest) -> None:
        known = self.digests.setdefault(index, digest)
        if known != digest:
            raise Violation("S12", f"node {replica.node}'s state at {index} differs")

    def installed(self, replica: "Replica", index: Index) -> None:
        place = self.places[replica.node]
        if index < place:
            raise Violation("S12", f"node {replica.node} goes back from {place} to a snapshot at {index}")
        self.places[replica.node] = index
        digest = state.digest(replica.machine)
        if self.digests.setdefault(index, digest) != digest:
            raise Violation("S19", f"the snapshot at {index} that node {replica.node} took is another state")
