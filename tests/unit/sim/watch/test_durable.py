"""What the medium is asked for, and when it cannot be asked any more."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.raft.ready import HardState
from haqactor.sim.disk.medium import Medium
from haqactor.sim.watch.durable import Truth


def writing(medium: Medium) -> tuple[Truth, Any]:
    """A truth, and the writer that it listens to."""
    done: list[object] = []
    file = SimpleNamespace(path="/data/segment-1", number=1, size=4096)
    writer = SimpleNamespace(written=done.append, file=file, offset=512, sequence=1, done=done)
    journal = SimpleNamespace(recovered={}, writer=writer, groups={})
    return Truth(cast("Any", journal), medium), writer


@pytest.mark.parametrize("replaced", [False, True])
def test_a_block_that_is_not_there(replaced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not written, unless the disk that held it is gone: seed 10480 of profile swarm."""
    medium = Medium(1, "n0")
    truth, writer = writing(medium)
    learned: list[object] = []

    def learn(*what: object) -> None:
        learned.append(what)

    monkeypatch.setattr(truth, "_learn", learn)
    if replaced:
        medium.wipe()
    writer.written(SimpleNamespace(buffers=[b"a block"]))
    assert truth.settled == replaced
    assert bool(learned) == replaced
    assert len(writer.done) == 1, "the journal goes on"


def learned(truth: Any, group: GroupId, hard: HardState) -> None:
    """A block told it."""
    truth._hard[group] = hard


@pytest.mark.parametrize(
    ("term", "vote", "backed"),
    [(3, 4, True), (4, -1, True), (4, 1, True), (4, 2, False), (5, -1, False), (5, 1, False)],
)
def test_a_hard_state_that_another_followed_in_one_block(term: int, vote: int, backed: bool) -> None:
    """A block tells the newest one of each group: a vote of the same term stands for the term without one,
    too (seed 200640 of profile swarm); never for another vote."""
    truth, writer = writing(Medium(1, "n0"))
    writer.offset = 0  # nothing was written, so nothing is left in a cache: it is the hard state's turn
    learned(truth, GroupId(3), HardState(Term(4), NodeId(1)))
    hard = HardState(Term(term), NodeId(vote))
    assert truth.backs(GroupId(3), Index(0), Term(0), hard) is backed
