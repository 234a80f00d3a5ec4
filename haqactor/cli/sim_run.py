"""``haq sim run`` and ``haq sim swarm``: seeds, and what came of them.

One rule: a failure is never only told: its files are written, and the command that shows it again is printed.
"""

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from haqactor.cli import exits
from haqactor.cli.command import Command
from haqactor.cli.output import print_json, progress, say
from haqactor.cli.sim_options import (
    Seeds,
    Span,
    artefacts_option,
    jobs_option,
    profile_of,
    run_options,
    settings_of,
)
from haqactor.cli.sim_tables import first_line, show_run, show_swarm

if TYPE_CHECKING:
    from haqactor.sim.search.seedrun import Outcome
    from haqactor.sim.search.settings import Settings
    from haqactor.sim.search.summary import Summary

ARTEFACTS_MAX: Final = 5
"""Of one swarm: so many failures are written; the others are named."""
_SEEDS: Final = range(1, 101)


@click.command(
    cls=Command,
    examples=(
        "haq sim run --seed 17",
        "haq sim run --seed 17 --profile disk --nodes 5 --for 60s -o json",
        "haq sim run --seed 3 --bug raft.vote_before_durable --html run.html",
    ),
)
@click.option("--seed", type=click.IntRange(min=0), required=True, help="Decides everything.")
@run_options
@click.option("--trace", type=click.Path(dir_okay=False), help="Write the trace there: .jsonl or .jsonl.zst.")
@click.option(
    "--html", type=click.Path(dir_okay=False), help="Write the page of the run there, also of a pass."
)
@artefacts_option
def run(
    seed: int,
    profile: str,
    bugs: tuple[str, ...],
    core: bool,
    nodes: int | None,
    safety_s: float | None,
    changes: tuple[str, ...],
    output: str,
    trace: str | None,
    html: str | None,
    artefacts: str,
) -> None:
    """Run one seed: a cluster, its clients and its faults, judged by all checkers. Exit code 0 pass, 1 fail,
    10 not determined; the class of a failure is in the JSON."""
    profile_of(profile, cores=core)
    settings = settings_of(changes, nodes, safety_s, core=core)
    if core and (trace or html):
        raise click.UsageError("--core keeps no trace: leave --trace and --html out")
    report, paths = "", list[str]()
    with progress(f"seed {seed}"):
        if core:
            from haqactor.sim.search.seedrun import run_cores

            outcome = run_cores(seed, profile, settings, bugs)
        else:
            outcome, report, paths = _nodes(seed, profile, bugs, settings, (trace, html), artefacts)
    if output == "json":
        print_json({**outcome.to_json(), "profile": profile, "bugs": list(bugs), "artefacts": paths})
        if report:
            say(report.rstrip())
    elif report:
        click.echo(report.rstrip())
    else:
        show_run(outcome)
        if outcome.verdict.failed:
            click.echo(f"{outcome.invariant}: {outcome.message}")
    if outcome.verdict.exit_code:
        raise click.exceptions.Exit(outcome.verdict.exit_code)


def _nodes(
    seed: int,
    profile: str,
    bugs: tuple[str, ...],
    settings: "Settings",
    wanted: tuple[str | None, str | None],
    artefacts: str,
) -> "tuple[Outcome, str, list[str]]":
    """The outcome, and the report and files of a failure."""
    from haqactor.cli.sim_artefacts import failure, folder, write_page, write_trace
    from haqactor.sim.failure.replay import HTML, JSON, TEXT
    from haqactor.sim.run import run as run_seed
    from haqactor.sim.search.seedrun import outcome_of
    from haqactor.sim.search.stopwatch import cpu_s

    trace, html = wanted
    began = cpu_s()
    result = run_seed(
        seed, profile, drawn=settings.of(seed, profile), bugs=bugs, recording=bool(trace or html)
    )
    outcome = outcome_of(result, cpu_s() - began)
    if trace and result.trace is not None:
        write_trace(trace, result.trace.events)
    if html:
        write_page(html, result)
    if not outcome.verdict.failed:
        return outcome, "", []
    where = folder(artefacts, seed, profile, bugs)
    _artefact, again, report = failure(result, where)
    if again.verdict is not outcome.verdict:
        outcome.verdict, outcome.message = again.verdict, again.note
    return outcome, report, [str(where / name) for name in (JSON, HTML, TEXT)]


@click.command(
    cls=Command,
    examples=(
        "haq sim swarm --seeds 1-1000 --jobs 2",
        "haq sim swarm --budget 10m --profile partition -o json > partition.json",
        "haq sim swarm --core --seeds 1-5000",
    ),
)
@click.option("--seeds", type=Seeds(), help="Such as 1-1000; 1-100 where there is no --budget either.")
@click.option("--budget", type=Span(), help="No seed begins after so long, such as 10m.")
@jobs_option
@run_options
@click.option("--stop-early", is_flag=True, help="End at the first failure.")
@artefacts_option
def swarm(
    seeds: range | None,
    budget: float | None,
    jobs: int,
    profile: str,
    bugs: tuple[str, ...],
    core: bool,
    nodes: int | None,
    safety_s: float | None,
    changes: tuple[str, ...],
    output: str,
    stop_early: bool,
    artefacts: str,
) -> None:
    """Run many seeds in worker processes. One seed in twenty that passes runs twice, under another hash seed,
    and must go the same way. Names the faults that never fired and the marks that were never reached."""
    from haqactor.sim.search.pool import Pool
    from haqactor.sim.search.seedrun import CORES, NODES
    from haqactor.sim.search.swarm import Rules
    from haqactor.sim.search.swarm import swarm as run_swarm

    profile_of(profile, cores=core)
    settings = settings_of(changes, nodes, safety_s, core=core)
    wanted = seeds or (_SEEDS if budget is None else None)
    files: dict[int, list[str]] = {}
    with Pool(jobs) as pool:
        with progress(f"{profile} on {jobs} workers", len(wanted) if wanted is not None else None) as step:

            def told(outcome: "Outcome") -> None:
                step(1)
                if outcome.verdict.failed:
                    say(
                        f"seed {outcome.seed}: {outcome.verdict.value} {outcome.invariant}: "
                        f"{first_line(outcome.message)}"
                    )

            found = run_swarm(
                wanted or count(1),
                profile,
                jobs,
                bugs,
                told,
                settings=settings,
                simulator=CORES if core else NODES,
                rules=Rules(budget_s=budget, stop_early=stop_early),
                pool=pool,
            )
        if not found.interrupted and not core:
            files = _write_failures(pool, found, settings, artefacts)
    if output == "json":
        row = found.to_json()
        for failed in row["failures"]:
            failed["artefacts"] = files.get(failed["seed"], [])
            failed["again"] = _again(failed["seed"], profile, bugs, changes, (nodes, safety_s), core=core)
        print_json(row)
    else:
        show_swarm(found)
    for outcome in found.failures[:ARTEFACTS_MAX]:
        if outcome.seed not in files:
            say(_again(outcome.seed, profile, bugs, changes, (nodes, safety_s), core=core))
    if found.interrupted:
        raise click.exceptions.Exit(exits.INTERRUPTED)
    if found.verdict.exit_code:
        raise click.exceptions.Exit(found.verdict.exit_code)


def _write_failures(
    pool: Any, found: "Summary", settings: "Settings", artefacts: str
) -> dict[int, list[str]]:
    """The first few, each run again by a worker; prints the report of the first. Files by seed."""
    from haqactor.cli.sim_artefacts import failed_seed, folder
    from haqactor.sim.failure.replay import HTML, JSON, TEXT

    chosen = [outcome.seed for outcome in found.failures if outcome.digest][:ARTEFACTS_MAX]
    reports: dict[int, str] = {}
    waiting = list(chosen)
    with progress("writing failures down", len(chosen)) as step:
        while waiting or pool.busy:
            while waiting and pool.free:
                seed = waiting.pop(0)
                where = str(folder(artefacts, seed, found.profile, found.bugs))
                pool.submit(seed, failed_seed, where, seed, found.profile, settings, found.bugs)
            for done in pool.wait():
                step(1)
                verdict, report = ("", "") if done.error else done.value
                if report:
                    reports[done.key] = report
                else:
                    say(f"seed {done.key} did not fail again: {verdict or done.error}")
    written = [seed for seed in chosen if seed in reports]
    for seed in written[:1]:
        say(reports[seed].rstrip())
    for seed in written[1:]:
        say(f"haq sim replay {folder(artefacts, seed, found.profile, found.bugs) / JSON}")
    return {
        seed: [
            str(Path(folder(artefacts, seed, found.profile, found.bugs)) / name)
            for name in (JSON, HTML, TEXT)
        ]
        for seed in written
    }


def _again(
    seed: int,
    profile: str,
    bugs: tuple[str, ...],
    changes: tuple[str, ...],
    size: tuple[int | None, float | None],
    *,
    core: bool,
) -> str:
    """The command that runs a seed of a swarm alone."""
    nodes, safety_s = size
    parts = [f"haq sim run --seed {seed} --profile {profile}"]
    parts += [f"--bug {bug}" for bug in bugs]
    parts += [f"--set {change}" for change in changes]
    parts += [f"--nodes {nodes}"] if nodes is not None else []
    parts += [f"--for {safety_s:g}s"] if safety_s is not None else []
    return " ".join([*parts, *(["--core"] if core else [])])
