"""One run of a scenario: a cluster under the faults of its seed while the scenario lasts, then healed, and
judged.

One rule: when the scenario ends its programs are stopped, every fault is over and every node runs again; what
the checkers say then counts for a run in which the scenario itself found nothing, too.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from haqactor.sim.atlas import Atlas
from haqactor.sim.checkers.checker import Violation
from haqactor.sim.checkers.panel import Panel
from haqactor.sim.checkers.registry import checkers
from haqactor.sim.cluster import SimCluster
from haqactor.sim.drawn import Drawn
from haqactor.sim.host import Host
from haqactor.sim.nemesis import Nemesis
from haqactor.sim.profiles import PROFILES, draw
from haqactor.sim.run import shape
from haqactor.sim.trace import Trace
from haqactor.sim.watch.calls import Calls
from haqactor.sim.watch.history import OK, History
from haqactor.sim.watch.observer import Observer
from haqactor.sim.watch.remains import Remains
from haqactor.sim.world import NS
from haqactor.sim.world import World as SimWorld
from haqactor.testing import looking
from haqactor.testing.failure import NodeFailed, PromiseBroken, Stuck
from haqactor.testing.program import Program
from haqactor.testing.world import World

Scene = Callable[[World], Awaitable[object]]

SCENARIO_NS: Final = 600 * NS
"""How long a scenario may last."""
FOUNDING_NS: Final = 1 * NS
"""A cluster founds itself in peace; then the scenario and the faults begin."""
FAULTS_NS: Final = FOUNDING_NS + 12 * NS
"""Until when faults of the profile come."""
REST_NS: Final = 30 * NS
_SLICE_NS: Final = 100_000_000
_READING_NS: Final = 5 * NS
_LEFT_OUT: Final = ("L3",)
"""Invariants that a scenario need not keep: it may leave messages in its queues."""
_UNPROMISED: Final = ("beyond", "lying")
"""Profiles in which disks are worse than what haqactor promises to survive: nothing about a program under
test can be learnt there."""
_MESSAGE_BYTES_MAX: Final = 1024 * 1024


@dataclass(slots=True)
class Ending:
    """How a run ended. ``error``: of the scenario, of one of its programs, or why it failed without one;
    ``at_ns`` and ``event``: when that was, and the event of the trace. ``fired``: how often the kinds of
    faults of the profile hit somebody."""

    seed: int
    profile: str
    drawn: Drawn
    error: BaseException | None = None
    at_ns: int | None = None
    event: int | None = None
    violations: list[Violation] = field(default_factory=list[Violation])
    digest: str = ""
    simulated_ns: int = 0
    confirmed: int = 0
    delivered: int = 0
    fired: dict[str, int] = field(default_factory=dict[str, int])
    clients: tuple[str, ...] = ()
    trace: Trace | None = None


def run(scene: Scene, seed: int, *, nodes: int = 3, profile: str = "calm", recording: bool = False) -> Ending:
    """One seed. Raises ValueError for a profile that is none."""
    if profile not in PROFILES or profile in _UNPROMISED:
        known = ", ".join(name for name in PROFILES if name not in _UNPROMISED)
        raise ValueError(f"there is no profile {profile!r} for scenarios; there are {known}")
    drawn = replace(draw(seed, profile, FAULTS_NS), nodes=nodes)
    with SimWorld(seed, recording=recording) as world:
        return Run(world, scene, profile, drawn).go()


class Run:
    """One run in the making; the ``Stage`` of its programs."""

    def __init__(self, world: SimWorld, scene: Scene, profile: str, drawn: Drawn) -> None:
        self._sim = world
        world.on_failure = self._node_failed
        made = shape(drawn)
        limits = replace(made.limits, message_bytes_max=_MESSAGE_BYTES_MAX)
        self.cluster = SimCluster(world, replace(made, limits=limits))
        judges = checkers() if drawn.nodes else []  # of the clusters that programs bring nothing is known
        self._panel = Panel(judge for judge in judges if judge.invariant not in _LEFT_OUT)
        self._panel.on_found = self._found
        Calls(world.trace, self._panel.history)
        Observer(self.cluster, self._panel.on_event)
        self._atlas = Atlas([node.host.name for node in self.cluster.nodes])
        self._nemesis = Nemesis(self.cluster, self._atlas)
        self._programs: list[Program] = []
        self._world = World(self, self._start)
        self._scene = scene
        self._profile = profile
        self._drawn = drawn
        self._error: BaseException | None = None
        self._first: tuple[int, int] | None = None
        self._finished = False

    @property
    def history(self) -> History:
        """What all programs asked for and were told."""
        return self._panel.history

    def failed(self, name: str, error: BaseException) -> None:
        """The first one counts; the run ends by it."""
        if self._error is None:
            self._error = error
            self._wrong(name)

    def _wrong(self, host: str, *said: str) -> None:
        number = self._sim.trace.add("violation" if said else "failed", host, *said)
        self._first = self._first or (self._sim.now_ns, number)

    def _found(self, violation: Violation) -> None:
        hosts = [getattr(record, "host", "") or getattr(record, "client", "") for record in violation.records]
        self._wrong(hosts[-1] if hosts else "", violation.invariant, violation.text)

    def _node_failed(self, host: Host, error: BaseException) -> None:
        if not self._nemesis.ended(host, error):
            self.failed(host.name, NodeFailed(f"{host.name} ended by {error!r}"))

    @property
    def _broken(self) -> list[Violation]:
        """What must not be broken, whatever happened to the disks."""
        return [each for each in self._panel.violations if self._atlas.binds(each.invariant)]

    @property
    def _ended(self) -> bool:
        return self._error is not None or bool(self._broken)

    def _start(self, program: Program) -> None:
        self._programs.append(program)
        self._sim.call_after(0, program.start)

    def go(self) -> Ending:
        """All of it."""
        self.cluster.start()
        self._nemesis.follow(self._drawn.plan)
        if self.cluster.nodes:
            self._sim.run(FOUNDING_NS)
        scenario = self._world.begin(self._body)
        until_ns = self._sim.now_ns + SCENARIO_NS
        over = self._sim.run_while(lambda: not self._ended and not self._finished, until_ns)
        if not over:
            self.failed("scenario", Stuck(self._why(scenario)))
        for program in self._programs:
            program.stop()
        if not self._ended and self.cluster.nodes:
            self._finish()
        return self._ending()

    async def _body(self) -> None:
        await self._scene(self._world)
        self._finished = True

    def _finish(self) -> None:
        world = self._sim
        core = self._nemesis.settle()
        world.trace.add("heal", "all", ",".join(core))
        healed_ns = world.now_ns
        self._pass_time(lambda: looking.at_rest(self.cluster, core), REST_NS)
        if not looking.at_rest(self.cluster, core) and self._atlas.binds("L3"):
            self.failed("", Stuck("the cluster was healed, and did not come to rest in 30 s"))
        remains = Remains(self.cluster, self._drawn.groups)
        remains.begin()
        self._pass_time(lambda: remains.done, _READING_NS)
        if not self._ended:
            self._panel.finish(looking.final(self.cluster, healed_ns, core, remains))

    def _pass_time(self, done: Callable[[], bool], for_ns: int) -> None:
        world = self._sim
        until_ns = world.now_ns + for_ns
        while not self._ended and not done() and world.now_ns < until_ns:
            world.run(world.now_ns + _SLICE_NS)

    def _why(self, scenario: Program) -> str:
        lines = [f"the scenario did not end within {SCENARIO_NS // NS} simulated seconds"]
        if scenario.task is not None:
            frames = [
                f"{frame.f_code.co_filename}:{number} in {frame.f_code.co_name}"
                for frame, number in scenario.task.iter_await_frames()
                if not str(frame.f_globals.get("__name__", "")).startswith(("haqactor.", "trio."))
            ]
            lines += [f"  it waits at {frame}" for frame in frames[-1:]]
        return "\n".join(lines)

    def _ending(self) -> Ending:
        world, error, violations = self._sim, self._error, self._broken
        if error is None and violations:
            error = PromiseBroken(violations)
        ops, fired = self.history.ops, self._nemesis.fired
        return Ending(
            seed=world.seed,
            profile=self._profile,
            drawn=self._drawn,
            error=error,
            at_ns=None if self._first is None else self._first[0],
            event=None if self._first is None else self._first[1],
            violations=violations,
            digest=world.trace.digest(),
            simulated_ns=world.now_ns,
            confirmed=sum(op.kind == "publish" and op.outcome == OK for op in ops),
            delivered=sum(op.kind == "deliver" for op in ops),
            fired={kind: fired[kind] for kind in self._drawn.plan.kinds() if kind in fired},
            clients=tuple(program.name for program in self._programs),
            trace=world.trace if world.trace.recording else None,
        )
