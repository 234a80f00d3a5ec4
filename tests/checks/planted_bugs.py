"""The page of planted bugs: what ``haq sim mutants`` found, beside what each bug is.

One rule: results are measured, kept as ``docs/internals/planted-bugs.json``, and never typed;
``python -m tests.checks.planted_bugs [RESULTS.json]`` takes in newer ones and writes the page.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from haqactor.sim.planted.bugs import BUGS
from haqactor.sim.search.mutants import CORES_MAX, NODES_MAX

ROOT: Final = Path(__file__).resolve().parent.parent.parent
RESULTS: Final = ROOT / "docs" / "internals" / "planted-bugs.json"
PAGE: Final = RESULTS.with_suffix(".md")
_SIMULATORS: Final = {"cores": "core simulator", "nodes": "whole nodes", "": ""}
_HEAD: Final = """# Planted bugs

A simulator that finds nothing may be looking at nothing. So the source holds bugs on purpose: switches such
as `probe.bug("raft.vote_twice")`, which are `False` in production, are taken out of every release
([ADR 17](../adr/0017-planted-bugs-stay-out-of-releases.md)), and can be switched on by the simulators alone.
`haq sim mutants` hunts each of them through the seeds 0, 1, 2, ... of a profile in which clean code has to
pass, and says which seed failed first, which invariant was broken (see [the guarantees](../guarantees.md)),
and which kinds of faults that run cannot do without.

A bug is hunted in at most {cores:,} seeds of the core simulator and {nodes:,} of whole nodes. *Seeds* is how
many were needed in the simulator that found it. This page is written by `python -m tests.checks.planted_bugs`
from results of `haq sim mutants`; no number here is typed.
"""


def page(results: list[dict[str, Any]]) -> str:
    """The whole page."""
    by_name = {row["name"]: row for row in results}
    killed = [row for row in results if row["killed"] and row["name"] in BUGS]
    early = sum(row["seeds"] <= 100 for row in killed)
    lines = [_HEAD.format(cores=CORES_MAX, nodes=NODES_MAX)]
    lines.append(
        f"{len(killed)} of {len(BUGS)} were found, {early} of them within 100 seeds, in "
        f"{sum(row['cpu_s'] for row in results) / 60:.1f} minutes of CPU time.\n"
    )
    lines.append("| id | switch | what is wrong | found by | seeds | invariant | faults needed |")
    lines.append("|---|---|---|---|---|---|---|")
    for bug in sorted(BUGS.values(), key=lambda bug: bug.id):
        row = by_name.get(bug.name)
        found = "| not run | | | |"
        if row is not None and row["killed"]:
            where = _SIMULATORS[row["simulator"]]
            found = f"| {where} | {row['seeds']} | {row['checker']} | {row['fault']} |"
        elif row is not None:
            given_up = row["seeds"] >= NODES_MAX
            found = f"| **not found{'' if given_up else ' yet'}** | {row['seeds']} tried | | |"
        lines.append(f"| {bug.id} | `{bug.name}` | {bug.what} {found}")
    return "\n".join(lines) + "\n"


def read() -> list[dict[str, Any]]:
    """The results that are kept."""
    found: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def main(arguments: list[str]) -> None:
    """Take in results, one file after the other, and write the page."""
    rows = {row["name"]: row for row in (read() if RESULTS.exists() else [])}
    for path in arguments:
        rows.update((row["name"], row) for row in json.loads(Path(path).read_text(encoding="utf-8")))
    kept = [rows[name] for name in BUGS if name in rows]
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(kept), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
