"""The house is tidy: short modules and functions, a docstring in each module, nothing left for later."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MADE = ROOT / "benchmarks" / "out"  # what programs made, the peers' own environment among it
PRODUCT = ("haqactor", "nodes", "journal", "sim")
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
# Written in two parts, so that this file does not hold the words it forbids.
LEFTOVERS = re.compile(
    r"\b(" + "|".join(("FIX" + "ME", "TO" + "DO", "X" * 3, "NotImplemented" + "Error")) + r")\b"
)
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "handler", "misc", "stuff"}


def modules(*tops: str) -> list[Path]:
    """Real Python files under the named folders; the symlinked rooms are seen once, by their real place."""
    found: list[Path] = []
    for top in tops:
        for path in sorted((ROOT / top).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents) and MADE not in path.parents:
                found.append(path.relative_to(ROOT))
    return found


EVERY = modules(*PRODUCT, "tests", "benchmarks", "examples")


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_sees_the_whole_tree() -> None:
    assert {path.parts[0] for path in EVERY} >= {*PRODUCT, "tests"}


@pytest.mark.parametrize("path", EVERY, ids=str)
def test_module(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    tree = ast.parse(text)
    faults: list[str] = []
    lines = text.count("\n")
    if lines > MODULE_LINES_MAX:
        faults.append(f"{path}: {lines} lines, at most {MODULE_LINES_MAX}: cut it by concept")
    faults += [
        f"{path}:{function.lineno}: {function.name}: {length(function)} lines, at most {FUNCTION_LINES_MAX}"
        for function in functions(tree)
        if length(function) > FUNCTION_LINES_MAX
    ]
    if tree.body and not ast.get_docstring(tree):
        faults.append(f"{path}: no docstring: say why the module exists")
    for number, line in enumerate(text.splitlines(), 1):
        found = LEFTOVERS.search(line)
        if found:
            faults.append(f"{path}:{number}: {found.group()}: finish it or leave it out")
    if path.parts[0] in PRODUCT and path.stem in VAGUE:
        faults.append(f"{path}: name it after its concept")
    assert not faults, "\n".join(faults)


def test_no_vague_folders() -> None:
    assert not {part for path in modules(*PRODUCT) for part in path.parts[:-1]} & VAGUE
