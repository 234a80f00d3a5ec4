"""Options that the commands of ``haq sim`` share: profiles, planted bugs, spans of time, ranges of seeds.

One rule: the simulator is imported when a value is looked at, not before; ``haq`` stays quick to start.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from haqactor.cli.command import output_option

if TYPE_CHECKING:
    from haqactor.sim.search.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_SEEDS: Final = re.compile(r"(\d+)(?:(?:-|\.\.)(\d+))?")


class Span(click.ParamType[float]):
    """Seconds, from ``90``, ``500ms``, ``60s``, ``10m`` or ``2h``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See above."""
        if isinstance(value, int | float):
            return float(value)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", value.strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r} is no span of time such as 500ms, 60s, 10m or 2h", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


class Seeds(click.ParamType[range]):
    """``17`` or ``1-1000``, both ends included."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """See above."""
        if isinstance(value, range):
            return value
        found = _SEEDS.fullmatch(value.strip())
        if found is None:
            self.fail(f"{value!r} is no range of seeds such as 1-1000", param, ctx)
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            self.fail(f"{value!r} is empty: the first seed comes first", param, ctx)
        return range(first, last + 1)


class Profile(click.ParamType[str]):
    """A profile of either simulator; checked by ``profile_of``, which knows by which."""

    name = "profile"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Their names."""
        return [CompletionItem(name) for name in profiles() if name.startswith(incomplete)]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Fails where neither has it."""
        if value not in profiles() and value not in profiles(cores=True):
            self.fail(f"there is no profile {value!r}; there are {', '.join(profiles())}", param, ctx)
        return str(value)


class BugName(click.ParamType[str]):
    """A planted bug, by its name or its id, or the canary."""

    name = "bug"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Its name."""
        from haqactor.sim.checkers.canary import CANARY
        from haqactor.sim.planted.bugs import BUGS

        if value == CANARY:
            return CANARY
        found = next((bug.name for bug in BUGS.values() if value in (bug.name, bug.id)), None)
        if found is None:
            self.fail(f"there is no planted bug {value!r}; `haq sim mutants --list` names them", param, ctx)
        return found


def profiles(*, cores: bool = False) -> Sequence[str]:
    """Of one simulator."""
    if cores:
        from haqactor.sim.cores.plan import KINDS

        return tuple(KINDS)
    from haqactor.sim.profiles import PROFILES

    return tuple(PROFILES)


def profile_of(profile: str, *, cores: bool) -> str:
    """The same, if that simulator has it. Raises UsageError."""
    if profile not in profiles(cores=cores):
        which = "core simulator" if cores else "simulator of whole nodes"
        raise click.UsageError(
            f"the {which} has no profile {profile!r}; it has {', '.join(profiles(cores=cores))}"
        )
    return profile


def profile_option(function: F) -> F:
    """``--profile``."""
    return click.option(
        "--profile",
        type=Profile(),
        default="swarm",
        show_default=True,
        help="Which faults may be drawn; see `haq sim profiles`.",
    )(function)


def jobs_option(function: F) -> F:
    """``--jobs``."""
    return click.option(
        "--jobs",
        type=click.IntRange(min=1, max=256),
        default=2,
        show_default=True,
        help="Worker processes.",
    )(function)


def artefacts_option(function: F) -> F:
    """``--artefacts``."""
    return click.option(
        "--artefacts",
        default="./sim-failures",
        show_default=True,
        type=click.Path(file_okay=False),
        help="Where failures are written: a folder each, with fail.json, fail.html and fail.txt.",
    )(function)


def run_options(function: F) -> F:
    """What else may be said about runs: ``--profile --bug --core --nodes --for --set -o``."""
    for option in (
        output_option,
        click.option(
            "--set",
            "changes",
            multiple=True,
            metavar="NAME=VALUE",
            help="A setting that is not to be drawn, such as producers=3 or reset_share=0.1.",
        ),
        click.option("--for", "safety_s", type=Span(), default=None, help="How long faults come; drawn: 6s."),
        click.option(
            "--nodes", type=click.IntRange(min=1, max=9), default=None, help="How many; drawn: 3 or 5."
        ),
        click.option("--core", is_flag=True, help="The simulator of the pure cores, without trio."),
        click.option(
            "--bug", "bugs", multiple=True, type=BugName(), help="Switch on a planted bug; may be repeated."
        ),
        profile_option,
    ):
        function = option(function)
    return function


def settings_of(
    changes: Sequence[str], nodes: int | None, safety_s: float | None, *, core: bool
) -> "Settings":
    """What ``--set``, ``--nodes`` and ``--for`` say. Raises UsageError."""
    from haqactor.sim.drawn import SAFETY_NS
    from haqactor.sim.search.settings import SettingError, read

    if core and (changes or nodes is not None or safety_s is not None):
        raise click.UsageError("--core draws everything from its seed: leave --set, --nodes and --for out")
    pairs: dict[str, str] = {}
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator:
            raise click.UsageError(f"--set {change}: NAME=VALUE is wanted")
        pairs[name.strip()] = value.strip()
    if nodes is not None:
        pairs["nodes"] = str(nodes)
    try:
        return read(pairs, SAFETY_NS if safety_s is None else round(safety_s * 1e9))
    except SettingError as error:
        raise click.UsageError(f"--set {error}") from None
