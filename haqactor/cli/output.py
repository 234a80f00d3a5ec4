"""What commands print: tables for people, JSON for programs, progress bars for long work.

One rule: only this module knows rich, and it imports it only where something is drawn, so that a node's
process never pays for it.
"""

import base64
import dataclasses
import json
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Protocol, cast

_PIPE_WIDTH: Final = 200


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: records as objects, times as RFC 3339 in UTC, bytes as text or
    ``base64:``.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return plain(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(cast("object", value), "_asdict"):
        return plain(cast("Any", value)._asdict())
    if isinstance(value, Mapping):
        return {str(name): plain(value[name]) for name in cast("Iterable[Any]", value)}
    if isinstance(value, bytes):
        return text_of(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Any]", value)]
    return value


def text_of(body: bytes) -> str:
    """A body as text where it is UTF-8, else ``base64:...``."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(body).decode()


def print_json(value: Any, *, line: bool = False) -> None:
    """One JSON document on standard output; ``line``: without line breaks, for streams of documents."""
    sys.stdout.write(json.dumps(plain(value), indent=None if line else 2, ensure_ascii=False) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> None:
    """A table on standard output; wide enough for everything where that is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    table = Table(
        title=title, box=box.SIMPLE_HEAD if terminal else None, title_justify="left", pad_edge=terminal
    )
    for at, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    Console(file=sys.stdout, width=None if terminal else _PIPE_WIDTH, markup=False, highlight=False).print(
        table
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def say(text: str) -> None:
    """A line for people on standard error."""
    sys.stderr.write(text + "\n")


class Step(Protocol):
    """So much more is done; ``total``: how much it is in all, where that is learned on the way."""

    def __call__(self, done: int, total: int | None = None, /) -> None: ...


@contextmanager
def progress(what: str, total: int | None = None) -> Generator[Step]:
    """A bar on standard error while the block runs, on a terminal only; call what it yields at each step."""
    if not sys.stderr.isatty():
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=total)

        def step(done: int, total: int | None = None) -> None:
            bar.update(task, advance=done, total=total)

        yield step


def _unseen(_done: int, _total: int | None = None) -> None:
    """Progress that nobody watches."""
