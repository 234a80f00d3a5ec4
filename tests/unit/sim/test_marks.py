"""Marks and places of awkwardness: what the source names is what is listed."""

import ast
from pathlib import Path

import pytest

from haqactor.sim.marks import BUGGIFY, MARKS, RARE, missed_rarely, surprising, unreached

ROOMS = ("haqactor", "nodes", "journal")


def named(verb: str) -> dict[str, str]:
    """The names with which ``probe.<verb>`` is called in the source, and where."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted(Path(room).rglob("*.py")):
            if any(parent.is_symlink() for parent in path.parents):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                if node.func.attr == verb and "probe" in ast.unparse(node.func.value):
                    for part in ast.walk(node.args[0]):
                        if isinstance(part, ast.Constant) and isinstance(part.value, str):
                            found[part.value] = f"{path}:{node.lineno}"
    return found


@pytest.mark.parametrize(("verb", "listed"), [("mark", tuple(MARKS)), ("buggify", BUGGIFY)])
def test_the_source_and_the_list_agree(verb: str, listed: tuple[str, ...]) -> None:
    source = named(verb)
    assert {name: place for name, place in source.items() if name not in listed} == {}
    assert [name for name in listed if name not in source] == []
    assert list(listed) == sorted(listed)


def test_what_was_not_reached() -> None:
    with_reason = [name for name, reason in MARKS.items() if reason]
    without = [name for name, reason in MARKS.items() if not reason and name not in RARE]
    assert unreached({}) == without
    assert unreached(dict.fromkeys(without, 1)) == []
    assert unreached(dict.fromkeys(without[1:], 2)) == without[:1]
    assert surprising(dict.fromkeys(without, 1)) == []
    assert surprising(dict.fromkeys(with_reason, 1)) == with_reason


def test_rare_marks_name_the_test_that_takes_them() -> None:
    assert missed_rarely({}) == list(RARE)
    assert missed_rarely(dict.fromkeys(RARE, 1)) == []
    for name, reason in RARE.items():
        assert not MARKS[name]
        path, _, test = reason.rpartition(" ")[2].partition("::")
        assert f"def {test}(" in Path(path).read_text()
