"""A program of the user on a machine of its own in the simulated world: its lives, its disk, its connections.

One rule: a crash is a power cut; none of the program's ``finally`` runs, and what it had not synced may be
gone.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import trio

from haqactor.client.broker import Broker
from haqactor.env import Environment
from haqactor.errors import Error
from haqactor.runtime.surroundings import within
from haqactor.sim.cluster import BEGAN_NS, NodeLog, SimCluster
from haqactor.sim.disk.medium import Medium
from haqactor.sim.watch.history import History
from haqactor.sim.world import NS
from haqactor.testing.failure import single, without_our_frames
from haqactor.testing.notes import Notes
from haqactor.testing.recording import Recorder

Body = Callable[[], Awaitable[object]]


class Stage(Protocol):
    """The run that a program is part of."""

    @property
    def cluster(self) -> SimCluster: ...
    @property
    def history(self) -> History: ...

    def failed(self, name: str, error: BaseException) -> None:
        """A program ended by an error that nobody expects."""
        ...


class Life:
    """One incarnation of a program, and what it finds around it (see ``runtime.surroundings``)."""

    def __init__(self, program: "Program") -> None:
        stage, host = program.stage, program.host
        self.environment: Environment = stage.cluster.environment(host, program.medium)
        self.log: Any = NodeLog(host)
        self.notes = Notes(stage.history, host.name, stage.cluster.world)
        self._recorder = Recorder(self.notes)
        self._addresses = stage.cluster.addresses

    def addresses(self, asked: Sequence[str]) -> Sequence[str]:
        """Whatever a URL says, here it means the simulated cluster; if there is none, what it says."""
        return self._addresses or asked

    def opened(self, broker: Broker, *, embedded: bool) -> None:
        """Watch it. A program's own nodes are another cluster than the scenario's, which alone is judged;
        where the scenario has none, theirs is the history."""
        if not embedded or not self._addresses:
            self._recorder.attach(broker)


class Program:
    """``restart_after_s``: a program that ended by an error of haqactor is started again so many seconds
    later, as a supervisor would; None: that fails the scenario. Any other error always does."""

    def __init__(self, stage: Stage, name: str, body: Body, restart_after_s: float | None) -> None:
        world = stage.cluster.world
        self.stage = stage
        self.host = world.host(name, wall_offset_ns=BEGAN_NS)
        self.medium = Medium(world.seed, name)
        self.task: trio.lowlevel.Task | None = None
        self._body = body
        self._restart_after_s = restart_after_s
        self._life: Life | None = None
        self._stopped = False

    @property
    def name(self) -> str:
        """Of its host."""
        return self.host.name

    @property
    def life(self) -> Life:
        """The present one. Raises RuntimeError for a program that does not run."""
        if self._life is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._life

    def start(self) -> None:
        """Begin, or begin again with the disk that it left."""
        if not self.host.alive and not self._stopped:
            self.host.start(self._main)

    def crash(self) -> None:
        """The power goes."""
        if self.host.alive:
            self.host.crash()
            self.medium.crash()
        if self._life is not None:
            self._life.notes.close()
            self._life = None

    def restart(self) -> None:
        """Kill it where it stands, and begin again."""
        self.crash()
        self.start()

    def stop(self) -> None:
        """For ever: the run is over."""
        self._stopped = True
        self.crash()

    async def _main(self) -> None:
        life = self._life = Life(self)
        self.task = trio.lowlevel.current_task()
        try:
            with within(life):
                await self._body()
        except trio.Cancelled:
            raise
        except BaseException as raised:  # also what pytest.fail and pytest.skip raise
            if life is self._life:
                self._ended_by(without_our_frames(single(raised)))
        if life is self._life:
            life.notes.close()
            self._life = None

    def _ended_by(self, error: BaseException) -> None:
        world = self.stage.cluster.world
        # Not what it says: texts name objects by their addresses, which differ from run to run.
        world.trace.add("failed", self.name, type(error).__name__)
        if self._restart_after_s is None or not isinstance(error, Error):
            self.stage.failed(self.name, error)
        else:
            world.call_after(round(self._restart_after_s * NS), self.start)
