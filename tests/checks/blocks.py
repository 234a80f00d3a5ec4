"""Runs the fenced blocks of a Markdown page. One rule: the line before a block says what happens to it.

- ``<!-- run -->``: a ``console`` block's lines that begin with ``$`` are run in order in one shell, and what
  it printed must be the other lines (``...`` stands for any text); a ``python`` block is run as a program.
- ``<!-- file: NAME -->``: the block is written to NAME, for later blocks to use.
- ``<!-- show -->``: the block is only shown.

All blocks of a page share one empty folder. The programs of the running environment come first on the path.
Pages name the ports that a reader would use, from 7420 on; a run takes free ones in their place, and what it
printed is compared as if they were the page's. Whatever a page left running is stopped by ``stop_clusters``.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from haqactor.cli.launcher import LocalCluster

SECONDS_MAX = 180
BASE_PORT = 7420
NODES = 3
_PORT = re.compile(r"(?<!\d)74[2-4]\d(?!\d)")
_PORTS = 10 * NODES


class Block(NamedTuple):
    line: int
    mark: str  # "run", "show", "file: NAME" or "" when nothing was said
    language: str
    text: str


_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>run|show|file: \S+) -->\n+)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(page: str) -> list[Block]:
    """Fenced blocks of a page, in order."""
    return [
        Block(page.count("\n", 0, found.start("text")), found["mark"] or "", found["language"], found["text"])
        for found in _FENCE.finditer(page)
    ]


def matches(expected: str, printed: str) -> bool:
    """Whether the printed text is the expected one; ``...`` stands for any text, also over several lines.
    Spaces at the end of a line do not count."""
    parts = [re.escape(part) for part in _trimmed(expected).split("...")]
    return re.fullmatch(".*".join(parts), _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def moved(text: str, base_port: int) -> str:
    """The text with the ports of a local cluster at ``base_port`` in place of those at 7420."""
    return _PORT.sub(lambda found: str(int(found[0]) - BASE_PORT + base_port), text)


def moved_back(text: str, base_port: int) -> str:
    """The inverse of ``moved``."""
    numbers = "|".join(str(base_port + offset) for offset in range(_PORTS))
    return re.sub(
        rf"(?<!\d)({numbers})(?!\d)", lambda found: str(int(found[0]) - base_port + BASE_PORT), text
    )


def stop_clusters(folder: Path) -> None:
    """Stop the local clusters that blocks started in this folder and, having failed, did not stop."""
    for file in sorted(folder.rglob("cluster.json")):
        LocalCluster.load(file.parent).stop(seconds=10)


def _shell(command: list[str], folder: Path) -> str:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HAQ_")}
    environment = {**kept, "PATH": path, "NO_COLOR": "1", "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, timeout=SECONDS_MAX, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"exit code {done.returncode} of {command[-1]}\n{done.stdout}")
    return done.stdout


def run(block: Block, folder: Path, base_port: int = BASE_PORT) -> None:
    """Does with one block what it asks for, at the ports from ``base_port`` on; raises AssertionError if it
    fails or prints something else."""
    text = moved(block.text, base_port)
    if block.mark.startswith("file: "):
        (folder / block.mark.removeprefix("file: ")).write_text(text)
    elif block.mark == "run" and block.language == "python":
        _shell([sys.executable, "-c", text], folder)
    elif block.mark == "run":
        lines = text.splitlines()
        script = "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))
        expected = "\n".join(line for line in block.text.splitlines() if not line.startswith("$ "))
        printed = moved_back(_shell(["bash", "-euo", "pipefail", "-c", script], folder), base_port)
        if expected and not matches(expected, printed):
            raise AssertionError(f"line {block.line} promises\n{expected}\nbut it prints\n{printed}")
