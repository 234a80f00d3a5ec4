"""Builds releases: the planted bugs of the simulator are taken out of what is shipped.

One rule: in a wheel every ``probe.bug("...")`` reads ``False``; an editable installation is the source as it
stands. See docs/adr/0017.
"""

import ast
from pathlib import Path
from typing import Any

from setuptools.command.build_py import build_py  # type: ignore[import-untyped]  # it ships no types


def without_bugs(source: str) -> str:
    """The same program in which no planted bug can be switched on."""
    lines = source.encode().split(b"\n")
    for call in sorted(_switches(source), key=lambda call: (call.lineno, call.col_offset), reverse=True):
        first, last = call.lineno - 1, (call.end_lineno or call.lineno) - 1
        tail = lines[last][call.end_col_offset or 0 :]
        lines[first : last + 1] = [lines[first][: call.col_offset] + b"False" + tail]
    return b"\n".join(lines).decode()


def _switches(source: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "bug"
    ]


class WithoutBugs(build_py):  # type: ignore[misc]  # for the same reason
    """Copies modules as ever, and then takes the bugs out of the copies."""

    def build_module(self, module: Any, module_file: Any, package: Any) -> Any:
        """One module."""
        built = super().build_module(module, module_file, package)
        if not self.editable_mode:
            copy = Path(built[0])
            source = copy.read_text(encoding="utf-8")
            if _switches(source):
                copy.write_text(without_bugs(source), encoding="utf-8")
        return built
