"""Reference pages and sample files say what the code says.

One rule: whichever side changes, a test fails that names the other.
"""

import configparser
import json
import re
import shlex
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks.readme import BEGIN, END, MEANING, README, filled
from haqactor import errors
from haqactor.cli import exits
from haqactor.cli.app import cli
from haqactor.config import Limits, NodeConfig
from haqactor.nodes.peerwire import PeerOp
from haqactor.wire import Op
from tests.checks import reference

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SAMPLE = ROOT / "deploy" / "haqactor.sample.toml"
PAGES = sorted(DOCS.rglob("*.md"))
ROOMS = ("haqactor", "nodes", "journal", "sim", "tests")
ROW = re.compile(r"^\| `?(?P<first>[^|`]+)`? \| (?P<second>[^|]*) \|", re.MULTILINE)


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def rows(text: str) -> list[tuple[str, str]]:
    return [(row["first"], row["second"].strip("` ")) for row in ROW.finditer(text)]


# -- what is written from the code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_generated_parts_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert reference.filled(text) == text, "run: python -m tests.checks.reference"


def test_every_part_has_its_page() -> None:
    held = [name for page in PAGES for name in reference.parts_of(page.read_text(encoding="utf-8"))]
    assert sorted(held) == sorted(reference.PARTS)


def test_a_part_that_drifted_is_found() -> None:
    page = "<!-- generated: errors -->\n\nwhat stood here\n\n<!-- end of errors -->\nrest\n"
    assert "what stood here" not in reference.filled(page)
    assert reference.filled(page).endswith("<!-- end of errors -->\nrest\n")


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for name in re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", prose):
        places = [ROOT / name, ROOT / "haqactor" / name]
        assert any(place.exists() for place in places), f"{page.name} names {name}"


def test_every_trap_that_is_named_is_explained() -> None:
    known = re.findall(r"^\| ([RJSQ]\d+)[a-f]? \|", text_of("internals/traps.md"), re.MULTILINE)
    places = [*PAGES, *(path for top in ROOMS for path in (ROOT / top).rglob("*.py"))]
    for path in places:
        text = path.read_text(encoding="utf-8")
        simulated = "haqactor.sim" in text or "haq sim" in text
        if "sim" in path.parts or simulated or path.stem.startswith("stor"):
            continue  # there S1, S2 are invariants
        for name in re.findall(r"\b([RJSQ][1-9]\d?)[a-f]?\b", text):
            assert name in known, f"{path.relative_to(ROOT)} names {name}"


def test_every_error_is_on_its_page() -> None:
    text = text_of("reference/errors.md")
    for code, kind in errors.BY_CODE.items():
        assert f"| `{code}` | `{kind.__name__}` |" in text


def test_every_exit_code_is_on_the_errors_page() -> None:
    table = text_of("reference/errors.md").split("## Exit codes")[1]
    codes = [value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)]
    assert sorted(int(first) for first, _ in rows(table) if first.isdigit()) == sorted(codes)


def test_every_command_and_option_is_on_its_page() -> None:
    sections = dict(
        re.findall(r"^### `(.+?)`\n(.*?)(?=^### |^<!-- end)", text_of("reference/cli.md"), re.M | re.S)
    )
    known = dict(reference.leaves("haq", cli))
    assert sorted(sections) == sorted(known)
    for name, command in known.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[-1] in sections[name], f"{name} {parameter.opts[-1]}"


@pytest.mark.parametrize("kinds", [Op, PeerOp])
def test_every_frame_kind_is_on_the_wire_page(kinds: type[Op] | type[PeerOp]) -> None:
    client, peers = text_of("reference/wire.md").split("## Nodes among themselves")
    found = rows(client if kinds is Op else peers)
    shown = {(int(first), second.upper()) for first, second in found if first.isdigit()}
    assert {(int(op), op.name.replace("_", "") if kinds is Op else op.name) for op in kinds} == shown


# -- settings


def shown_default(item: Field[Any]) -> str:
    """A default as the configuration page shows it."""
    if item.name == "limits":
        return "see below"
    if item.name == "advertise":
        return "listen"
    if item.default is MISSING:
        return "required"
    value = item.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if value and isinstance(value, int) and item.name.endswith(("_bytes", "_bytes_max", "_bytes_s")):
        return f"{value // 1024 // 1024} MiB" if value % (1024 * 1024) == 0 else f"{value // 1024} KiB"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value else "empty"


@pytest.mark.parametrize(("config", "begin"), [(NodeConfig, "## The node"), (Limits, "## Limits")])
def test_every_setting_is_on_its_page_with_its_default(config: type[Any], begin: str) -> None:
    section = text_of("operating/configure.md").split(begin + "\n")[1].split("\n## ")[0]
    found = [row for row in rows(section) if row[0] not in ("option", "---")]
    wanted = [(item.name, shown_default(item)) for item in fields(config)]
    assert found == wanted


def uncommented() -> str:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    return "\n".join(re.sub(r"^# (?=[a-z_]+ = )", "", line) for line in lines)


def test_the_sample_configuration_loads() -> None:
    config = NodeConfig.from_toml(SAMPLE.read_text(encoding="utf-8"))
    assert config.limits == Limits()
    assert config.listen in config.bootstrap


def test_the_sample_configuration_shows_every_option_and_default() -> None:
    config = NodeConfig.from_toml(uncommented())
    written = re.findall(r"^([a-z_]+) = ", uncommented(), re.MULTILINE)
    options = [item.name for item in fields(NodeConfig) if item.name != "limits"]
    assert sorted(written) == sorted([*options, *(item.name for item in fields(Limits))])
    assert config.limits == Limits()
    assert not config.seeds
    for item in fields(NodeConfig):
        if item.name not in ("data_dir", "listen", "bootstrap", "seeds", "advertise", "limits"):
            assert getattr(config, item.name) == item.default, item.name


def test_the_unit_file_runs_a_command_that_exists() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read_string((ROOT / "deploy" / "haqactor.service").read_text(encoding="utf-8"))
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "haq"
    name, command = next(
        (name, command)
        for name, command in reference.leaves("haq", cli)
        if name.split()[1:] == arguments[: len(name.split()) - 1]
    )
    options = [option for parameter in command.params for option in parameter.opts]
    for argument in arguments[len(name.split()) - 1 :]:
        assert not argument.startswith("--") or argument in options
    assert unit["Service"]["RestartPreventExitStatus"] == f"{exits.USAGE} {exits.UNAUTHORIZED}"


# -- the README's figures


def test_the_readme_has_a_place_for_figures() -> None:
    page = README.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1


def test_figures_are_rendered_from_the_results() -> None:
    results = json.loads(
        '[{"name": "publish_100B", "value": 81234.5, "unit": "msg/s", "ratio_to": {"ceiling": 0.1234}},'
        ' {"name": "confirm_p50_ms", "value": 1.2345, "unit": "ms", "ratio_to": {}},'
        ' {"name": "failover_lost", "value": 0, "unit": "messages", "ratio_to": {}}]'
    )
    page = filled(f"before\n{BEGIN}what stood here\n{END}\nafter", results, "a machine")
    assert page.startswith(f"before\n{BEGIN}")
    assert page.endswith(f"{END}\nafter")
    assert "what stood here" not in page
    assert f"| `publish_100B` | 81,234 msg/s | 0.123 | {MEANING['publish_100B']} |" in page
    assert "| `confirm_p50_ms` | 1.23 ms |" in page
    assert "| `failover_lost` | 0 messages |" in page
    assert "a machine" in page
