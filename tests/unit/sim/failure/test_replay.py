"""A failure that is written down comes back as it was; one that goes another way is told as such."""

from dataclasses import replace
from pathlib import Path

import pytest

from haqactor.sim.drawn import Drawn
from haqactor.sim.failure import replay as replays
from haqactor.sim.failure.artefact import Artefact, dumps, loads, versions
from haqactor.sim.report.html import BYTES_MAX
from haqactor.sim.report.text import LINES_MAX
from haqactor.sim.run import Result, run
from haqactor.sim.verdict import Verdict

BUG = "raft.ack_before_durable"


@pytest.fixture(scope="module")
def failed() -> Result:
    return run(1, "calm", drawn=Drawn(groups=2, operations=3), bugs=(BUG,), recording=True)


@pytest.fixture(scope="module")
def artefact(failed: Result) -> Artefact:
    return replays.of(failed, commit="ab" * 20)


def test_it_says_what_failed(failed: Result, artefact: Artefact) -> None:
    assert (artefact.verdict, artefact.invariant, artefact.bugs) == (Verdict.SAFETY, "S14", (BUG,))
    assert artefact.message == failed.violations[0].text
    assert (artefact.run, artefact.digest) == (failed.drawn, failed.digest)
    assert artefact.records[0].event is not None
    assert failed.trace is not None
    assert artefact.event is not None
    told = failed.trace.events[artefact.event]
    assert (told.kind, told.at_ns, told.data[0]) == ("violation", artefact.at_ns, "S14")
    assert replays.upto(failed)[-1] is told
    assert artefact.event < failed.events


def test_a_replay_is_the_same_run(artefact: Artefact) -> None:
    again = replays.replay(loads(dumps(artefact)))
    assert (again.verdict, again.digest, again.note) == (Verdict.SAFETY, artefact.digest, "")


def test_another_way_is_told(artefact: Artefact) -> None:
    other = replays.replay(replace(artefact, bugs=(), run=replace(artefact.run, until_ns=400_000_000)))
    assert other.verdict is Verdict.NONDETERMINISM
    assert other.verdict.exit_code == 1
    assert "it ended as undetermined, not as safety S14" in other.note
    assert "the code has changed since, abababababab," in other.note
    assert other.digest[:16] in other.note


def test_other_versions_are_told(artefact: Artefact) -> None:
    foreign = replace(artefact, versions={**versions(), "trio": "0.1"})
    same = replays.replay(foreign)
    assert (same.verdict, same.note) == (Verdict.SAFETY, f"the same though versions differ: {_trio()}")
    other = replays.replay(replace(foreign, digest="0" * 32))
    assert other.verdict is Verdict.NONDETERMINISM
    assert f"another version: {_trio()}" in other.note
    assert "the code has changed" not in other.note


def _trio() -> str:
    return f"trio 0.1 there, {versions()['trio']} here"


def test_three_files(tmp_path: Path, artefact: Artefact, failed: Result) -> None:
    paths = replays.write(tmp_path, artefact)
    assert paths == [str(tmp_path / name) for name in ("fail.json", "fail.html", "fail.txt")]
    assert loads((tmp_path / "fail.json").read_bytes()) == artefact
    page = (tmp_path / "fail.html").read_text()
    assert len(page.encode()) <= BYTES_MAX
    assert "RequestVote" in page
    report = (tmp_path / "fail.txt").read_text()
    assert len(report.splitlines()) <= LINES_MAX
    assert f"replay   haq sim replay {tmp_path}/fail.json" in report
    assert f"look at  {tmp_path}/fail.html" in report
    before = page, report
    replays.write(tmp_path, artefact, failed)
    assert ((tmp_path / "fail.html").read_text(), (tmp_path / "fail.txt").read_text()) == before


def test_clients_calls_are_in_the_trace() -> None:
    result = run(1, "calm", drawn=Drawn(groups=2, until_ns=900_000_000), recording=True)
    events = replays.upto(result)
    assert len(events) == result.events
    kinds = [event.data[1] for event in events if event.kind == "client.return"]
    assert {"declare", "publish", "ack"} <= dict.fromkeys(kinds).keys()
    assert any(event.kind == "client.deliver" for event in events)
    for event in events:
        if event.kind == "client.return":
            call = events[event.cause]
            assert (call.kind, call.host, call.data[:2]) == ("client.call", event.host, event.data[1:3])


def test_commits(tmp_path: Path) -> None:
    assert replays.commit_of(tmp_path) == ""
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert replays.commit_of(tmp_path) == ""
    (git / "packed-refs").write_text("# pack-refs\nabc refs/heads/main\ndef refs/heads/other\n")
    assert replays.commit_of(tmp_path) == "abc"
    (git / "refs/heads").mkdir(parents=True)
    (git / "refs/heads/main").write_text("123\n")
    assert replays.commit_of(tmp_path) == "123"
    (git / "HEAD").write_text("456\n")
    assert replays.commit_of(tmp_path) == "456"
