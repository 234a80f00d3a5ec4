"""``haq sim profiles`` and ``selfcheck``: what there is to draw from, and whether a seed alone decides.

One rule: a check that could not be made is not passed.
"""

import click

from haqactor.cli import exits
from haqactor.cli.command import Command, output_option
from haqactor.cli.output import print_json, print_table, progress, say
from haqactor.cli.sim_options import Seeds, jobs_option, profile_of, profile_option


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
    any do."""
    from haqactor.sim.selfcheck import cores, nodes
    from haqactor.sim.selfcheck import selfcheck as check

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
        columns = ("seeds", "processes each", "mismatches", "CPU s", "s")
        row = (found.seeds, processes, len(found.mismatches), found.cpu_s, found.wall_s)
        print_table(columns, [row])
    for each in found.mismatches[:5]:
        say(f"seed {each.seed} went several ways: {', '.join(each.digests)}\n{each.where}")
    for error in found.errors[:5]:
        say(error)
    if found.interrupted:
        raise click.exceptions.Exit(exits.INTERRUPTED)
    if not found.ok:
        raise click.exceptions.Exit(exits.FAILED)


def _plain(found: object) -> dict[str, object]:
    from haqactor.cli.output import plain

    made: dict[str, object] = plain(found)
    return made
