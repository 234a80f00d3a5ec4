"""``haq journal``: look into a node's journal, best while the node is down; nothing is ever written."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import trio

from haqactor.cli import exits
from haqactor.cli.command import Group, output_option
from haqactor.cli.output import Step, print_json, print_table, progress, say

if TYPE_CHECKING:
    from haqactor.journal.inspect import BlockReport, EntryReport

_ENTRY_COLUMNS = ("file", "offset", "block", "group", "index", "term", "kind", "bytes", "header")


@click.group(
    "journal",
    cls=Group,
    examples=("haq journal verify ./haq-data/n0/data", "haq journal dump ./haq-data/n0/data -o json | head"),
)
def group() -> None:
    """Check and read a node's journal; its data directory is DIR/nK/data."""


@group.command(
    examples=("haq journal verify ./haq-data/n0/data", "haq journal verify ./n0 -o json | jq .problems")
)
@click.argument("directory", type=click.Path(file_okay=False))
@output_option
def verify(directory: str, output: str) -> None:
    """Read and check every block of DIRECTORY. Exit code 1 if any is corrupt; a torn last block, as a crash
    leaves it, is only told."""
    reports = trio.run(_verify, directory)
    problems = [report for report in reports if report.status != "ok"]
    corrupt = any(report.status == "corrupt" for report in problems)
    files: dict[str, list[BlockReport]] = {}
    for report in reports:
        files.setdefault(report.file, []).append(report)
    rows = [_file_row(file, found) for file, found in files.items()]
    columns = ("file", "kind", "blocks", "entries", "bytes", "status")
    if output == "json":
        listed = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"directory": directory, "ok": not corrupt, "files": listed, "problems": problems})
    else:
        print_table(columns, rows)
    for report in problems:
        say(f"{report.status}: {report.file} at {report.offset}: {report.what}{_groups(report)}")
    if corrupt:
        raise click.exceptions.Exit(exits.FAILED)


def _file_row(file: str, reports: "list[BlockReport]") -> tuple[Any, ...]:
    kinds = [report.kind for report in reports]
    worst = next(
        (status for status in ("corrupt", "torn") if any(report.status == status for report in reports)), "ok"
    )
    return (
        Path(file).name,
        "segment" if "block" in kinds or "end" in kinds else kinds[0],
        len(reports),
        sum(report.entries for report in reports),
        sum(report.size for report in reports),
        worst,
    )


def _groups(report: "BlockReport") -> str:
    found = ", ".join(str(row[0]) for row in report.groups)
    return f" (groups {found})" if found else ""


async def _verify(directory: str) -> "list[BlockReport]":
    from haqactor.journal import inspect
    from haqactor.runtime.real import RealDisk

    with progress(f"verifying {directory}") as step:
        inspection = inspect.verify(RealDisk(), directory, progress=_stepper(step))
        return [report async for report in inspection]


def _stepper(step: Step) -> Callable[[int, int], None]:
    """From the journal's (so far, in all) to a bar's steps."""
    done = 0

    def moved(so_far: int, total: int) -> None:
        nonlocal done
        step(so_far - done, total)
        done = so_far

    return moved


@group.command(examples=("haq journal dump ./haq-data/n0/data", "haq journal dump ./n0 -o json | head"))
@click.argument("directory", type=click.Path(file_okay=False))
@output_option
def dump(directory: str, output: str) -> None:
    """Print every entry and record of DIRECTORY, a line each; with -o json a JSON document a line."""
    trio.run(_dump, directory, output == "json")


async def _dump(directory: str, as_json: bool) -> None:
    from haqactor.journal import inspect
    from haqactor.runtime.real import RealDisk

    if not as_json:
        sys.stdout.write("\t".join(_ENTRY_COLUMNS) + "\n")
    async for report in inspect.dump(RealDisk(), directory):
        values = _entry_values(report)
        if as_json:
            print_json(dict(zip(_ENTRY_COLUMNS, values, strict=True)), line=True)
        else:
            sys.stdout.write("\t".join(map(str, values)) + "\n")


def _entry_values(report: "EntryReport") -> tuple[Any, ...]:
    from haqactor import codec
    from haqactor.errors import ProtocolError

    header: Any = report.record
    if header is None and report.header:
        try:
            header = codec.loads(report.header)
        except ProtocolError:
            header = report.header.hex()
    return (
        Path(report.file).name,
        report.offset,
        report.sequence,
        report.group,
        report.index,
        report.term,
        report.kind.lower(),
        report.size,
        header,
    )
