"""L1 to L4, L6, L7, L9, L10: once a quorum is healed for ever, everything comes to rest where it should.

One rule: only the core is held to anything, from the moment at which it was healed, and only a run that had
such a phase is judged.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Final
from haqactor.sim.watch.history import OK, Op
from haqactor.sim.watch.observed import Event, Leader

ELECTIONS = 10
_SHOWN = 5


class LeaderInTime(Rule):
    """L1: every group has a leader within 10 election timeouts: of the healing, or of the end of a leader
    outside of the core, which nobody keeps alive."""

    name = "a leader in time"
    invariant = "L1"
    events = (Leader,)

    def __init__(self) -> None:
        super().__init__()
        self._elections: dict[int, list[Leader]] = {}

    def on_event(self, event: Event) -> None:
        """An election was won."""
        if isinstance(event, Leader):
            self._elections.setdefault(event.group, []).append(event)

    def finish(self, final: Final) -> None:
        """A leader at the end, and one by the deadline."""
        if final.healed_ns is None:
            return
        until_ns = final.healed_ns + ELECTIONS * final.election_ns
        able = (*final.core, *final.others)
        if final.now_ns < until_ns and any(end.leader not in able for end in final.groups.values()):
            self.unknown = "the run ended before a leader was due"
            return
        for group, end in final.groups.items():
            if end.leader not in able:
                raise self.broken(f"group {group} has no leader that works at the end")
            self._judge(group, until_ns, final)

    def _judge(self, group: int, until_ns: int, final: Final) -> None:
        leaders = self._elections.get(group, [])
        last = max((leader for leader in leaders if leader.at_ns <= until_ns), key=_moment, default=None)
        if last is not None and last.host not in final.core:
            until_ns = max(until_ns, final.ended_ns.get(last.host, 0) + ELECTIONS * final.election_ns)
        in_time = [leader for leader in leaders if leader.at_ns <= until_ns]
        late = [leader for leader in leaders if leader.at_ns > until_ns]
        healed_ns = final.healed_ns or 0
        if late and not any(leader.at_ns >= healed_ns or leader.host in final.core for leader in in_time):
            raise self.broken(f"group {group} had no leader by {until_ns / 1e9:.3f}", late[0])


def _moment(leader: Leader) -> int:
    return leader.at_ns


class PublishesEnd(Rule):
    """L2: every publish that is under way in the liveness phase is confirmed in bounded time."""

    name = "pending publishes complete"
    invariant = "L2"
    calls = ("publish",)

    def __init__(self) -> None:
        super().__init__()
        self._ops: list[Op] = []

    def on_call(self, op: Op) -> None:
        """Looked at again at the end."""
        self._ops.append(op)

    def finish(self, final: Final) -> None:
        """None open, none late, and none begun in that phase refused."""
        healed_ns = final.healed_ns
        if healed_ns is None:
            return
        for op in self._ops:
            since_ns = max(op.invoked_ns, healed_ns)
            if op.returned_ns is None:
                if final.now_ns - since_ns > final.publish_ns:
                    raise self.broken("a publish never returned", op)
            elif op.returned_ns - since_ns > final.publish_ns:
                raise self.broken("a publish took too long in a healed cluster", op)
            elif op.outcome != OK and op.invoked_ns > healed_ns + ELECTIONS * final.election_ns:
                raise self.broken("a publish was not confirmed in a healed cluster", op)


class Drained(Rule):
    """L3: all queues are drained; what is parked may stay."""

    name = "queues drain"
    invariant = "L3"

    def finish(self, final: Final) -> None:
        """Nothing is ready, leased or delayed."""
        if final.healed_ns is None:
            return
        if final.remaining is None:
            raise self.broken("a healed cluster does not say what its queues hold")
        left = {place: state for place, (state, _body) in final.remaining.items() if state != "parked"}
        if left:
            shown = ", ".join(
                f"{queue}/{seq} {state}" for (queue, _uid, seq), state in list(left.items())[:_SHOWN]
            )
            raise self.broken(f"{len(left)} messages were not drained: {shown}")


class CoreAgrees(Rule):
    """L4: the replicas of the core are in the same state."""

    name = "core digests equal"
    invariant = "L4"

    def finish(self, final: Final) -> None:
        """Those that have applied as much as the foremost are equal to it."""
        if final.healed_ns is None:
            return
        for group, end in final.groups.items():
            foremost = max((replica.applied for replica in end.replicas.values()), default=0)
            digests = {
                host: replica.digest.hex()
                for host, replica in end.replicas.items()
                if replica.applied == foremost
            }
            if len(set(digests.values())) > 1:
                raise self.broken(f"replicas of group {group} differ at entry {foremost}: {digests}")


class CaughtUp(Rule):
    """L6: every replica of the core has caught up, and counts again."""

    name = "rejoined replicas catch up"
    invariant = "L6"

    def finish(self, final: Final) -> None:
        """All are there, and have applied the same number."""
        if final.healed_ns is None:
            return
        for group, end in final.groups.items():
            applied = {host: replica.applied for host, replica in end.replicas.items()}
            if len(set(applied.values())) > 1:
                raise self.broken(f"replicas of group {group} have not caught up: {applied}")
            suspects = [host for host, replica in end.replicas.items() if not replica.counts]
            if suspects:
                raise self.broken(f"replicas of group {group} do not count again: {suspects}")


class TermsRest(Rule):
    """L7: terms stop growing."""

    name = "no livelock of elections"
    invariant = "L7"
    events = (Leader,)

    def __init__(self, changes_max: int = 2) -> None:
        super().__init__()
        self._leaders: list[Leader] = []
        self._changes_max = changes_max

    def on_event(self, event: Event) -> None:
        """An election was won."""
        if isinstance(event, Leader):
            self._leaders.append(event)

    def finish(self, final: Final) -> None:
        """A few elections are for balance and late arrivals; more are a circle. So are terms without any."""
        if final.healed_ns is None:
            return
        until_ns = final.healed_ns + ELECTIONS * final.election_ns
        for group, end in final.groups.items():
            late = [each for each in self._leaders if each.group == group and each.at_ns > until_ns]
            if len(late) > self._changes_max:
                raise self.broken(
                    f"group {group} had {len(late)} elections in a healed cluster", *late[:_SHOWN]
                )
            terms = [each.term for each in self._leaders if each.group == group]
            reached = max((replica.term for replica in end.replicas.values()), default=0)
            if terms and reached > max(terms) + self._changes_max:
                text = f"group {group} is in term {reached}, and the last leader's was {max(terms)}"
                raise self.broken(text)


class SpaceReclaimed(Rule):
    """L9: disks do not keep what was drained."""

    name = "disk space is reclaimed"
    invariant = "L9"

    def finish(self, final: Final) -> None:
        """Each is below its bound."""
        if final.healed_ns is None:
            return
        for host, (used, bound) in final.disks.items():
            if used > bound:
                raise self.broken(f"{host} holds {used} bytes at the end, beyond {bound}")


class VersionRaised(Rule):
    """L10: a version of the machine that every node knows is agreed on in every group."""

    name = "upgrades are completed"
    invariant = "L10"

    def finish(self, final: Final) -> None:
        """No replica is below it."""
        if final.healed_ns is None:
            return
        for group, end in final.groups.items():
            versions = {host: replica.version for host, replica in end.replicas.items()}
            if any(version < final.known for version in versions.values()):
                raise self.broken(f"all nodes know version {final.known}, and group {group} has {versions}")
