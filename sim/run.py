"""One run: a cluster under the faults of its seed, then healed; its clients, and the checkers that judge.

One rule: two phases, as in TigerBeetle's VOPR: in the first everything that the plan holds may fail, in the
second a quorum works for ever and everything has to come to rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from haqactor.ids import METADATA_GROUP
from haqactor.journal.quarantine import FILES_MAX as QUARANTINE_FILES
from haqactor.sim._trio_compat import Restless
from haqactor.sim.atlas import Atlas
from haqactor.sim.checkers.canary import CANARY, Canary, sings
from haqactor.sim.checkers.checker import Checker, Violation
from haqactor.sim.checkers.final import Final as End
from haqactor.sim.checkers.final import Group, Replica
from haqactor.sim.checkers.membership import agreement_ns
from haqactor.sim.checkers.panel import Panel
from haqactor.sim.checkers.registry import checkers as all_checkers
from haqactor.sim.cluster import TINY, Shape, SimCluster
from haqactor.sim.disk.latency import STEADY as STEADY_DISK
from haqactor.sim.disk.latency import Latency
from haqactor.sim.drawn import Drawn
from haqactor.sim.host import Host
from haqactor.sim.nemesis import Nemesis
from haqactor.sim.network.links import STEADY as STEADY_LINKS
from haqactor.sim.network.links import LinkSettings
from haqactor.sim.profiles import UNBOUNDED, draw
from haqactor.sim.trace import Trace
from haqactor.sim.tripwires import tripwires
from haqactor.sim.verdict import Verdict
from haqactor.sim.watch.calls import Calls
from haqactor.sim.watch.gauges import Gauges, disk_bound
from haqactor.sim.watch.observed import Event, Started
from haqactor.sim.watch.observer import Observer
from haqactor.sim.watch.remains import Remains
from haqactor.sim.workload import Clients, Staff
from haqactor.sim.world import NS, World, uncollected
from haqactor.swim.core import SwimCore

UNREST: Final = "not everything was delivered and settled in time after everything was healed"
REFUSAL_NS: Final = 10 * NS
"""The same where so much was damaged that it need not come to rest at all."""
REST_NS: Final = 26 * NS // 10
"""How long a cluster that has come to rest is looked at."""
READING_NS: Final = 5 * NS
"""How long reading what is left may take."""
LEVEL_NS: Final = 10 * NS
"""By then every replica has caught up, or something is wrong; an entry may be under way at any moment."""
_SLICE_NS: Final = 100_000_000


@dataclass(slots=True)
class Result:
    """How a run ended. ``failures``: nodes or clients that ended by an error, in words. ``at_ns`` and
    ``event``: when the first thing went wrong that must not, and the number of its event in the trace; None
    where nothing did. ``forgiven``: what was broken, and is no fault where so much was damaged, or a disk has
    lied. ``operations``: of each node's disk. ``drawn`` and ``bugs``: what it was given. ``escapes``:
    what tripped a wire, see ``tripwires``. ``note``: what else there is to say."""

    seed: int
    profile: str
    verdict: Verdict
    digest: str
    violations: list[Violation] = field(default_factory=list[Violation])
    forgiven: list[Violation] = field(default_factory=list[Violation])
    failures: list[str] = field(default_factory=list[str])
    confirmed: int = 0
    delivered: int = 0
    settled: int = 0
    events: int = 0
    messages: int = 0
    simulated_ns: int = 0
    operations: dict[str, int] = field(default_factory=dict[str, int])
    fired: dict[str, int] = field(default_factory=dict[str, int])
    marks: dict[str, int] = field(default_factory=dict[str, int])
    trace: Trace | None = None
    at_ns: int | None = None
    event: int | None = None
    drawn: Drawn = field(default_factory=Drawn)
    bugs: tuple[str, ...] = ()
    escapes: list[str] = field(default_factory=list[str])
    note: str = ""

    @property
    def invariant(self) -> str:
        """The id of what was broken first, or of what ended a program; "" for none."""
        if self.escapes:
            return "escape"
        if self.violations:
            return self.violations[0].invariant
        if self.failures:
            return "crash"
        return "rest" if self.verdict is Verdict.LIVENESS else ""

    @property
    def message(self) -> str:
        """What was broken, in words."""
        if self.escapes:
            return f"something reached for the real world: {self.escapes[0]}"
        if self.violations:
            return self.violations[0].text
        if self.failures:
            return self.failures[0]
        return UNREST if self.verdict is Verdict.LIVENESS else self.note


def run(
    seed: int,
    profile: str = "swarm",
    *,
    drawn: Drawn | None = None,
    bugs: tuple[str, ...] = (),
    recording: bool = False,
) -> Result:
    """Run a seed to its end, or to the first promise that is broken."""
    drawn = drawn or draw(seed, profile)
    with (
        uncollected(),
        tripwires() as escapes,
        World(seed, recording=recording, oldest_first=drawn.oldest_first) as world,
    ):
        result = Run(world, profile, drawn, bugs).go()
    if escapes:
        result.verdict, result.escapes = Verdict.NONDETERMINISM, escapes
    return result


def shape(drawn: Drawn, bugs: tuple[str, ...] = ()) -> Shape:
    """The cluster of a run. Where everything is steady, nothing else about the links is but the shares that
    are named in ``chances``. Raises TypeError for a share that links do not have, or a limit that nodes do
    not."""
    shares: dict[str, Any] = {name: share for name, share in drawn.chances.items() if name != "buggify"}
    bounds: dict[str, Any] = {
        name: int(bound) if isinstance(getattr(TINY, name, None), int) else bound
        for name, bound in drawn.limits.items()
    }
    links = STEADY_LINKS if drawn.steady else LinkSettings()
    return Shape(
        nodes=drawn.nodes,
        groups=drawn.groups,
        limits=replace(TINY, **bounds),
        latency=STEADY_DISK if drawn.steady else Latency(),
        links=replace(links, **shares),
        bugs=bugs,
        buggify=drawn.chances.get("buggify", 0.0),
    )


class Run:
    """One run in the making."""

    def __init__(self, world: World, profile: str, drawn: Drawn, bugs: tuple[str, ...]) -> None:
        self._world = world
        self._profile = profile
        self._drawn = drawn
        self._failures: list[str] = []
        world.on_failure = self._failed
        self._cluster = SimCluster(world, shape(drawn, bugs))
        judges: list[Checker] = all_checkers()
        if CANARY in bugs and sings(world.seed):
            judges.append(Canary())
        self._bugs = bugs
        self._moments: list[tuple[str, int, int]] = []
        self._panel = Panel(judges)
        self._panel.on_found = self._found
        Calls(world.trace, self._panel.history)
        Observer(self._cluster, self._seen)
        Gauges(self._cluster, self._panel.on_event)
        self._clients = Clients(world, self._panel.history, drawn.work)
        self._staff = Staff(self._cluster, self._clients, drawn)
        names = [node.host.name for node in self._cluster.nodes]
        self._atlas = Atlas(names, bounded=profile not in UNBOUNDED)
        self._nemesis = Nemesis(self._cluster, self._atlas)
        self._core: tuple[str, ...] = ()
        self._ended_ns: dict[str, int] = {}

    def _seen(self, event: Event) -> None:
        """Checkers believe a replica that says that it lost something; that its disk did is seen here."""
        if isinstance(event, Started) and event.damaged and not self._nemesis.hurt(event.host):
            text = f"{event.host} takes its disk for damaged, and nothing has happened to it"
            self._panel.report(Violation("S21", text, event))
        self._panel.on_event(event)

    def _failed(self, host: Host, error: BaseException) -> None:
        self._ended_ns[host.name] = self._world.now_ns
        if self._nemesis.ended(host, error):
            return
        self._failures.append(f"{host.name}: {error!r}")
        self._wrong("", self._world.trace.count - 1)

    def _found(self, violation: Violation) -> None:
        hosts = [getattr(record, "host", "") or getattr(record, "client", "") for record in violation.records]
        self._say(hosts[-1] if hosts else "", violation.invariant, violation.text)

    def _say(self, host: str, *said: str) -> None:
        self._wrong(said[0], self._world.trace.add("violation", host, *said))

    def _wrong(self, invariant: str, event: int) -> None:
        self._moments.append((invariant, self._world.now_ns, event))

    @property
    def _ended(self) -> bool:
        return bool(self._broken) or bool(self._failures) or self._cut_short

    @property
    def _broken(self) -> list[Violation]:
        """What must not be broken, whatever happened to the disks."""
        return [each for each in self._panel.violations if self._atlas.binds(each.invariant)]

    @property
    def _cut_short(self) -> bool:
        return 0 < self._drawn.until_ns <= self._world.now_ns

    def go(self) -> Result:
        """Both phases. A host that goes round in circles at one instant has failed, and ends the run."""
        try:
            in_time = self._phases()
        except Restless as error:
            self._failures.append(str(error))
            self._wrong("", self._world.trace.count - 1)
            in_time = False
        return self._result(in_time)

    def _phases(self) -> bool:
        self._begin()
        self._pass_time(lambda: False, self._drawn.safety_ns)
        healed_ns = self._heal()
        patience_ns = self._drawn.patience_ns if self._atlas.binds("L3") else REFUSAL_NS
        in_time = self._ended or self._come_to_rest(healed_ns + patience_ns)
        self._pass_time(lambda: False, self._world.now_ns + REST_NS)
        remains = Remains(self._cluster, self._drawn.groups)
        self._pass_time(lambda: remains.ready, self._world.now_ns + READING_NS)
        remains.begin()
        self._pass_time(lambda: remains.done, self._world.now_ns + READING_NS)
        if not remains.done:  # at a leader that is none of the core, whose disk hangs
            remains = Remains(self._cluster, self._drawn.groups, self._core)
            remains.begin()
            self._pass_time(lambda: remains.done, self._world.now_ns + READING_NS)
        if in_time:
            limits, members = self._cluster.shape.limits, len(self._core)
            bound_ns = agreement_ns(round(limits.probe_interval * NS), round(limits.rejoin_max * NS), members)
            self._pass_time(self._agreed, healed_ns + LEVEL_NS + bound_ns)
        end = self._look(healed_ns, remains)
        level_ns = self._world.now_ns + (LEVEL_NS if in_time else 0)
        while not self._ended and not end.level and self._world.now_ns < level_ns:
            self._pass_time(lambda: False, self._world.now_ns + _SLICE_NS)
            end = self._look(healed_ns, remains)
        if not self._ended:
            self._panel.finish(end)
        return in_time

    def _gossiping(self) -> dict[str, SwimCore]:
        """The members of the core, by host."""
        found: dict[str, SwimCore] = {}
        for node in self._cluster.nodes:
            gossip = node.server.gossip if node.host.alive and node.server is not None else None
            if gossip is not None and node.host.name in self._core:
                found[node.host.name] = gossip.core
        return found

    def _agreed(self) -> bool:
        """Does each of them know all of them, as they are?"""
        cores = list(self._gossiping().values())
        truth = [core.me for core in cores]
        return all(me in core.members() for core in cores for me in truth)

    def _begin(self) -> None:
        self._cluster.start()
        self._nemesis.follow(self._drawn.plan)
        self._staff.begin()

    def _pass_time(self, done: Callable[[], bool], until_ns: int) -> bool:
        """Let time pass until something is done; False if it is not by then."""
        world = self._world
        until_ns = min(until_ns, self._drawn.until_ns or until_ns)
        while not self._ended and not done() and world.now_ns < until_ns:
            world.run(min(until_ns, world.now_ns + _SLICE_NS))
        return done()

    def _heal(self) -> int:
        self._core = self._nemesis.settle(self._drawn.core)
        self._cluster.marks.peaceful = True
        self._clients.progress.stopping = True
        self._staff.leave()
        self._world.trace.add("heal", "all", ",".join(self._core))
        return self._world.now_ns

    def _come_to_rest(self, until_ns: int) -> bool:
        if not self._pass_time(lambda: not self._staff.working, until_ns):
            return False
        self._staff.drain()
        return self._pass_time(lambda: self._staff.drained, until_ns)

    def _look(self, healed_ns: int, remains: Remains) -> End:
        end = End(now_ns=self._world.now_ns, healed_ns=healed_ns)
        end.core, end.ended_ns = self._core, self._ended_ns
        end.others = tuple(
            node.host.name
            for node in self._cluster.nodes
            if node.host.name not in self._core and node.host.alive and not node.host.paused
            if node.probe is None or not node.probe.held
        )
        limits = self._cluster.shape.limits
        end.election_ns = round(limits.election_max * NS)
        end.probe_ns, end.rejoin_ns = round(limits.probe_interval * NS), round(limits.rejoin_max * NS)
        end.gossiping = tuple(self._gossiping())
        if remains.done:
            end.remaining = remains.found
        bound = disk_bound(self._drawn.groups)
        aside = QUARANTINE_FILES * self._cluster.shape.limits.segment_bytes
        end.disks = {
            node.host.name: (node.medium.used, bound + (aside if node.host.name in self._atlas.lost else 0))
            for node in self._cluster.nodes
            if node.host.name in self._core
        }
        if len(self._core) == len(self._cluster.nodes) and all(node.server for node in self._cluster.nodes):
            end.known = min(node.ran[-1].newest for node in self._cluster.nodes)
        for group in range(self._drawn.groups + 1):
            leader = self._cluster.leader(group)
            found = end.groups[group] = Group("" if leader is None else leader.host.name)
            for node in self._cluster.nodes:
                context = node.server.context if node.host.alive and node.server is not None else None
                if context is None or node.host.name not in self._core:
                    continue
                for number, actor in context.groups.items():
                    if int(number) == group and number != METADATA_GROUP:
                        found.replicas[node.host.name] = Replica(
                            int(actor.core.term),
                            int(actor.applier.applied),
                            actor.service.digest(),
                            int(actor.service.status()["version"]),
                            actor.core.cure_state().acknowledges,
                        )
        return end

    def _result(self, in_time: bool) -> Result:
        world, progress = self._world, self._clients.progress
        verdict = Verdict.PASS
        violations = self._broken
        if violations:
            safety = any(violation.invariant.startswith("S") for violation in violations)
            verdict = Verdict.SAFETY if safety else Verdict.LIVENESS
        elif self._failures:
            verdict = Verdict.CRASH
        elif self._cut_short:
            verdict = Verdict.UNDETERMINED
        elif self._panel.violations or (not in_time and not self._atlas.binds("L3")):
            verdict = Verdict.UNRECOVERABLE
        elif not in_time:
            verdict = Verdict.LIVENESS
            self._say("", UNREST)
        elif self._panel.unknown:
            verdict = Verdict.UNDETERMINED
        first = violations[0].invariant if violations else "" if self._failures else UNREST
        moment = next((moment for moment in self._moments if moment[0] == first), (first, None, None))
        return Result(
            seed=world.seed,
            profile=self._profile,
            verdict=verdict,
            digest=world.trace.digest(),
            violations=violations,
            forgiven=[each for each in self._panel.violations if each not in violations],
            failures=self._failures,
            confirmed=progress.confirmed,
            delivered=progress.delivered,
            settled=progress.settled,
            events=world.trace.count,
            messages=sum(link.sent for link in self._cluster.fabric.links.values()),
            simulated_ns=world.now_ns,
            operations={node.host.name: node.medium.operations for node in self._cluster.nodes},
            fired=self._nemesis.fired,
            marks=dict(self._cluster.marks.counts),
            trace=world.trace if world.trace.recording else None,
            at_ns=moment[1],
            event=moment[2],
            drawn=self._drawn,
            bugs=self._bugs,
            note="; ".join([f"{name}: {why}" for name, why in self._panel.unknown.items()]),
        )
