"""``haq sim bench`` and ``guarantees``: the simulator's own figures, and the page of what was watched.

One rule: what stands in a page or a table was measured by the command that wrote it.
"""

import json
from pathlib import Path
from typing import Any, cast

import click

from haqactor.cli.command import Command, output_option
from haqactor.cli.output import print_json, print_table, progress, say


@click.command(cls=Command, examples=("haq sim bench", "haq sim bench --quick -o json"))
@click.option("--quick", is_flag=True, help="Seconds instead of minutes; the figures are rough.")
@output_option
def bench(quick: bool, output: str) -> None:
    """Measure the simulator: messages, simulated seconds and seeds for a CPU second, beside what is asked
    for."""
    from haqactor.sim.bench.figures import PARTS, QUICK, Size
    from haqactor.sim.bench.figures import bench as measure

    with progress("measuring", len(PARTS)) as step:
        figures = measure(QUICK if quick else Size(), lambda _name: step(1))
    if output == "json":
        print_json([figure.to_json() for figure in figures])
        return
    rows = [
        (
            figure.name,
            f"{figure.value:,.3g}" if figure.value < 100 else f"{figure.value:,.0f}",
            figure.unit,
            "-" if figure.goal is None else f"{'at most' if figure.at_most else 'at least'} {figure.goal:,g}",
            "-" if figure.met is None else figure.met,
        )
        for figure in figures
    ]
    print_table(("figure", "value", "unit", "goal", "met"), rows)


@click.command(
    cls=Command,
    examples=(
        "haq sim guarantees swarm.json disk.json",
        "haq sim guarantees swarm.json --page docs/guarantees.md",
    ),
)
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--page", type=click.Path(exists=True, dir_okay=False), help="Write it between the page's marks."
)
def guarantees(results: tuple[str, ...], page: str | None) -> None:
    """Tell which promises were watched under which faults, and for how many simulated hours, from what `haq
    sim swarm -o json` printed."""
    from haqactor.sim.search.guarantees import GuaranteesError, filled, section

    rows: list[dict[str, Any]] = []
    for name in results:
        try:
            value: object = json.loads(Path(name).read_bytes())
        except ValueError as error:
            raise click.UsageError(f"{name}: not JSON: {error}") from None
        if not isinstance(value, dict):
            raise click.UsageError(f"{name}: a result of `haq sim swarm -o json` is wanted")
        rows.append(cast("dict[str, Any]", value))
    try:
        part = section(rows)
        if page is None:
            click.echo(part)
            return
        target = Path(page)
        target.write_text(filled(target.read_text(encoding="utf-8"), part), encoding="utf-8")
    except GuaranteesError as error:
        raise click.UsageError(str(error)) from None
    say(f"wrote {page}")
