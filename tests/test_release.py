"""Planted bugs are inert in production, and no release holds a switch for one."""

import ast
import re
from pathlib import Path

import pytest

from haqactor.env import NullProbe
from haqactor.runtime.real import environment
from haqactor.sim.planted.bugs import BUGS, PLANTED
from release import without_bugs

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("haqactor", "nodes", "journal", "sim")
SWITCH = re.compile(r"\.bug\(\s*\"")
ALLOWED = ("haqactor/env.py", "sim/")
"""Who may say that a bug is on: nobody but the simulator; ``env`` has the one that never does."""


def sources() -> list[Path]:
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [path for path in found if not any(parent.is_symlink() for parent in path.parents)]


def test_the_checkout_has_its_switches() -> None:
    assert PLANTED


def test_the_production_probe_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HAQACTOR_BUG", "HAQACTOR_BUGS", "HAQ_BUG", *BUGS):
        monkeypatch.setenv(name.upper().replace(".", "_"), "1")
    probe = environment().probe
    assert type(probe) is NullProbe
    assert not hasattr(probe, "__dict__")
    assert [name for name in BUGS if probe.bug(name)] == []


def test_nobody_else_makes_a_probe() -> None:
    """No option and no variable can switch a bug on where no other probe exists."""
    makers: list[str] = []
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(ALLOWED):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "bug":
                makers.append(name)
    assert makers == []


def test_the_null_probe_says_false_and_nothing_else() -> None:
    tree = ast.parse((ROOT / "haqactor/env.py").read_text(encoding="utf-8"))
    (null,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "NullProbe"]
    (bug,) = [node for node in null.body if isinstance(node, ast.FunctionDef) and node.name == "bug"]
    (answer,) = [node for node in bug.body if not isinstance(node, ast.Expr)]
    assert isinstance(answer, ast.Return)
    assert isinstance(answer.value, ast.Constant)
    assert answer.value.value is False


def test_every_switch_goes() -> None:
    """What is built has the same functions and classes, and no switch."""
    for path in sources():
        source = path.read_text(encoding="utf-8")
        if not SWITCH.search(source):
            continue
        built = without_bugs(source)
        assert not SWITCH.search(built), path
        assert built != source
        assert names_of(built) == names_of(source)


def names_of(source: str) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def test_a_switch_over_several_lines_goes_too() -> None:
    source = 'x = (\n    "\u00e4" if probe.bug(\n        "a.b"\n    ) else 1\n)\n'
    assert without_bugs(source) == 'x = (\n    "\u00e4" if False else 1\n)\n'
