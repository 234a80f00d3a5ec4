"""What commands print."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest

from haqactor.cli.output import plain, print_json, print_table, progress, text_of


@dataclass(frozen=True, slots=True)
class Record:
    at: datetime
    bodies: tuple[bytes, ...]


def test_plain_is_json() -> None:
    at = datetime(2024, 2, 29, 12, tzinfo=timezone(timedelta(hours=2)))
    found = plain({1: Record(at, (b"ok", b"\xff"))})
    assert found == {"1": {"at": "2024-02-29T10:00:00Z", "bodies": ["ok", "base64:/w=="]}}
    json.dumps(found)


def test_text_of() -> None:
    assert text_of("größe".encode()) == "größe"
    assert text_of(b"\x00\xff") == "base64:AP8="


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": datetime(2024, 1, 1, tzinfo=UTC)}, line=True)
    print_json([1], line=True)
    assert capsys.readouterr().out == '{"a": "2024-01-01T00:00:00Z"}\n[1]\n'


def test_a_table_off_a_terminal_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 120
    print_table(["name", "count", "up"], [(long, 12_345, True), ("b", 7, False)])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["name", "count", "up"]
    assert lines[1].split() == [long, "12,345", "yes"]
    assert lines[2].split() == ["b", "7", "no"]
    assert not err


def test_markup_in_a_cell_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["body"], [("[red]x[/red]",)])
    assert "[red]x[/red]" in capsys.readouterr().out


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("work", 10) as step:
        step(5)
    assert capsys.readouterr() == ("", "")
