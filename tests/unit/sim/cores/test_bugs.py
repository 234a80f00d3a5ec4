"""Every planted bug has a row and a switch, and those that show quickly are found quickly."""

import ast
from pathlib import Path

import pytest

from haqactor.sim.cores.run import CRASHED, kill
from haqactor.sim.planted.bugs import BUGS

ROOT = Path(__file__).resolve().parents[4]
ROOMS = ("haqactor", "nodes", "journal", "sim")
INVARIANTS = {
    CRASHED,
    "rest",
    *(f"S{number}" for number in range(1, 26)),
    *(f"L{number}" for number in range(1, 11)),
}


def switches() -> dict[str, list[str]]:
    """The names in ``probe.bug("...")``, and where they stand."""
    found: dict[str, list[str]] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if any(parent.is_symlink() for parent in path.parents):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr == "bug"
                ):
                    for argument in node.args:
                        assert isinstance(argument, ast.Constant), f"{path}:{node.lineno}: not a plain name"
                        found.setdefault(str(argument.value), []).append(f"{path.name}:{node.lineno}")
    return found


def test_rows_and_switches() -> None:
    found = switches()
    assert found.pop("any") == ["bugs.py:26"], "what tells whether there are switches"
    assert sorted(set(found) - set(BUGS)) == [], "switches without a row in haqactor.sim.planted.bugs"
    assert sorted(set(BUGS) - set(found)) == [], "rows without a switch"


def test_rows() -> None:
    assert len({bug.id for bug in BUGS.values()}) == len(BUGS)
    for bug in BUGS.values():
        assert set(bug.invariants) <= INVARIANTS
        assert bug.what
        assert bug.fault


@pytest.mark.parametrize(
    "name",
    [
        "raft.vote_before_durable",
        "raft.ack_before_durable",
        "raft.no_noop",
        "machine.snapshot_without_windows",
        "machine.returned_before_commit",
    ],
)
def test_is_killed(name: str) -> None:
    found = kill(name, 30)
    assert found is not None
    assert found[1] in BUGS[name].invariants
