"""``python -m tests.chaos --for 60s --seed 1 --nodes 3``: one run, its verdict and its timeline.

One rule: exit code 0 only if every promise held; the seed is printed before anything starts.
"""

import json
import random
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import structlog
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from haqactor.cli.groups import leaves
from tests.chaos import artefacts, timeline
from tests.chaos.namespaces import NOTHING, enter
from tests.chaos.nemesis import Policy
from tests.chaos.plan import KINDS, from_json
from tests.chaos.run import Result, Run, Settings, watched

OUT: Final = Path("build/chaos")
SHOWN: Final = 5
INTERRUPTED: Final = 130
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")
_UNIT_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """``90``, ``90s``, ``2m`` or ``1h``. Raises click.BadParameter."""
    found = _SPAN.fullmatch(text)
    if found is None or not float(found[1]):
        raise click.BadParameter(f"{text!r} is no time: write 90s, 2m or 1h")
    return float(found[1]) * _UNIT_S[found[2]]


@click.command()
@click.option("--for", "span", default="60s", show_default=True, help="How long: 90s, 2m, 1h.")
@click.option("--seed", type=int, help="What decides the plan; drawn where it is not given.")
@click.option("--nodes", type=click.Choice(["3", "5"]), default="3", show_default=True)
@click.option("--kinds", default=",".join(KINDS), help="Faults that may happen, with commas; all by default.")
@click.option("--plan", "file", type=click.Path(exists=True, dir_okay=False), help="A plan.json to follow.")
@click.option(
    "--damage",
    type=click.Choice(["restore", "recover"]),
    default="restore",
    show_default=True,
    help="restore: a node that refuses damaged data gets it back; recover: it has to mend itself.",
)
@click.option("--bug", "bugs", multiple=True, help="Plant this bug (see docs/internals/planted-bugs.md).")
@click.option(
    "--namespaces/--no-namespaces",
    "isolated",
    default=True,
    show_default=True,
    help="Use a loopback and small disks of our own, where that is allowed.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=OUT, show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def main(
    span: str,
    seed: int | None,
    nodes: str,
    kinds: str,
    file: str | None,
    damage: str,
    bugs: tuple[str, ...],
    isolated: bool,
    out: Path,
    output: str,
) -> None:
    """Real nodes, real faults, and the judgement of what clients saw."""
    chosen = tuple(each for each in kinds.split(",") if each)
    unknown = [each for each in chosen if each not in KINDS]
    if unknown:
        raise click.BadParameter(f"there is no fault {unknown[0]!r}; there are {', '.join(KINDS)}")
    drawn = seed if seed is not None else random.SystemRandom().randrange(1_000_000)
    allowed = enter() if isolated else NOTHING
    settings = Settings(
        drawn, seconds_of(span), int(nodes), chosen, Policy(damage), bugs=bugs, allowed=allowed
    )
    if file is not None:
        told, plan = from_json(Path(file).read_text(encoding="utf-8"))
        settings = replace(settings, seed=told, plan=tuple(plan))
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    sys.exit(carry_out(settings, out / str(settings.seed), output))


def carry_out(settings: Settings, directory: Path, output: str) -> int:
    """Run, show, and keep what has to be kept; returns the exit code."""
    console = Console(stderr=True)
    console.print(f"seed {settings.seed}, {settings.nodes} nodes, {settings.seconds:g} s of faults")
    if not settings.allowed.mounts or not settings.allowed.network:
        console.print(f"without namespaces of our own: {settings.allowed}", highlight=False)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="haq-chaos-") as temporary:
        run = Run(settings, Path(temporary))
        for fault in run.result.plan:
            console.print(str(fault), highlight=False)
        try:
            with _clients_log(directory / "clients.log"), _progress(console) as progress:
                bar = progress.add_task("founding", total=settings.seconds)

                def look(run: Run) -> None:
                    what = f"{run.phase}, {run.history.confirmed:,} confirmed"
                    progress.update(bar, completed=min(run.now(), settings.seconds), description=what)

                result = trio.run(watched, run, look)
        except BaseException as error:
            artefacts.keep(run, directory)
            if all(isinstance(each, KeyboardInterrupt) for each in leaves(error)):
                console.print(f"interrupted; kept in {directory}")
                return INTERRUPTED
            raise
        if not result.passed:
            artefacts.keep(run, directory)
    place = artefacts.keep_picture(result, directory)
    summary = artefacts.summary(result)
    (directory / "result.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    if output == "json":
        print(json.dumps(summary))
    else:
        _show(result, place)
    return 0 if result.passed else 1


@contextmanager
def _clients_log(path: Path) -> Generator[None]:
    """What clients have to say goes there."""
    with path.open("w", encoding="utf-8") as out:
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger("warning"),
            logger_factory=structlog.PrintLoggerFactory(out),
        )
        try:
            yield
        finally:
            structlog.reset_defaults()


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<40}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _show(result: Result, place: Path) -> None:
    console = Console()
    found = artefacts.figures_of(result)
    until_s = artefacts.until_s(result)
    drawn = timeline.text(artefacts.lanes(result), result.spans, result.history.records, until_s)
    console.print(drawn, highlight=False, markup=False, soft_wrap=True)
    for at_s, note in result.notes:
        console.print(f"{at_s:7.2f} s  {note}", highlight=False, markup=False)
    faults = ", ".join(f"{count} {kind}" for kind, count in sorted(result.fired.items())) or "none"
    console.print(
        f"\n{found.confirmed:,} messages confirmed ({found.per_s:,.0f}/s), {found.delivered:,} deliveries, "
        f"{found.settled:,} settled; publishes refused {found.refused}, unknown {found.unknown}\n"
        f"longest time without a confirmation {found.gap_s:.2f} s, from {found.gap_at_s:.1f} s on; "
        f"drained {result.drained_s - result.faults_until_s:.1f} s after the faults\nfaults: {faults}\n",
        highlight=False,
    )
    table = Table("promise", "")
    for promise, breaks in result.broken.items():
        table.add_row(promise, "held" if not breaks else f"BROKEN {len(breaks)} times")
    console.print(table)
    for promise, breaks in result.broken.items():
        for each in breaks[:SHOWN]:
            console.print(f"{promise}: {each}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"picture: {place}", highlight=False)


if __name__ == "__main__":
    main()
