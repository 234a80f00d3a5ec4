"""A short slice of the fuzzing: every target with its corpus and a few hundred inputs; and the fuzzer itself.

One rule: a target that does wrong, in each of the ways that there are, is found to do so.
"""

from random import Random
from typing import Any

import pytest

from haqactor.errors import ProtocolError
from tests.fuzz import hostile
from tests.fuzz.mutator import mutated
from tests.fuzz.registry import TARGETS
from tests.fuzz.run import run
from tests.fuzz.target import Target

INPUTS = 250


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str) -> None:
    outcome = run(TARGETS[name], 1, inputs=INPUTS)
    assert [finding.story for finding in outcome.findings.values()] == []
    assert len(outcome.outcomes) > 1, "no input was taken, or none was refused"


def _raises(data: bytes) -> Any:
    if data[:1] != b"v":
        raise ProtocolError("not this")
    if len(data) > 3:
        raise IndexError("a bug")
    return data


def _grows(data: bytes) -> Any:
    return [0] * 1_000_000 if data[:1] != b"v" else data


def _takes(data: bytes) -> Any:
    return data


def _drifts(data: bytes) -> Any:
    return data + b"!"


@pytest.mark.parametrize(
    ("decode", "place"),
    [
        (_raises, "IndexError at fuzz/test_fuzz.py"),
        (_grows, "Contradiction at fuzz/run.py"),
        (_takes, "Contradiction: an input with a flipped bit was taken"),
        (_drifts, "Contradiction at fuzz/run.py"),
    ],
)
def test_what_is_wrong_is_found(decode: Any, place: str) -> None:
    target = Target(
        name="wrong",
        corpus=lambda: [b"vvv"],
        decode=decode,
        errors=(ProtocolError,),
        encode=bytes if decode is _drifts else None,
        sealed=decode is _takes,
        bytes_max=1 << 20,
    )
    if decode is _drifts:
        with pytest.raises(Exception, match="changes when it is encoded"):
            run(target, 1, inputs=10)
        return
    outcome = run(target, 1, inputs=2000)
    assert any(each.startswith(place) for each in outcome.findings), outcome.findings.keys()


def test_the_same_seed_makes_the_same_inputs() -> None:
    made = [[mutated(Random(seed), b"some input", [b"another"]) for _ in range(3)] for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    trees = [hostile.changed(Random(7), [1, [2, {"x": b"y"}], "z"]) for _ in range(2)]
    assert hostile.dumps(trees[0]) == hostile.dumps(trees[1])
