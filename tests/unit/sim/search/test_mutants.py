"""The matrix of planted bugs: some of them are found here, by seeds that are known to; and it reports what it
saw."""

import pytest

from haqactor.errors import Conflict
from haqactor.sim.checkers.canary import CANARY, ONE_IN, sings
from haqactor.sim.planted.bugs import BUGS
from haqactor.sim.search import mutants
from haqactor.sim.search.mutants import Rules, Try, attempt, stages
from haqactor.sim.search.seedrun import CORES, NODES, run_nodes
from haqactor.sim.search.settings import Settings
from tests.checks import planted_bugs


@pytest.mark.parametrize(
    ("simulator", "name"),
    [
        (CORES, "raft.vote_before_durable"),
        (CORES, "machine.redelivered_last"),
        (NODES, "journal.done_before_sync"),
        (NODES, "nodes.confirm_at_append"),
        (NODES, "nodes.proxy_settles"),
    ],
)
def test_is_found(simulator: str, name: str) -> None:
    found = attempt(simulator, "swarm", name, 0, 3, reduce=False)
    assert found.found is not None
    assert found.found.invariant in BUGS[name].invariants
    assert found.seeds == found.found.seed + 1


def test_needed_faults_are_named() -> None:
    found = attempt(CORES, "swarm", "machine.acked_before_commit", 0, 3, reduce=True)
    assert found.needed == "none"


def test_a_bug_that_is_not_there_is_not_found() -> None:
    found = attempt(CORES, "calm", "journal.done_before_sync", 0, 2, reduce=True)
    assert found == Try(2, found.cpu_s)


def test_the_canary_is_heard_where_it_must_and_nowhere_else() -> None:
    chosen = [seed for seed in range(2000) if sings(seed)]
    assert 20 <= len(chosen) <= 2 * 2000 // ONE_IN
    outcome = run_nodes(chosen[0], "calm", Settings(), (CANARY,))
    assert outcome.verdict.failed
    assert outcome.invariant == CANARY


def test_stages_go_from_quick_to_slow() -> None:
    rules = Rules(nodes_max=500, cores_max=5000)
    both = stages(BUGS["raft.vote_twice"], rules)
    assert [(stage.simulator, stage.first, stage.last) for stage in both] == [
        (CORES, 0, 400),
        (NODES, 0, 500),
        (CORES, 400, 5000),
    ]
    assert [stage.simulator for stage in stages(BUGS["journal.done_before_sync"], rules)] == [NODES]


def test_least() -> None:
    def needs(*wanted: str) -> str:
        return mutants.least(("a", "b", "c"), lambda kept: all(kind in kept for kind in wanted))

    assert needs() == "none"
    assert needs("b") == "b"
    assert needs("a", "c") == "a, c"
    assert needs("a", "b", "c") == "a, b, c"


def test_matrix() -> None:
    """In workers, in the order in which bugs were named; who survives is told, too."""
    told: list[str] = []
    rows = mutants.mutants(
        ["raft.suspect_counts", "raft.ack_before_durable"],
        jobs=1,
        on_row=lambda row: told.append(row.name),
        rules=Rules(nodes_max=0, cores_max=2, reduce=False),
    )
    assert [(row.id, row.killed, row.seeds) for row in rows] == [("C06", False, 2), ("M06", True, 1)]
    assert sorted(told) == ["raft.ack_before_durable", "raft.suspect_counts"]
    assert rows[1].to_json().keys() >= {"id", "killed", "seeds", "checker", "fault"}


def test_a_release_has_no_bugs_to_hunt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "PLANTED", False)
    with pytest.raises(Conflict, match="release"):
        mutants.mutants(["raft.vote_twice"])


def test_the_page_is_current() -> None:
    results = planted_bugs.read()
    assert planted_bugs.PAGE.read_text(encoding="utf-8") == planted_bugs.page(results)
    assert {row["name"] for row in results} == set(BUGS), "run `haq sim mutants` for what is new"
