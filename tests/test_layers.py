"""The direction of imports: the contracts of pyproject.toml hold, and they can fail."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    *("__main__", "cli", "testing", "sim", "runtime", "nodes", "client"),
    *("journal", "raft", "swim", "machine"),
)
WORDS = ("wire", "batch", "entry", "frame", "codec", "config", "env", "ids", "errors")
# The given folder stands before the installed package on the path of a program run with -c.
LINT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from importlinter.cli import lint_imports_command; lint_imports_command()"
)


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, str(root), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("raft", "import trio"),
        ("raft", "import haqactor.machine"),
        ("machine", "import time"),
        ("swim", "import trio"),
        ("swim", "import haqactor.raft"),
        ("raft", "import haqactor.swim"),
        ("machine", "import os"),
        ("client", "import haqactor.nodes"),
        ("journal", "import haqactor.client"),
        ("nodes", "import haqactor.runtime"),
        ("errors", "import haqactor.env"),
    ],
)
def test_contracts_can_fail(tmp_path: Path, room: str, line: str) -> None:
    """The same contracts over a tree of empty rooms, one of which imports what it may not."""
    for name in (*ROOMS, *WORDS):
        path = tmp_path / "haqactor" / name / "__init__.py"
        path.parent.mkdir(parents=True)
        path.write_text(f"{line}\n" if name == room else "")
    (tmp_path / "haqactor" / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert " 1 broken" in done.stdout, done.stdout + done.stderr
