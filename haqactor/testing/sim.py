"""Runs a scenario over seeds, and tells of the first one that fails: what the fixture ``sim`` is.

One rule: a seed that failed is run once more, recorded, before it is told; if that goes another way, then
that is the failure.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol, cast

from haqactor.sim.tripwires import tripwires
from haqactor.testing.failure import Undetermined
from haqactor.testing.run import Ending, run
from haqactor.testing.story import html, parting, text

SEEDS: Final = 20


Body = Callable[..., Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``body``: an async function of a ``World``. ``nodes``: of its cluster. ``seeds``: how many, from 0
    on."""

    body: Body
    nodes: int = 3
    seeds: int = SEEDS
    profile: str = "calm"


@dataclass(slots=True)
class Tally:
    """What passed: how many seeds, how long in simulated seconds, what clients did, which faults hit."""

    seeds: int = 0
    simulated_s: float = 0.0
    confirmed: int = 0
    delivered: int = 0
    faults: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, ending: Ending) -> None:
        """One more run."""
        self.seeds += 1
        self.simulated_s += ending.simulated_ns / 1e9
        self.confirmed += ending.confirmed
        self.delivered += ending.delivered
        for name, count in ending.fired.items():
            self.faults[name] = self.faults.get(name, 0) + count


class Audience(Protocol):
    """Who is told how it goes: the plugin of pytest, or nobody."""

    def progress(self, done: int, seeds: int) -> None:
        """So many have passed."""
        ...

    def again(self, seed: int) -> str:
        """The line by which a person sees a seed again."""
        ...

    def page(self, seed: int, content: str) -> str:
        """Keep the page of a failure; where it is, "" if nobody wants it."""
        ...

    def failed(self, report: str) -> None:
        """The report of a failure."""
        ...

    def finished(self, tally: Tally) -> None:
        """All have passed."""
        ...


class Silent:
    """Nobody listens; the report is a note of the error."""

    def progress(self, done: int, seeds: int) -> None:
        """Not told."""

    def again(self, seed: int) -> str:
        """In a program."""
        return f"sim.run(..., seeds=[{seed}])"

    def page(self, seed: int, content: str) -> str:
        """Not kept."""
        return ""

    def failed(self, report: str) -> None:
        """Not told."""

    def finished(self, tally: Tally) -> None:
        """Not told."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for on the command line, where it wins over what a scenario says. ``seed``: only this
    one. ``pages``: whether pages of failures are wanted."""

    seed: int | None = None
    seeds: int | None = None
    profile: str | None = None
    pages: bool = False


class Sim:
    """Runs scenarios."""

    def __init__(self, settings: Settings | None = None, audience: Audience | None = None) -> None:
        self._settings = settings or Settings()
        self._audience: Audience = audience or Silent()
        self._noted = audience is None

    def run(
        self,
        body: Body | Callable[..., None],
        *,
        nodes: int | None = None,
        seeds: int | Sequence[int] | None = None,
        profile: str | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> Tally:
        """Run an async function of a ``World`` over ``seeds``: so many from 0 on, or those. What is not given
        is as ``@scenario`` says, if it made the function; else 3 nodes, 20 seeds, ``calm``. ``given``: more
        arguments, by name. Returns what was run; raises the error of the first seed that fails."""
        __tracebackhide__ = True
        settings = self._settings
        made: Scenario = getattr(body, "scenario", None) or Scenario(cast("Body", body))
        scene = partial(made.body, **given) if given else made.body
        nodes = made.nodes if nodes is None else nodes
        profile = settings.profile or profile or made.profile
        wanted = made.seeds if seeds is None else seeds
        chosen = range(settings.seeds or wanted) if isinstance(wanted, int) else wanted
        if settings.seed is not None:
            chosen = (settings.seed,)
        tally = Tally()
        for number, seed in enumerate(chosen):
            self._audience.progress(number, len(chosen))
            ending = run(scene, seed, nodes=nodes, profile=profile)
            if ending.error is not None:
                if not _is_finding(ending.error):
                    raise ending.error
                error = self._told(scene, ending, nodes)
                raise error.with_traceback(error.__traceback__)
            tally.add(ending)
        self._audience.finished(tally)
        return tally

    def _told(self, scene: Body, ending: Ending, nodes: int) -> BaseException:
        """See it again, write it up; what is to be raised."""
        seen = run(scene, ending.seed, nodes=nodes, profile=ending.profile, recording=True)
        again = self._audience.again(ending.seed)
        if seen.digest != ending.digest or seen.error is None:
            other = run(scene, ending.seed, nodes=nodes, profile=ending.profile, recording=True)
            with tripwires() as escapes:
                run(scene, ending.seed, nodes=nodes, profile=ending.profile)
            guess = "such as the real time, random, a thread, or the order of a set"
            seen.error = Undetermined(
                f"seed {ending.seed} ended by {ending.error!r:.300}\n"
                f"and when it was run again by {seen.error!r:.300}:\n"
                f"the program under test asks something outside of the simulated world, "
                f"{escapes[0] if escapes else guess}"
            )
            report = parting(seen, other)
        else:
            where = self._audience.page(ending.seed, html(seen, again)) if self._settings.pages else ""
            report = text(seen, again, where)
        self._audience.failed(report)
        if self._noted:
            seen.error.add_note(report)
        return seen.error


def _is_finding(error: BaseException) -> bool:
    """Not where a person wants to stop, or the test is to be skipped; what ``pytest.fail`` raises is one."""
    return isinstance(error, Exception) or type(error).__name__ == "Failed"
