"""What the library may not reach for outside its allowed places: the world is handed in.

One rule: no comment switches a finding off; a use is either in an allowed place or it is a fault.
"""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from tests.checks.sets import Declared, SetOrder


class Finding(NamedTuple):
    line: int
    text: str


MODULES = {
    *("_thread", "asyncio", "concurrent", "ctypes", "fcntl", "mmap", "multiprocessing", "os", "pathlib"),
    *("random", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess"),
    *("tempfile", "threading", "time", "uuid"),
}
# Parts of those modules that touch nothing outside the program.
HARMLESS = {"os.PathLike", "os.fspath", "pathlib.PurePath", "pathlib.PurePosixPath"}
NAMES = {
    *("datetime.datetime.now", "datetime.datetime.today", "datetime.datetime.utcnow", "datetime.date.today"),
    *("io.open", "io.FileIO", "io.open_code", "builtins.open"),
    *("trio.Path", "trio.Process", "trio.SocketListener", "trio.SocketStream", "trio.from_thread"),
    *("trio.lowlevel.open_process", "trio.lowlevel.start_guest_run", "trio.open_file"),
    *("trio.open_signal_receiver", "trio.open_ssl_over_tcp_listeners", "trio.open_ssl_over_tcp_stream"),
    *("trio.open_tcp_listeners", "trio.open_tcp_stream", "trio.open_unix_socket", "trio.run"),
    *("trio.run_process", "trio.serve_listeners", "trio.serve_ssl_over_tcp", "trio.serve_tcp", "trio.socket"),
    *("trio.to_thread", "trio.wrap_file"),
}
BUILTINS = {
    "open": "opens a file past the environment",
    "input": "reads a terminal",
    "id": "differs between runs",
    "hash": "differs between runs",
}

# The twins of the environment are the only code that touches the operating system.
REAL = "haqactor/runtime/real/"
# The command line starts processes, reads its folder and shows the time to people.
CLI = ("haqactor/cli/", "haqactor/__main__.py")
CLI_MAY = {"open", "os", "pathlib", "select", "shutil", "signal", "subprocess", "sys", "time"}
CLI_TRIO = {
    "trio.run",
    "trio.open_signal_receiver",
    "trio.run_process",
    "trio.lowlevel.open_process",
    "trio.Process",
}
# The simulator drives trio itself, draws everything from seeds, measures what it costs, and runs many worlds
# in processes of their own; each in one file, the last in one for either side.
SIM = {
    "haqactor/sim/_trio_compat.py": frozenset({"trio.lowlevel.start_guest_run"}),
    "haqactor/sim/keyed.py": frozenset({"random"}),
    "haqactor/sim/search/pool.py": frozenset({"os", "selectors", "signal", "subprocess"}),
    "haqactor/sim/search/stopwatch.py": frozenset({"time"}),
    # It puts guards in place of what the others may not touch.
    "haqactor/sim/tripwires.py": frozenset({"ctypes", "os", "random", "threading", "time", "uuid"}),
    "haqactor/sim/search/worker.py": frozenset({"os", "signal"}),
}
CORES = ("haqactor/raft/", "haqactor/machine/", "haqactor/swim/", "haqactor/client/protocol")
CORES_MAY_NOT = {"trio", "logging", "structlog", "io"}


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


class _Names(ast.NodeVisitor):
    """Resolves names through the imports of a module and reports the forbidden ones."""

    def __init__(self, path: str) -> None:
        self.findings: list[Finding] = []
        self._aliases: dict[str, str] = {}
        self._core = path.startswith(CORES)
        self._functions: list[str] = []
        cli = path.startswith(CLI)
        self._modules = (MODULES | CORES_MAY_NOT if self._core else MODULES) - (
            CLI_MAY if cli else frozenset[str]()
        )
        allowed = SIM.get(path, frozenset[str]())
        self._modules -= allowed
        self._names = NAMES - (CLI_TRIO if cli else set()) - allowed
        self._builtins = {name: why for name, why in BUILTINS.items() if not (cli and name in CLI_MAY)}

    def report(self, node: ast.stmt | ast.expr, text: str) -> None:
        self.findings.append(Finding(node.lineno, text))

    def _check(self, node: ast.stmt | ast.expr, name: str) -> None:
        if any(prefix in HARMLESS for prefix in _prefixes(name)):
            return
        if name.split(".", maxsplit=1)[0] in self._modules or any(
            prefix in self._names for prefix in _prefixes(name)
        ):
            self.report(node, f"{name}: ask the environment that is handed in")

    def visit_Import(self, node: ast.Import) -> None:  # the name that ast wants
        for alias in node.names:
            self._check(node, alias.name)
            self._aliases[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # the name that ast wants
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            self._check(node, name)
            self._aliases[alias.asname or alias.name] = name

    def _dotted(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self._aliases.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value)
            return None if base is None else f"{base}.{node.attr}"
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:  # the name that ast wants
        name = self._dotted(node)
        if name is None:
            self.generic_visit(node)
        elif name.split(".")[0] not in self._modules:  # the import itself is reported already
            self._check(node, name)

    def visit_Name(self, node: ast.Name) -> None:  # the name that ast wants
        inside = self._functions[-1:] == ["__hash__"] and node.id == "hash"
        known = node.id in self._builtins and node.id not in self._aliases
        if isinstance(node.ctx, ast.Load) and known and not inside:
            self.report(node, f"{node.id}(): {self._builtins[node.id]}")

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name == "__del__":
            self.report(node, "__del__ runs at a time that nobody chose: close explicitly")
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:  # the name that ast wants
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:  # the name that ast wants
        if self._core:
            self.report(node, "async def in a core: cores are synchronous")
        managed = any("asynccontextmanager" in ast.unparse(decorator) for decorator in node.decorator_list)
        public = not node.name.startswith("_") and not self._functions
        if public and not managed and any(isinstance(child, ast.Yield) for child in _own(node)):
            self.report(
                node,
                "a public async generator is closed late: hand out a channel or a context manager",
            )
        self._function(node)

    def visit_Await(self, node: ast.Await) -> None:  # the name that ast wants
        if self._core:
            self.report(node, "await in a core: cores are synchronous")
        self.generic_visit(node)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own(child)


def declarations(sources: dict[str, str]) -> Declared:
    """What the given modules (path to text) declare about sets; pass it to ``scan``."""
    declared = Declared()
    for text in sources.values():
        declared.read(ast.parse(text))
    return declared


def library_path(path: str) -> str:
    """Where a file stands in the library: ``nodes/x.py`` is ``haqactor/nodes/x.py``."""
    top = PurePosixPath(path).parts[0]
    return path if top == "haqactor" else f"haqactor/{path}"


def scan(source: str, path: str, declared: Declared | None = None) -> list[Finding]:
    """Faults of one module, by line; ``path`` from the root of the repository, with slashes."""
    if path.startswith(REAL):
        return []
    tree = ast.parse(source)
    names = _Names(library_path(path))
    names.visit(tree)
    order = SetOrder(declared if declared is not None else declarations({path: source}))
    order.visit(tree)
    return sorted({*names.findings, *(Finding(line, text) for line, text in order.places)})
