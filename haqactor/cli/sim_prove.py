"""``haq sim profiles``, ``selfcheck``, ``mutants``, ``sweep``: what there is to draw from, and whether the
simulator is any good.

One rule: a check that could not be made is not passed.
"""

import click

from haqactor.cli import exits
from haqactor.cli.command import Command, output_option
from haqactor.cli.output import print_json, print_table, progress, say
from haqactor.cli.sim_options import (
    BugName,
    Seeds,
    Span,
    artefacts_option,
    jobs_option,
    profile_of,
    profile_option,
)


@click.command(cls=Command, examples=("haq sim profiles", "haq sim profiles -o json | jq '.[].profile'"))
@output_option
def profiles(output: str) -> None:
    """List the profiles and the kinds of faults that their seeds draw from; a seed draws a few of them."""
    from haqactor.sim.cores.plan import KINDS
    from haqactor.sim.profiles import PROFILES

    rows = [
        *(("nodes", name, kinds) for name, kinds in PROFILES.items()),
        *(("cores", name, kinds) for name, kinds in KINDS.items()),
    ]
    if output == "json":
        print_json(
            [{"simulator": which, "profile": name, "faults": list(kinds)} for which, name, kinds in rows]
        )
    else:
        print_table(
            ("simulator", "profile", "faults"),
            [(which, name, ", ".join(kinds) or "none") for which, name, kinds in rows],
        )


@click.command(
    cls=Command,
    examples=(
        "haq sim selfcheck --seeds 1-100",
        "haq sim selfcheck --seeds 1-1000 --processes 3 --jobs 2 -o json",
    ),
)
@click.option("--seeds", type=Seeds(), default="1-20", show_default=True, help="Which.")
@click.option(
    "--processes",
    type=click.IntRange(min=2, max=16),
    default=3,
    show_default=True,
    help="How many processes run each seed.",
)
@click.option("--core", is_flag=True, help="The simulator of the pure cores, without trio.")
@jobs_option
@profile_option
@output_option
def selfcheck(seeds: range, processes: int, core: bool, jobs: int, profile: str, output: str) -> None:
    """Run seeds in several fresh processes, each with a random hash seed, holes in its heap and another past,
    and compare the hashes of their traces. Shows the first event in which two runs differ. Exit code 1 if
    any do. A seed that fails in every process alike is named as an alarm; `haq sim run` shows it."""
    from haqactor.sim.search.selfcheck import cores, nodes
    from haqactor.sim.search.selfcheck import selfcheck as check

    profile_of(profile, cores=core)
    with progress(f"{len(seeds)} seeds in {processes} processes each", len(seeds) * processes) as step:
        found = check(
            seeds,
            profile,
            jobs=jobs,
            processes=processes,
            batch=max(1, min(20, len(seeds) // jobs)),
            subject=cores if core else nodes,
            progress=step,
        )
    if output == "json":
        print_json({**_plain(found), "ok": found.ok, "profile": profile})
    else:
        columns = ("seeds", "processes each", "mismatches", "alarms", "CPU s", "s")
        counts = len(found.mismatches), len(found.alarms)
        row = (found.seeds, processes, *counts, found.cpu_s, found.wall_s)
        print_table(columns, [row])
    for each in found.mismatches[:5]:
        say(f"seed {each.seed} went several ways: {', '.join(each.digests)}\n{each.where}")
    for error in found.errors[:5]:
        say(error)
    for seed, wrong in sorted(found.alarms.items()):
        where = f"run{' --core' if core else ''} --seed {seed} --profile {profile}"
        say(f"seed {seed}: {wrong}; see haq sim {where}")
    if found.interrupted:
        raise click.exceptions.Exit(exits.INTERRUPTED)
    if not found.ok:
        raise click.exceptions.Exit(exits.FAILED)


def _plain(found: object) -> dict[str, object]:
    from haqactor.cli.output import plain

    made: dict[str, object] = plain(found)
    return made


@click.command(
    cls=Command,
    examples=(
        "haq sim mutants --jobs 2",
        "haq sim mutants --bug M01 --bug raft.vote_twice -o json",
        "haq sim mutants --list",
    ),
)
@click.option("--bug", "bugs", multiple=True, type=BugName(), help="Only this one; may be repeated.")
@click.option("--budget", type=Span(), help="No seed begins after so long, such as 10m.")
@click.option("--list", "listing", is_flag=True, help="Only say which there are.")
@jobs_option
@output_option
def mutants(bugs: tuple[str, ...], budget: float | None, listing: bool, jobs: int, output: str) -> None:
    """Hunt the planted bugs, in whole nodes and in the cores, and say how many seeds it took to find each, by
    which checker, and which faults it needed. Exit code 1 if any was not found."""
    from haqactor.sim.planted.bugs import BUGS
    from haqactor.sim.search.mutants import Row, Rules
    from haqactor.sim.search.mutants import mutants as hunt

    if any(name not in BUGS for name in bugs):
        raise click.UsageError("the canary is no planted bug: `haq sim swarm --bug canary` lets it sing")
    if listing:
        known = [BUGS[name] for name in bugs or BUGS]
        if output == "json":
            print_json(
                [{"id": bug.id, "name": bug.name, "what": bug.what, "needs": bug.fault} for bug in known]
            )
        else:
            print_table(
                ("id", "name", "what", "needs"), [(bug.id, bug.name, bug.what, bug.fault) for bug in known]
            )
        return
    with progress("hunting planted bugs", len(bugs or BUGS)) as step:

        def told(row: Row) -> None:
            step(1)
            if not row.killed:
                say(f"{row.id} {row.name}: not found in {row.seeds:,} seeds")

        rows = hunt(bugs, jobs, told, rules=Rules(budget_s=budget))
    if output == "json":
        print_json([row.to_json() for row in rows])
    else:
        columns = ("id", "name", "killed", "seeds", "by", "in", "fault", "CPU s")
        print_table(
            columns,
            [
                (row.id, row.name, row.killed, row.seeds, row.checker, row.simulator, row.fault, row.cpu_s)
                for row in rows
            ],
        )
        say(f"{sum(row.killed for row in rows)} of {len(rows)} found")
    if not all(row.killed for row in rows):
        raise click.exceptions.Exit(exits.FAILED)


@click.command(
    cls=Command,
    examples=("haq sim sweep", "haq sim sweep --host n0 --every 10 --seed 3 -o json"),
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the run.")
@click.option("--host", default="n1", show_default=True, help="Which node loses its power.")
@click.option(
    "--every", type=click.IntRange(min=1), default=1, show_default=True, help="Only each so many-th."
)
@click.option("--bug", "bugs", multiple=True, type=BugName(), help="Switch on a planted bug.")
@artefacts_option
@output_option
def sweep(seed: int, host: str, every: int, bugs: tuple[str, ...], artefacts: str, output: str) -> None:
    """Run a small run again and again, and cut a node's power after each operation of its disk in turn. Exit
    code 1 at the first that fails, which is written down."""
    from haqactor.cli.sim_artefacts import failure, folder
    from haqactor.sim.search.sweep import SUBJECT, Step
    from haqactor.sim.search.sweep import sweep as run_sweep

    if host not in [f"n{number}" for number in range(SUBJECT.nodes)]:
        raise click.UsageError(f"--host {host}: the run has n0 to n{SUBJECT.nodes - 1}")
    with progress(f"cutting the power of {host}") as step:

        def told(shown: Step) -> None:
            step(1, shown.points)

        found = run_sweep(seed, host, bugs=bugs, step=every, progress=told)
    row = {
        "seed": seed,
        "host": found.host,
        "operations": found.operations,
        "points": len(found.tried),
        "crashed": found.crashed,
        "verdict": found.failures[0].verdict.value if found.failures else "pass",
        "invariant": found.failures[0].invariant if found.failures else "",
    }
    if output == "json":
        print_json(row)
    else:
        print_table(tuple(row), [tuple(str(value) for value in row.values())])
    for failed in found.failures[:1]:
        say(failure(failed, folder(artefacts, seed, f"sweep-{host}", bugs))[2].rstrip())
        raise click.exceptions.Exit(exits.FAILED)
