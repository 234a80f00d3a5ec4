"""What the medium is asked for, and when it cannot be asked any more."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

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
