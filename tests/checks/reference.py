"""The parts of the reference pages that the code itself tells.

One rule: what can be read from the code is not typed again; ``python -m tests.checks.reference`` writes it
between the marks ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->`` of a page.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click

import haqactor.client.errors as client_errors
from haqactor import batch, entry, errors, frame, journal, wire
from haqactor.cli.app import cli
from haqactor.cli.command import Command
from haqactor.cli.exits import exit_code

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_WIDE: Final = 400


def error_table() -> str:
    """Every code that travels, with its class, the exit code of a command that ends with it, and its text."""
    assert client_errors.Closed.code in errors.BY_CODE
    rows = ["| code | class | exit code of `haq` | what it says |", "|---|---|---|---|"]
    for code, kind in sorted(errors.BY_CODE.items()):
        text = _cell(inspect.cleandoc(kind.__doc__ or ""))
        rows.append(f"| `{code}` | `{kind.__name__}` | {exit_code(kind.__new__(kind))} | {text} |")
    return "\n".join(rows)


def commands() -> str:
    """Every command of ``haq`` with its arguments, options and examples."""
    return "\n\n".join(_command(name, command) for name, command in leaves("haq", cli))


def leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The commands below a noun, by their full names."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for child in sorted(command.commands):
        yield from leaves(f"{name} {child}", command.commands[child])


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, terminal_width=_WIDE, max_content_width=_WIDE)
    lines = [f"### `{name}`", "", " ".join((command.help or "").split()), ""]
    lines += ["```text", command.get_usage(context).removeprefix("Usage: "), "```", ""]
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and (record[1] or isinstance(parameter, click.Option)):
            lines.append(f"- `{record[0]}`: {' '.join(record[1].split())}".rstrip(": "))
    examples = command.examples if isinstance(command, Command) else ()
    shown = ["", "```text", *examples, "```"] if examples else []
    return "\n".join([*lines, *shown]).replace("\n\n\n", "\n\n")


def client_frames() -> str:
    """The kinds of the client protocol and the fields of their headers."""
    return _frames(wire.Op, lambda op: _camel(op.name))


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _frames(kinds: type[IntEnum], name_of: Callable[[Any], str]) -> str:
    rows = ["| kind | name | fields of the header | meaning |", "|---|---|---|---|"]
    for op in kinds:
        kind: Any = getattr(wire, name_of(op))
        own = kind.__doc__ or ""
        text = "" if own.startswith(f"{kind.__name__}(") else _cell(inspect.cleandoc(own))
        rows.append(f"| {int(op)} | `{kind.__name__}` | {', '.join(kind._fields)} | {text} |")
    return "\n".join(rows)


def layouts(module: ModuleType) -> str:
    """The indented blocks of a module's docstring."""
    text = inspect.cleandoc(module.__doc__ or "").replace("\\\\", "\\")
    found = re.findall(r"(?:^ {4}.*\n?|^\n(?= {4}))+", text + "\n", re.MULTILINE)
    kept = [inspect.cleandoc(block) for block in found if block.strip()]
    assert kept, f"{module.__name__} describes no layout"
    return "\n\n".join(f"```text\n{block}\n```" for block in kept)


def decisions() -> str:
    """The records of ``docs/adr`` by number."""
    lines: list[str] = []
    for page in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))[1:]:
        number, title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").split(". ", 1)
        lines.append(f"- [{number}](adr/{page.name}): {title}")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


PARTS: Final[dict[str, Callable[[], str]]] = {
    "decisions": decisions,
    "errors": error_table,
    "commands": commands,
    "client frames": client_frames,
    "frame layout": lambda: layouts(frame),
    "batch layout": lambda: layouts(batch),
    "entry layout": lambda: layouts(entry),
    "journal layout": lambda: layouts(journal),
}


def parts_of(page: str) -> list[str]:
    """The names of the parts that a page holds."""
    return re.findall(r"^<!-- generated: ([a-z ]+) -->$", page, re.MULTILINE)


def filled(page: str) -> str:
    """The page with its parts as the code tells them now."""
    for name in parts_of(page):
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->"
        before, rest = page.split(begin, 1)
        _old, after = rest.split(end, 1)
        page = f"{before}{begin}\n{PARTS[name]()}\n\n{end}{after}"
    return page


def main() -> None:
    """Write every page's parts anew."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        new = filled(text)
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
