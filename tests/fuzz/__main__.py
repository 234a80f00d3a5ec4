"""``python -m tests.fuzz [TARGET...] --for 60 --seed 1``: fuzz, show what came of it, keep what was found.

One rule: whatever is found is a file under ``build/fuzz``, and ``--replay`` shows it again.
"""

import json
import resource
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.fuzz.registry import TARGETS
from tests.fuzz.run import Outcome, Runner, name_of, run

RESULTS = Path("build/fuzz")
_ADDRESS_BYTES = 3 * 1024**3
"""Of this process: who wants more gets a MemoryError, and is a finding, before the machine suffers."""


def _kept(outcome: Outcome) -> list[str]:
    names: list[str] = []
    for finding in outcome.findings.values():
        path = RESULTS / outcome.target / name_of(finding)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".bin").write_bytes(finding.data)
        path.with_suffix(".txt").write_text(f"{finding.place}\n\n{finding.story}", encoding="utf-8")
        names.append(f"{path.with_suffix('.bin')}: {finding.place}")
    return names


def _replay(path: Path) -> None:
    """One kept input again; its error comes out as it is."""
    target = TARGETS[path.parent.name]
    runner = Runner(target, 0)
    print(runner.tried(path.read_bytes()))
    for finding in runner.outcome.findings.values():
        print(finding.story)
    sys.exit(bool(runner.outcome.findings))


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("target", "inputs", "inputs/s", "outcomes", "found")
    for each in outcomes:
        rate = each.inputs / each.seconds if each.seconds else 0.0
        table.add_row(
            each.target, f"{each.inputs:,}", f"{rate:,.0f}", str(len(each.outcomes)), str(len(each.findings))
        )
    return table


@click.command()
@click.argument("names", metavar="[TARGET]...", nargs=-1, type=click.Choice(list(TARGETS)))
@click.option(
    "--for", "seconds", default=60.0, show_default=True, help="Seconds in all, shared by the targets."
)
@click.option("--seed", default=1, show_default=True, help="Of all randomness.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@click.option("--replay", type=click.Path(exists=True, path_type=Path), help="Try one kept input again.")
def main(names: tuple[str, ...], seconds: float, seed: int, as_json: bool, replay: Path | None) -> None:
    """Fuzz the decoders; exits with 1 where anything was found."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_BYTES, _ADDRESS_BYTES))
    if replay is not None:
        _replay(replay)
    chosen = [TARGETS[name] for name in names or TARGETS]
    outcomes: list[Outcome] = []
    found: list[str] = []
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as progress:
        share = seconds / len(chosen)
        bar = progress.add_task("", total=seconds, state="")
        for number, target in enumerate(chosen):

            def watch(outcome: Outcome, number: int = number) -> None:
                total = sum(len(each.findings) for each in (*outcomes, outcome))
                state = f"{outcome.inputs:,} inputs, {total} found"
                done = min(number * share + outcome.seconds, (number + 1) * share)
                progress.update(bar, completed=done, description=outcome.target, state=state)

            outcome = run(target, seed, seconds=share, watch=watch)
            outcomes.append(outcome)
            found += _kept(outcome)
        progress.update(bar, completed=seconds)
    if as_json:
        rows = [
            {
                "target": each.target,
                "inputs": each.inputs,
                "inputs_per_second": round(each.inputs / each.seconds) if each.seconds else 0,
                "outcomes": each.outcomes,
                "findings": list(each.findings),
            }
            for each in outcomes
        ]
        print(json.dumps({"seed": seed, "targets": rows}, indent=1))
    else:
        Console().print(_table(outcomes))
    for line in found:
        print(line, file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
