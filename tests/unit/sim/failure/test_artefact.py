"""``fail.json`` comes back as it went; what is not ours, newer or cut is refused by name."""

import json
from typing import Any

import pytest

from haqactor.sim.drawn import Drawn
from haqactor.sim.failure.artefact import (
    FORMAT,
    Artefact,
    ArtefactError,
    DamagedArtefact,
    ForeignFormat,
    NewerFormat,
    Record,
    dumps,
    loads,
    versions,
)
from haqactor.sim.plan import Fault, Plan
from haqactor.sim.verdict import Verdict

FULL = Artefact(
    seed=2**63 + 1,
    profile="swarm",
    run=Drawn(
        nodes=5,
        plan=Plan((Fault(5, "crash", "leader of queue orders", {"torn": True}),)),
        chances={"reset_share": 0.25},
        operations=40,
        until_ns=9,
        steady=True,
    ),
    verdict=Verdict.SAFETY,
    digest="00ff" * 8,
    invariant="S1",
    message="p1-17 wurde bestätigt <script>",
    at_ns=4_203_117_000,
    event=8123,
    records=(Record("confirmed", "n1", 3, 17, 2_100_000_000, 4100), Record("not there")),
    bugs=("raft.vote_twice",),
    commit="a26d117",
    planned=41,
    shrink_runs=57,
)


def test_there_and_back() -> None:
    assert loads(dumps(FULL)) == FULL
    assert loads(dumps(FULL).encode()) == FULL
    assert dumps(loads(dumps(FULL))) == dumps(FULL)


def test_least() -> None:
    least = Artefact(seed=0, profile="calm", run=Drawn(), verdict=Verdict.LIVENESS, digest="")
    assert loads(dumps(least)) == least


def test_it_says_what_ran() -> None:
    row: dict[str, Any] = json.loads(dumps(FULL))
    assert row["sim-format"] == FORMAT == 1
    assert set(row["versions"]) == {"python", "trio", "cbor2", "zstandard"}
    assert row["versions"] == versions()
    assert row["records"][1] == {"text": "not there", "host": ""}


def test_other_versions_are_told() -> None:
    row = json.loads(dumps(FULL))
    row["versions"]["trio"] = "0.1"
    del row["versions"]["cbor2"]
    told = loads(json.dumps(row)).foreign_versions()
    assert [line.split()[0] for line in told] == ["trio", "cbor2"]
    assert "0.1 there" in told[0]
    assert not FULL.foreign_versions()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"seed": 1}', '{"sim-format": "1"}', '{"sim-format": 0}', '{"sim-format": true}'],
)
def test_foreign(text: str) -> None:
    with pytest.raises(ForeignFormat):
        loads(text)


def test_newer() -> None:
    with pytest.raises(NewerFormat, match="update") as caught:
        loads('{"sim-format": 2}')
    assert caught.value.found == 2
    assert isinstance(caught.value, ArtefactError)


@pytest.mark.parametrize("name", [name for name in json.loads(dumps(FULL)) if name != "sim-format"])
def test_damaged(name: str) -> None:
    row = json.loads(dumps(FULL))
    row[name] = {"surprise": []}  # fits nowhere
    with pytest.raises(DamagedArtefact):
        loads(json.dumps(row))


@pytest.mark.parametrize("name", ["seed", "run", "verdict", "records", "digest", "versions"])
def test_cut(name: str) -> None:
    row = json.loads(dumps(FULL))
    del row[name]
    with pytest.raises(DamagedArtefact, match=name):
        loads(json.dumps(row))


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("pass", 0), ("unrecoverable", 0), ("safety", 1), ("liveness", 1), ("crash", 1), ("nondeterminism", 1)],
)
def test_exit_codes(verdict: str, code: int) -> None:
    assert Verdict(verdict).exit_code == code
    assert Verdict(verdict).failed == (code == 1)
    assert Verdict.UNDETERMINED.exit_code == 10
