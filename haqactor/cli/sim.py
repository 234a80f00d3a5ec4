"""``haq sim``: whole clusters in one process, on a virtual clock, from a seed.

One rule: the commands stand in modules of their own, by what they are for.
"""

import click

from haqactor.cli import sim_failure, sim_figures, sim_prove, sim_run
from haqactor.cli.command import Group


@click.group(
    "sim",
    cls=Group,
    examples=("haq sim run --seed 17", "haq sim swarm --seeds 1-1000 --jobs 2"),
)
def group() -> None:
    """Simulate clusters under faults, from a seed, bit for bit repeatable.

    Exit codes: 0 pass, 1 fail, 10 not determined; the class of a failure is in the JSON.
    """


for command in (
    sim_run.run,
    sim_run.swarm,
    sim_failure.replay,
    sim_failure.shrink,
    sim_failure.diff,
    sim_prove.profiles,
    sim_prove.selfcheck,
    sim_prove.mutants,
    sim_prove.sweep,
    sim_figures.bench,
    sim_figures.guarantees,
):
    group.add_command(command)
