"""Releases in a simulated cluster: versions are raised when all know them, and never past anybody."""

from collections.abc import Iterator
from typing import Any

import pytest

from haqactor.errors import UnknownVersion
from haqactor.sim.atlas import leaves
from haqactor.sim.cluster import Shape, SimCluster
from haqactor.sim.host import Host
from haqactor.sim.nemesis import Nemesis
from haqactor.sim.plan import Fault, Plan
from haqactor.sim.releases import NEWER, OLDER
from haqactor.sim.world import NS, World

MS = 1_000_000
ENDS = pytest.mark.parametrize("crash", [False, True], ids=["in order", "by a crash"])


class Operators:
    """A cluster of three with one group of queues, and those who run it."""

    def __init__(self, *bugs: str) -> None:
        self.world = World(1)
        self.cluster = SimCluster(self.world, Shape(groups=1, bugs=bugs))
        self.nemesis = Nemesis(self.cluster)
        self.refused: list[str] = []
        self.wrong: list[BaseException] = []
        self.world.on_failure = self._failed
        self.cluster.start()
        self.world.run(NS)

    def _failed(self, host: Host, error: BaseException) -> None:
        if self.nemesis.ended(host, error):
            self.refused.append(host.name)
            assert all(isinstance(each, UnknownVersion) for each in leaves(error))
        else:
            self.wrong.extend(leaves(error))

    def change(self, kind: str, who: str, *, crash: bool = False, for_ns: int = 3 * NS) -> None:
        args: dict[str, Any] = {"for_ns": 100 * MS, "gap_ns": 400 * MS, "crash": crash}
        self.nemesis.follow(Plan((Fault(self.world.now_ns, kind, who, args),)))
        self.world.run(self.world.now_ns + for_ns)

    def versions(self) -> dict[str, list[int]]:
        """Of the groups of each node that runs."""
        found: dict[str, list[int]] = {}
        for node in self.cluster.nodes:
            context = node.server.context if node.server is not None and node.host.alive else None
            if context is not None:
                found[node.host.name] = [row["version"] for row in context.status_rows()]
        return found

    def marked(self, name: str) -> bool:
        return bool(self.cluster.marks.counts.get(name))


@pytest.fixture
def operators() -> Iterator[Operators]:
    made = Operators()
    with made.world:
        yield made
        assert made.wrong == []


def everywhere(version: int) -> dict[str, list[int]]:
    return {name: [version, version] for name in ("n0", "n1", "n2")}


@ENDS
def test_the_version_is_raised_when_the_last_one_comes_back(operators: Operators, crash: bool) -> None:
    """Also in groups where nothing happens."""
    operators.change("upgrade", "n1", crash=crash)
    operators.change("upgrade", "n0", crash=crash)
    assert operators.versions() == everywhere(OLDER.newest)
    assert operators.marked("nodes.raise_waits")
    operators.change("upgrade", "all", crash=crash)
    assert operators.versions() == everywhere(NEWER.newest)
    assert operators.marked("machine.version_raised")
    assert operators.nemesis.fired["upgrade"] == 3
    assert [len(node.ran) for node in operators.cluster.nodes] == [2, 2, 2]


def test_one_that_has_it_already_is_left_alone(operators: Operators) -> None:
    operators.change("upgrade", "n1")
    operators.change("upgrade", "n1")
    operators.change("downgrade", "n2")
    assert operators.nemesis.fired["upgrade"] == 1
    assert "downgrade" not in operators.nemesis.fired


@ENDS
def test_there_is_a_way_back_before(operators: Operators, crash: bool) -> None:
    operators.change("upgrade", "n0", crash=crash)
    operators.change("upgrade", "n1", crash=crash)
    operators.change("downgrade", "n1", crash=crash)
    operators.change("upgrade", "n2", crash=crash)
    assert operators.versions() == everywhere(OLDER.newest)
    assert operators.refused == []


@ENDS
def test_there_is_none_after(operators: Operators, crash: bool) -> None:
    """A node of the older release stops by name, and serves again once it is upgraded."""
    operators.change("upgrade", "all", crash=crash)
    operators.change("downgrade", "n1", crash=crash)
    assert operators.refused == ["n1"]
    assert operators.nemesis.fired["release_too_old"] == 1
    assert operators.marked("machine.version_unknown")
    assert operators.versions() == everywhere(NEWER.newest)
    assert operators.cluster.nodes[1].ran == [OLDER, NEWER, OLDER, NEWER]


def test_who_was_never_asked_stops_and_nobody_excuses_it() -> None:
    """The planted bug."""
    operators = Operators("nodes.raised_unasked")
    with operators.world:
        operators.change("upgrade", "n0", for_ns=NS)
        operators.change("upgrade", "n1", for_ns=2 * NS)
        assert operators.wrong
        assert all(isinstance(error, UnknownVersion) for error in operators.wrong)
        assert operators.refused == []


def test_who_passes_over_what_it_does_not_know_goes_on() -> None:
    """The other one: the checkers have to see it."""
    operators = Operators("machine.unknown_skipped")
    with operators.world:
        operators.change("upgrade", "all")
        operators.change("downgrade", "n1")
        assert operators.refused == []
        assert operators.wrong == []
        assert operators.cluster.nodes[1].ran[-1] == OLDER
        assert operators.cluster.nodes[1].host.alive
