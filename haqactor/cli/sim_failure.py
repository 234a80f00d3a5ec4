"""``haq sim replay``, ``shrink`` and ``diff``: what is done with a failure once there is one.

One rule: what is shown is what was run just now; a replay that goes another way says so, and is no success.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from haqactor.cli import exits
from haqactor.cli.command import Command, output_option
from haqactor.cli.output import print_json, progress, say
from haqactor.cli.sim_options import Span

if TYPE_CHECKING:
    from haqactor.sim.failure.artefact import Artefact
    from haqactor.sim.trace import Event

_FILE = click.Path(exists=True, dir_okay=False)


@click.command(
    cls=Command,
    examples=(
        "haq sim replay sim-failures/swarm-17/fail.json",
        "haq sim replay fail.json --trace fail.jsonl.zst --log -o json",
    ),
)
@click.argument("file", type=_FILE)
@click.option("--trace", type=click.Path(dir_okay=False), help="Write the trace there: .jsonl or .jsonl.zst.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write the page of the run there.")
@click.option("--log", is_flag=True, help="Print what the nodes logged.")
@output_option
def replay(file: str, trace: str | None, html: str | None, log: bool, output: str) -> None:
    """Run a failure again, exactly. Exit code 1 if it fails again, and also if it goes another way."""
    from haqactor.cli.sim_artefacts import load, write_page, write_trace
    from haqactor.sim.failure import diff
    from haqactor.sim.failure.replay import files, upto
    from haqactor.sim.failure.replay import replay as run_again
    from haqactor.sim.search.seedrun import outcome_of
    from haqactor.sim.search.stopwatch import cpu_s
    from haqactor.sim.trace import Trace
    from haqactor.sim.verdict import Verdict

    artefact = load(file)
    began = cpu_s()
    with progress(f"seed {artefact.seed}"):
        result = run_again(artefact)
    outcome = outcome_of(result, cpu_s() - began)
    events = upto(result)
    if trace:
        write_trace(trace, result.trace.events if result.trace is not None else [])
    if html:
        write_page(html, result)
    if log:
        for event in events:
            if event.kind == "log":
                say(diff.line(event))
    same = result.verdict is not Verdict.NONDETERMINISM
    if output == "json":
        print_json({**outcome.to_json(), "profile": artefact.profile, "same": same, "note": result.note})
    elif same:
        made = files(artefact, events, result.trace or Trace(), where=str(Path(file).parent))
        click.echo(made["fail.txt"].rstrip())
    if result.note:
        say(result.note)
    if outcome.verdict.exit_code:
        raise click.exceptions.Exit(outcome.verdict.exit_code)


@click.command(
    cls=Command,
    examples=(
        "haq sim shrink fail.json --budget 2m",
        "haq sim shrink fail.json --artefacts smaller/ -o json",
    ),
)
@click.argument("file", type=_FILE)
@click.option("--budget", type=Span(), default="90s", show_default=True, help="CPU time it may take.")
@click.option("--runs", type=click.IntRange(min=1), default=300, show_default=True, help="At most.")
@click.option(
    "--artefacts",
    type=click.Path(file_okay=False),
    help="Where the small failure goes; a folder `shrunk` beside FILE where it is not said.",
)
@output_option
def shrink(file: str, budget: float, runs: int, artefacts: str | None, output: str) -> None:
    """Make a failure small: the fewest faults, operations and seconds that still break the same promise."""
    from haqactor.cli.sim_artefacts import load
    from haqactor.sim.failure.replay import HTML, JSON, TEXT, write
    from haqactor.sim.failure.shrink import NotReproduced
    from haqactor.sim.failure.shrink_runs import shrink_failure
    from haqactor.sim.search.stopwatch import cpu_s

    artefact = load(file)
    if not artefact.verdict.failed:
        raise click.UsageError(f"{file}: this run did not fail: there is nothing to shrink")
    where = Path(artefacts) if artefacts else Path(file).parent / "shrunk"
    with progress("shrinking", runs) as step:
        try:
            small, result = shrink_failure(
                artefact,
                cpu_s=cpu_s,
                budget_s=budget,
                budget=runs,
                progress=lambda _shown: step(1),
            )
        except NotReproduced as error:
            say(f"haq: {error}: `haq sim diff {file}` runs it twice and shows where they part")
            raise click.exceptions.Exit(exits.FAILED) from None
    where.mkdir(parents=True, exist_ok=True)
    write(where, small, result)
    if output == "json":
        print_json(
            {
                "invariant": small.invariant,
                "verdict": small.verdict.value,
                "faults_before": len(artefact.run.plan),
                "faults": len(small.run.plan),
                "operations": small.run.operations,
                "runs": small.shrink_runs - artefact.shrink_runs,
                "plan": [str(fault) for fault in small.run.plan],
                "artefacts": [str(where / name) for name in (JSON, HTML, TEXT)],
            }
        )
    else:
        click.echo((where / TEXT).read_text(encoding="utf-8").rstrip())


@click.command(
    cls=Command,
    examples=(
        "haq sim diff a.jsonl.zst b.jsonl.zst",
        "haq sim diff fail.json other/fail.json",
        "haq sim diff fail.json",
    ),
)
@click.argument("first", type=_FILE)
@click.argument("second", type=_FILE, required=False)
def diff(first: str, second: str | None) -> None:
    """Where two runs part: traces, or failures, which are run. A failure alone is run twice, in processes of
    different hash seeds. Exit code 1 if they differ."""
    from haqactor.cli.sim_artefacts import is_artefact
    from haqactor.sim.failure import diff as differences
    from haqactor.sim.search.selfcheck import recorded_twice

    if second is None:
        if not is_artefact(first):
            raise click.UsageError(f"{first} is a trace: give the one that it is compared with")
        names = ("under hash seed 0", "under another")
        with progress("running it twice"):
            ours, theirs = recorded_twice(_events_of, first)
    else:
        names = (first, second)
        with progress("reading"):
            ours, theirs = (_events_of(name) for name in names)
    divergence = differences.first_divergence(ours, theirs)
    click.echo(differences.report(divergence, *names))
    if divergence is not None:
        raise click.exceptions.Exit(exits.FAILED)


def _events_of(name: str) -> "list[Event]":
    """Of a trace, or of a failure, which is run."""
    from haqactor.cli.sim_artefacts import is_artefact, load, read_trace

    return _run(load(name)) if is_artefact(name) else list(read_trace(name))


def _run(artefact: "Artefact") -> "list[Event]":
    from haqactor.sim.failure.replay import replay as run_again

    result = run_again(artefact)
    return result.trace.events if result.trace is not None else []
