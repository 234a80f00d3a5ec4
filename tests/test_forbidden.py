"""No clock, chance, thread, file, socket or set order outside the allowed places; and the check can fail."""

from pathlib import Path

import pytest

from tests.checks.forbidden import REAL, declarations, library_path, scan

ROOT = Path(__file__).resolve().parent.parent


def product() -> dict[str, str]:
    found: dict[str, str] = {}
    for top in ("haqactor", "nodes", "journal", "sim"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents):
                found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
    return found


SOURCES = product()
DECLARED = declarations(SOURCES)


@pytest.mark.parametrize("path", SOURCES)
def test_module(path: str) -> None:
    findings = scan(SOURCES[path], path, DECLARED)
    assert not findings, "\n".join(f"{path}:{line}: {text}" for line, text in findings)


def test_rooms_are_scanned() -> None:
    rooms = {library_path(path).split("/")[1] for path in SOURCES}
    assert rooms >= {"raft", "swim", "machine", "client", "nodes", "journal", "runtime", "sim", "cli"}
    assert any(path.startswith(REAL) for path in SOURCES)


BAD = [
    "import time",
    "import os",
    "import os.path",
    "from os import urandom",
    "from time import monotonic_ns",
    "import random as chance",
    "import uuid",
    "import secrets",
    "import socket",
    "import threading",
    "import asyncio",
    "import subprocess",
    "import tempfile",
    "import multiprocessing.pool",
    "from concurrent.futures import Future",
    "from pathlib import Path",
    "def f():\n    import time",
    "from datetime import datetime\nx = datetime.now()",
    "import datetime\nx = datetime.datetime.utcnow()",
    "import datetime as d\nx = d.date.today()",
    "x = open('f')",
    "f = open",
    "x = input()",
    "x = id(y)",
    "x = sorted(y, key=id)",
    "x = hash(y) % 16",
    "import trio\nx = trio.to_thread.run_sync",
    "import trio as t\nx = t.from_thread",
    "from trio import to_thread",
    "import trio.socket",
    "from trio.lowlevel import start_guest_run",
    "import trio\nasync def f():\n    await trio.open_tcp_stream('h', 1)",
    "import trio\nx = trio.Path('f')",
    "import trio\ntrio.run(f)",
    "import trio\ntrio.lowlevel.start_guest_run(f)",
    "import trio\nasync def f():\n    await trio.open_file('x')",
    "class A:\n    def __del__(self): ...",
    "async def numbers():\n    yield 1",
    "class A:\n    async def numbers(self):\n        yield 1",
    "for x in {1, 2}: ...",
    "for x in set(y): ...",
    "x = [a for a in frozenset(y)]",
    "x = {a: 1 for a in {b for b in c}}",
    "x = list({1, 2})",
    "x = tuple(set(y))",
    "x = next(iter({1, 2}))",
    "x = ','.join({'a', 'b'})",
    "s = set(y)\nfor x in s: ...",
    "def f(s: set[int]):\n    return [x for x in s]",
    "def f(s: 'frozenset[int] | None'):\n    for x in s or (): ...",
    "class A:\n    s: set[int]\n    def f(self):\n        for x in self.s: ...",
    "class A:\n    def f(self):\n        self.s = set()\n        return list(self.s)",
    "class A:\n    s: set[int]\ndef f(a: A):\n    for x in a.s: ...",
    "class A:\n    m: dict[str, set[int]]\n    def f(self):\n        for x in self.m['a']: ...",
    "def f(m: dict[str, set[int]]):\n    for s in m.values():\n        for x in s: ...",
    "def f(m: dict[str, set[int]]):\n    return [x for k, s in m.items() for x in s]",
    "def g() -> set[int]: ...\nfor x in g(): ...",
    "for x in a.keys() - b.keys(): ...",
    "def f(s: set[int], t: set[int]):\n    for x in s | t: ...",
    "def f(s: set[int]):\n    return [*s]",
    "def f(s: set[int]):\n    return s.pop()",
    "def f(s: set[int]):\n    a, b = s",
    "def f(s: set[int]):\n    yield from s",
    "def f(s: set[int]):\n    return max(s, key=len)",
    "def f(s: set[int], out: list[int]):\n    out.extend(s)",
    "def f(s: set[int]):\n    return dict.fromkeys(s)",
    "s = {1}\nfor x in s.union(t): ...",
]

GOOD = [
    "from os import PathLike, fspath",
    "from pathlib import PurePosixPath",
    "from datetime import datetime, UTC\nx = datetime.fromtimestamp(0, UTC)",
    "import trio\nasync def f():\n    await trio.sleep(1)\n    with trio.CancelScope(): ...",
    "import trio\nx = trio.open_memory_channel(1)",
    "async def f(env):\n    await env.clock.sleep_ns(5)\n    return env.disk.open('f')",
    "class A:\n    id: str\n    def f(self):\n        return self.id",
    "class A:\n    def __hash__(self):\n        return hash(self.x)",
    "from contextlib import asynccontextmanager\n@asynccontextmanager\nasync def f():\n    yield 1",
    "async def _inner():\n    yield 1",
    "for x in sorted({1, 2}): ...",
    "x = 3 in {1, 2}",
    "s = set(y)\ns = sorted(s)\nfor x in s: ...",
    "x = any(a > 1 for a in {1, 2})",
    "x = {a + 1 for a in {1, 2}}",
    "x = len({1, 2}) + sum({1, 2})",
    "for x in {1: 2}: ...",
    "(x,) = {1}",
    "class A:\n    s: set[int]\nclass B:\n    s: list[int]\ndef f(b: B):\n    for x in b.s: ...",
    "def f(m: dict[str, set[int]]):\n    for k in m: ...",
    "def f(m: dict[str, int]):\n    m.pop('a')\n    return [x for x in m.values()]",
    "s = set()\ns.add(1)\ns.update({2})",
    "x = 5 - 3 | 1\nfor y in range(x): ...",
]


@pytest.mark.parametrize("source", BAD)
def test_reports(source: str) -> None:
    assert scan(source, "nodes/example.py")


@pytest.mark.parametrize("source", GOOD)
def test_leaves_alone(source: str) -> None:
    assert not scan(source, "nodes/example.py")


@pytest.mark.parametrize(
    "source",
    [
        "async def f(): ...",
        "async def f(x):\n    await x",
        "import trio",
        "import logging",
        "from structlog import get_logger",
    ],
)
@pytest.mark.parametrize(
    "path", ["haqactor/raft/core.py", "haqactor/machine/x.py", "haqactor/client/protocol.py"]
)
def test_cores_are_synchronous(source: str, path: str) -> None:
    assert scan(source, path)
    assert not scan(source, "haqactor/client/session.py")


def test_allowed_places() -> None:
    outside = "import os, time\nx = open('f')"
    assert scan(outside, "nodes/x.py")
    assert not scan(outside, "haqactor/runtime/real/disk.py")
    assert not scan(outside, "haqactor/cli/node.py")
    assert scan("import random", "haqactor/cli/node.py")
    assert scan("import os", "haqactor/runtime/embedded.py")
