"""The page of traps: complete, and each row with a guard and with what fails once that is gone, or a reason.

One rule: places, tests and planted bugs that a row names exist; that a test fails without its guard was tried
by hand when the row was written.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from haqactor.sim.planted.bugs import BUGS
from haqactor.sim.planted.gossip import ROWS as GOSSIP

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "internals" / "traps.md"
COUNTS: Final = {"R": 20, "J": 17, "S": 11, "Q": 16, "K": 7}
PARTS: Final = {"R12": "abcdef"}
BUG_IDS: Final = {bug.id for bug in (*BUGS.values(), *GOSSIP)} | set(BUGS)
_ROW: Final = re.compile(r"^\| ([A-Z]\d+[a-f]?) \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)
_TEST: Final = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")
_PLACE: Final = re.compile(r"`([a-z_]+/[a-z0-9_/]*(?:\.py)?)`")
_PLANTED: Final = re.compile(r"planted ((?:`[A-Za-z0-9_.]+`(?:, )?)+)")


class Row(NamedTuple):
    """A line of the tables."""

    number: str
    trap: str
    guard: str
    proof: str


def rows_of(text: str) -> list[Row]:
    return [Row(*found) for found in _ROW.findall(text)]


@cache
def functions_in(path: Path) -> frozenset[str]:
    """The test functions of a file."""
    if not path.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def faults_of(row: Row) -> list[str]:
    """What is wrong with a row."""
    faults: list[str] = []
    tests = _TEST.findall(row.proof)
    planted = [bug for group in _PLANTED.findall(row.proof) for bug in re.findall(r"`([^`]+)`", group)]
    faults += [
        f"{file}::{name} does not exist" for file, name in tests if name not in functions_in(ROOT / file)
    ]
    faults += [f"no planted bug {bug}" for bug in planted if bug not in BUG_IDS]
    faults += [
        f"{place} does not exist" for place in _PLACE.findall(row.guard) if not (ROOT / place).exists()
    ]
    if len(tests) != row.proof.count("::"):
        faults.append("a test that is written in another way")
    if re.search(r"not met yet: \w+", row.proof) and row.guard == "none":
        return faults
    if not _PLACE.search(row.guard):
        faults.append("no guard")
    if not tests:
        faults.append("no test")
    return faults


def test_all_traps_are_there_in_order() -> None:
    wanted = [
        f"{family}{number}{part}"
        for family, count in COUNTS.items()
        for number in range(1, count + 1)
        for part in PARTS.get(f"{family}{number}", [""])
    ]
    assert [row.number for row in rows_of(PAGE.read_text(encoding="utf-8"))] == wanted


@pytest.mark.parametrize("row", rows_of(PAGE.read_text(encoding="utf-8")), ids=lambda row: row.number)
def test_each_has_a_guard_and_a_test(row: Row) -> None:
    assert faults_of(row) == []


GOOD: Final = "`tests/test_docs_traps.py::test_all_traps_are_there_in_order`"


@pytest.mark.parametrize(
    "row",
    [
        "| R1 | x | `haqactor/raft/` | it is well known |",
        f"| R1 | x | care | {GOOD} |",
        "| R1 | x | `haqactor/raft/` | `tests/test_docs_traps.py::test_that_nobody_wrote` |",
        "| R1 | x | `haqactor/raft/` | `tests/test_nothing.py::test_that_nobody_wrote` |",
        f"| R1 | x | `haqactor/reft/` | {GOOD} |",
        f"| R1 | x | none | {GOOD} |",
        f"| R1 | x | `nodes/` | {GOOD}; planted `M99` |",
        "| R1 | x | `haqactor/raft/` | tests/test_docs_traps.py::test_all_traps_are_there_in_order |",
        "| K1 | x | none | not met yet: |",
    ],
)
def test_a_row_that_proves_nothing_is_found(row: str) -> None:
    (found,) = rows_of(row)
    assert faults_of(found)
