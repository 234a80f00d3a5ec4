"""What consumers were promised: S5, S7, S8.

One rule: leases are followed from the outside, by what was delivered, what came back through the log, and
what consumers claimed; never by the dispatcher's own tables.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from haqactor.machine.actions import Deliver
from haqactor.machine.commands import Range
from haqactor.machine.effects import Applied, Awake, Purged
from haqactor.machine.effects import Settled as SettledEffect
from haqactor.sim.cores.serving import WORK, sequences
from haqactor.sim.cores.watch import Checker, Violation

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness
    from haqactor.sim.cores.replica import Replica

Key = tuple[bytes, int]


class Leases(Checker):
    """S8: a message is leased to one consumer at a time: within a term always; after a change of leader its
    holder is waited for, for as long as the grace lasts."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.terms: dict[int, dict[int, Key]] = {}
        self.given: dict[int, dict[int, bool]] = {}  # by nobody held, but not back yet
        self.heard: dict[int, dict[bytes, bool]] = {}
        self.back: dict[int, int] = {}  # the term in which it last came back through the log

    def served(self, replica: "Replica") -> None:
        term = replica.core.term
        self.terms[term] = {}
        self.given[term] = {}
        self.heard[term] = {}

    def led(self, replica: "Replica", applied: Applied) -> None:
        term = replica.core.term
        leased = self.terms.get(term)
        if leased is None:
            return
        given = self.given[term]
        for effect in applied.effects:
            if isinstance(effect, SettledEffect) and effect.uid == WORK:
                for sequence in sequences(effect.moved):
                    self.back[sequence] = term
                for sequence in sequences((*effect.moved, *effect.acks, *effect.gone)):
                    leased.pop(sequence, None)
                    given.pop(sequence, None)

    def subscribed(self, replica: "Replica", key: Key, kept: dict[int, tuple[int, int]]) -> None:
        term = replica.core.term
        self.heard[term][key[0]] = True
        for sequence in kept:
            self.terms[term][sequence] = key  # the higher of two claims wins

    def chosen(self, replica: "Replica", deliveries: list[Deliver]) -> None:
        leased = self.terms[replica.core.term]
        for deliver in deliveries:
            key = (deliver.session, deliver.consumer)
            for part in deliver.parts:
                for sequence in sequences(part.ranges):
                    known = leased.get(sequence)
                    if known is not None:
                        raise Violation(
                            "S8",
                            f"message {sequence} is leased to {key[0]!r} while {known[0]!r} has it, "
                            f"or its return is not applied (term {replica.core.term})",
                        )
                    leased[sequence] = key
            self._waited_for_holders(replica, deliver)

    def _waited_for_holders(self, replica: "Replica", deliver: Deliver) -> None:
        serving, plan = replica.serving, self.harness.plan
        if serving is None:
            return
        now = self.harness.timeline.now_ns
        if now - serving.began_ns >= plan.limits.grace * 0.9e9:
            return
        heard = self.heard[replica.core.term]
        for consumer in self.harness.consumers:
            if consumer.session == deliver.session or consumer.session in heard:
                continue
            for part in deliver.parts:
                for sequence in sequences(part.ranges):
                    lease = consumer.held.get(sequence)
                    # A leader in between may have waited, in vain, and returned it.
                    if lease is not None and self.back.get(sequence, 0) <= lease[0] < part.term:
                        raise Violation(
                            "S8",
                            f"message {sequence} is leased to {deliver.session!r} in term {part.term} while "
                            f"{consumer.session!r} holds it from term {lease[0]} and was not waited for",
                        )

    def judged(self, replica: "Replica", key: Key, acks: Sequence[Range]) -> None:
        leased, given = self.terms[replica.core.term], self.given[replica.core.term]
        for sequence in sequences(acks):
            known = leased.get(sequence)
            if known is not None and known != key and sequence not in given:
                raise Violation(
                    "S8", f"{key[0]!r} acknowledges message {sequence}, which {known[0]!r} holds: accepted"
                )
            given[sequence] = True

    def given_up(self, replica: "Replica", ranges: Sequence[Range]) -> None:
        given = self.given[replica.core.term]
        for sequence in sequences(ranges):
            given[sequence] = True


class Settled(Checker):
    """S5: what was acknowledged is never chosen for delivery again."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.at_ns: dict[int, int] = {}

    def acknowledged(self, sequences: Sequence[int]) -> None:
        now = self.harness.timeline.now_ns
        for sequence in sequences:
            self.at_ns.setdefault(sequence, now)

    def released(self, replica: "Replica", deliver: Deliver, chosen_ns: int) -> None:
        for part in deliver.parts:
            for sequence in sequences(part.ranges):
                if self.at_ns.get(sequence, chosen_ns) < chosen_ns:
                    raise Violation("S5", f"message {sequence} is delivered after it was acknowledged")


class Order(Checker):
    """S7: what came back is delivered before anything that was never delivered."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.returned: dict[int, dict[int, bool]] = {}
        self.acking: dict[int, dict[int, bool]] = {}
        self.ever: dict[int, int] = {}

    def served(self, replica: "Replica") -> None:
        self.returned[replica.core.term] = {}
        self.acking[replica.core.term] = {}
        self.ever[replica.core.term] = 0

    def led(self, replica: "Replica", applied: Applied) -> None:
        returned = self.returned.get(replica.core.term)
        if returned is None:
            return
        for effect in applied.effects:
            if isinstance(effect, SettledEffect) and effect.uid == WORK:
                for sequence in sequences((*effect.gone, *effect.deferred)):
                    returned.pop(sequence, None)
                acking = self.acking[replica.core.term]
                for sequence in sequences(effect.ready):
                    if sequence not in acking:  # else it is as good as gone
                        returned[sequence] = True
                for sequence in sequences(effect.acks):
                    acking.pop(sequence, None)
            elif isinstance(effect, Purged):
                for sequence in sequences(effect.gone):
                    returned.pop(sequence, None)
            elif isinstance(effect, Awake) and effect.uid == WORK:
                acking = self.acking[replica.core.term]
                for sequence in sequences(effect.ready):
                    if sequence not in acking:
                        returned[sequence] = True

    def judged(self, replica: "Replica", key: Key, acks: Sequence[Range]) -> None:
        returned, acking = self.returned[replica.core.term], self.acking[replica.core.term]
        for sequence in sequences(acks):
            returned.pop(sequence, None)
            acking[sequence] = True

    def subscribed(self, replica: "Replica", key: Key, kept: dict[int, tuple[int, int]]) -> None:
        returned = self.returned[replica.core.term]
        for sequence in kept:
            returned.pop(sequence, None)

    def chosen(self, replica: "Replica", deliveries: list[Deliver]) -> None:
        term = replica.core.term
        returned = self.returned[term]
        given = [seq for deliver in deliveries for part in deliver.parts for seq in sequences(part.ranges)]
        for sequence in given:
            returned.pop(sequence, None)
        highest = max(given)
        fresh = highest > self.ever[term]
        self.ever[term] = max(self.ever[term], highest)
        earlier = min(returned, default=highest) if fresh else highest
        if earlier < highest:
            raise Violation(
                "S7", f"message {highest} is delivered for the first time, before {earlier}, which came back"
            )
