"""What a run leaves behind: one file of haqactor's figures with their ratios, one of everyone's."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.figures import OURS, Figure

FIGURES = [
    Figure(OURS, "Python", "ceiling_100B", 1_000.0, "msg/s"),
    Figure(OURS, "Python", "publish_100B", 500.0, "msg/s"),
    Figure("nats-r3", "C", "publish_100B", 250.0, "msg/s"),
]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "OUT", tmp_path)
    monkeypatch.setattr(report, "versions", lambda: {"NATS": "2"})
    return tmp_path


def test_one_file_has_the_ratios(out: Path) -> None:
    report.save(FIGURES)
    found = {each["name"]: each for each in json.loads((out / "results.json").read_text())}
    assert found["publish_100B"]["value"] == 500.0
    assert found["publish_100B"]["ratio_to"] == {"ceiling": 0.5, "nats-r3": 2.0}
    told = json.loads((out / "peers.json").read_text())
    assert [each["peer"] for each in told["figures"]] == [OURS, OURS, "nats-r3"]


def test_a_look_with_fewer_messages_makes_no_ratios(out: Path) -> None:
    report.save(FIGURES, scale=0.1)
    report.save(FIGURES[-1:])
    assert not (out / "results.json").exists()


def test_tables_name_every_entrant(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(FIGURES)
    said = capsys.readouterr().out
    assert "of the ceiling" in said
    assert "nats-r3" in said
    report.show(FIGURES[:2])
    assert "peers" not in capsys.readouterr().out
