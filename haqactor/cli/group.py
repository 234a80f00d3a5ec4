"""``haq group``: what an operator can do for groups whose data is damaged beyond what the cluster mends
itself.

One rule: nothing is given up unless it is said with ``--accept-loss``, and what was given up is written down.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import trio

from haqactor.cli import exits
from haqactor.cli.command import Group
from haqactor.cli.command import output_option as output
from haqactor.cli.output import print_json, print_table, say
from haqactor.env import NullProbe
from haqactor.ids import GroupId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haqactor.journal.group import Group as LogOfGroup
    from haqactor.journal.identity import Identity
    from haqactor.journal.salvage import Damage

AUDIT = "audit.jsonl"
"""In the data directory: a line for every loss that was accepted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a group in one directory. ``last_index``: the end of what is sound of its log."""

    group: int
    last_index: int
    last_term: int
    snapshot_index: int
    damaged: bool


@click.group(
    "group",
    cls=Group,
    examples=(
        "haq group recover --data-dir ./haq-data/n0/data",
        "haq group recover 3 --data-dir ./haq-data/n0/data --accept-loss",
    ),
)
def group() -> None:
    """Raft groups: look at what is damaged, and give up what no node can give back."""


@group.command(
    examples=(
        "haq group recover --data-dir ./haq-data/n0/data",
        "haq group recover --data-dir ./haq-data/n0/data --accept-loss",
    )
)
@click.argument("groups", type=click.IntRange(min=0), nargs=-1)
@click.option(
    "--data-dir",
    "directory",
    envvar="HAQ_DATA_DIR",
    show_envvar=True,
    required=True,
    type=click.Path(file_okay=False, exists=True),
    help="Of a node that is stopped.",
)
@click.option("--accept-loss", is_flag=True, help="Give up what is damaged here, for good.")
@output
def recover(groups: tuple[int, ...], directory: str, accept_loss: bool, output: str) -> None:
    """Say what is damaged in a stopped node's directory (GROUPS: of these groups; all), and with
    --accept-loss go on without it.

    Never needed while a majority of a group's replicas is sound: start the node, and it asks the others.
    Where a majority is damaged, run it on each of these nodes and start them: the replica that holds most of
    the group's log then leads it, and what none of them holds is lost. Exit code 1 if something is damaged
    and stays so.
    """
    damages, kept = trio.run(_accept if accept_loss else _look, directory, groups)
    damaged = [row.group for row in kept if row.damaged]
    if output == "json":
        found = [{"what": each.what, "groups": each.groups} for each in damages]
        print_json({"directory": directory, "accepted": accept_loss, "damages": found, "groups": kept})
    else:
        rows = [
            (
                row.group,
                row.last_index,
                row.last_term,
                row.snapshot_index,
                "damaged" if row.damaged else "sound",
            )
            for row in kept
        ]
        print_table(("group", "last index", "term", "snapshot", "state"), rows)
    for each in damages:
        say(f"damaged: {each.what}")
    if damaged and not accept_loss:
        listed = ", ".join(map(str, damaged))
        say(f"groups {listed} are damaged here; with --accept-loss they go on without that")
        raise click.exceptions.Exit(exits.FAILED)


async def _look(directory: str, groups: tuple[int, ...]) -> "tuple[list[Damage], list[Kept]]":
    """Read all of it, and change nothing. Raises StorageFailed while the node runs."""
    from haqactor.journal import JournalConfig
    from haqactor.journal.opening import look

    opened = await look(_disk(), directory, JournalConfig(), NullProbe())
    marked = opened.identity.current
    if opened.lost != ():
        marked = marked.hurt(opened.lost, damaged=True)
    return list(opened.damages), _kept(opened.found.groups, marked, groups)


def _kept(found: "Mapping[GroupId, LogOfGroup]", identity: "Identity", groups: tuple[int, ...]) -> list[Kept]:
    """One row a group: those that the directory holds something of, and those that it should."""
    rows: list[Kept] = []
    for number in sorted(dict.fromkeys([*map(int, found), *identity.damaged])):
        if groups and number not in groups:
            continue
        log = found.get(GroupId(number))
        last, term, base = (
            (log.index.last_index, log.index.last_term, log.snapshot_index) if log else (0, 0, 0)
        )
        rows.append(Kept(number, last, term, base, identity.is_damaged(number)))
    return rows


async def _accept(directory: str, groups: tuple[int, ...]) -> "tuple[list[Damage], list[Kept]]":
    from haqactor.journal import Journal, JournalConfig

    journal = await Journal.open(
        _disk(), directory, JournalConfig(), probe=NullProbe(), repair=lambda _identity: True, distrust=True
    )
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(journal.run)
            await journal.evacuate()
            kept = _kept(journal.groups, journal.identity, groups)
            _write_down(directory, list(journal.damages), [row for row in kept if row.damaged])
            for row in kept:
                if row.damaged:
                    await journal.accept_loss(GroupId(row.group))
            if not groups:
                await journal.accept_all_losses()
            await journal.aclose()
            nursery.cancel_scope.cancel()
    finally:
        await journal.aclose()
    return list(journal.damages), kept


def _write_down(directory: str, damages: "list[Damage]", given_up: list[Kept]) -> None:
    from haqactor.runtime.real.clock import RealClock

    line: dict[str, Any] = {
        "at": datetime.fromtimestamp(RealClock().wall_ns() / 1e9, UTC).isoformat(),
        "what": "loss accepted",
        "damages": [damage.what for damage in damages],
        "groups": [{"group": row.group, "kept_up_to": [row.last_term, row.last_index]} for row in given_up],
    }
    with (Path(directory) / AUDIT).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())  # before the loss itself is made durable


def _disk() -> Any:
    from haqactor.runtime.real import RealDisk

    return RealDisk()
