"""Every kind of fault hits a real cluster, does what it says, and ends; what damages asks the atlas first."""

from collections.abc import Iterator
from typing import Any

import pytest

from haqactor.errors import Conflict, DataDamaged, Error, Unauthorized
from haqactor.sim.atlas import Atlas, leaves
from haqactor.sim.cluster import Shape, SimCluster
from haqactor.sim.host import Host
from haqactor.sim.nemesis import Nemesis
from haqactor.sim.plan import Fault, Plan
from haqactor.sim.profiles import DAMAGE
from haqactor.sim.world import NS, World

MS = 1_000_000


class Bench:
    """A cluster that founds itself, and what ended in it."""

    def __init__(self, *, bounded: bool = True, seed: int = 1) -> None:
        self.world = World(seed)
        self.cluster = SimCluster(self.world, Shape(groups=1))
        self.atlas = Atlas([node.host.name for node in self.cluster.nodes], bounded=bounded)
        self.nemesis = Nemesis(self.cluster, self.atlas)
        self.wrong: list[str] = []
        self.loud: list[BaseException] = []
        self.world.on_failure = self._failed
        self.cluster.start()
        self.world.run(NS)

    def _failed(self, host: Host, error: BaseException) -> None:
        if self.nemesis.ended(host, error):
            self.loud.extend(leaves(error))
        else:
            self.wrong.append(f"{host.name}: {error!r}")

    def plan(self, *faults: Fault, for_ns: int = NS) -> None:
        """Let them happen from now on, and time pass."""
        self.nemesis.follow(Plan(faults))
        self.world.run(self.world.now_ns + for_ns)

    def alive(self) -> list[str]:
        return [node.host.name for node in self.cluster.nodes if node.host.alive]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with made.world:
        yield made
        assert made.wrong == []


def at(kind: str, who: str = "n1", **args: Any) -> Fault:
    place = {"file": 5, "place": 77, "bit": 3, "crash": True}
    return Fault(NS, kind, who, {"for_ns": 100 * MS, **(place if kind in DAMAGE else {}), **args})


@pytest.mark.parametrize("kind", ["crash", "sandwich", "restart"])
def test_a_node_that_goes_comes_back(bench: Bench, kind: str) -> None:
    node = bench.cluster.nodes[1]
    bench.plan(at(kind), for_ns=50 * MS)
    bench.world.run(5 * NS)
    assert bench.alive() == ["n0", "n1", "n2"]
    assert node.host.incarnation == 2
    assert bench.nemesis.fired[kind] == 1


def test_the_power_goes_at_an_operation_of_the_disk(bench: Bench) -> None:
    node = bench.cluster.nodes[1]
    before = node.medium.operations
    bench.plan(at("power_cut", operations=1), at("crash", "n0", for_ns=NS), for_ns=NS)
    assert node.medium.crashes == 1
    assert bench.nemesis.fired["power_cut"] == 1
    assert node.medium.operations > before
    bench.world.run(5 * NS)
    assert bench.alive() == ["n0", "n1", "n2"]


def test_everybody_restarts_in_turn(bench: Bench) -> None:
    bench.plan(at("rolling_restart", "all", gap_ns=NS), for_ns=8 * NS)
    assert [node.host.incarnation for node in bench.cluster.nodes] == [2, 2, 2]
    assert len(bench.alive()) == 3
    assert bench.nemesis.fired["rolling_restart"] == 1


def test_a_leader_hands_over(bench: Bench) -> None:
    leader = bench.cluster.leader(1)
    assert leader is not None
    for trouble in ("none", "slow"):
        leader = bench.cluster.leader(1)
        assert leader is not None
        bench.plan(at("handover", "leader of group 1", to=1, trouble=trouble, on_ns=0))
        assert bench.cluster.leader(1) not in (None, leader)
    assert bench.nemesis.fired["handover"] == 2


def test_a_leader_is_handed_on_by_the_one_that_gets_it(bench: Bench) -> None:
    leader = bench.cluster.leader(1)
    assert leader is not None
    bench.plan(at("handover", leader.host.name, to=0, trouble="none", on_ns=100 * MS))
    server = bench.cluster.nodes[0].server
    assert server is not None
    assert server.context is not None
    (term,) = (actor.core.term for group, actor in server.context.groups.items() if int(group) == 1)
    assert term == 3


def test_a_leader_is_split_off_with_clients(bench: Bench) -> None:
    leader = bench.cluster.leader(1)
    assert leader is not None
    bench.plan(at("split", leader.host.name, for_ns=2 * NS, clients=4), for_ns=1500 * MS)
    assert bench.cluster.leader(1) not in (None, leader)
    bench.world.run(3 * NS)
    assert not bench.cluster.fabric.cuts
    assert bench.nemesis.fired["split"] == 1


def test_connections_flap(bench: Bench) -> None:
    bench.plan(at("flap", for_ns=300 * MS, gap_ns=10 * MS))
    counts = bench.cluster.fabric.counts
    assert counts["late"] + counts["reset"] + counts["half-open"] > 1
    bench.world.run(2 * NS)
    assert bench.cluster.leader(1) is not None


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_repaired_or_ends_a_node_loudly(bench: Bench, kind: str) -> None:
    """Whatever it hits: the node comes back with what is sound, and the others give it the rest; or, if it
    does not know any more who it is, it stops by name and stays down."""
    for number in range(3):
        bench.plan(at(kind, file=number, place=number * 1013 + 1), for_ns=500 * MS)
    assert list(bench.atlas.lost) == ["n1"]
    assert all(isinstance(error, Error) for error in bench.loud)
    bench.world.run(bench.world.now_ns + 4 * NS)
    if bench.loud and any(isinstance(error, DataDamaged | Conflict | Unauthorized) for error in bench.loud):
        assert bench.alive() == ["n0", "n2"]
        assert bench.nemesis.fired["stopped_loudly"] >= 1
    else:
        assert bench.alive() == ["n0", "n1", "n2"]
        server = bench.cluster.nodes[1].server
        assert server is not None
        assert server.context is not None
        assert not any(actor.core.suspect for actor in server.context.groups.values())
    assert bench.cluster.leader(1) is not None


def test_only_so_many_are_damaged(bench: Bench) -> None:
    bench.plan(at("bit_rot", "n0"), at("bit_rot", "n1"), at("lost_disk", "n2"), for_ns=200 * MS)
    assert list(bench.atlas.lost) == ["n0"]
    assert bench.nemesis.fired["bit_rot"] == 1
    assert "lost_disk" not in bench.nemesis.fired
    assert [bool(node.medium.damage()) for node in bench.cluster.nodes] == [True, False, False]


def test_beyond_the_atlas_all_may_be() -> None:
    bench = Bench(bounded=False)
    with bench.world:
        bench.plan(*(at("read_error", f"n{number}") for number in range(3)), for_ns=2 * NS)
        assert bench.atlas.exceeded
        assert all(isinstance(error, Error) for error in bench.loud)
        assert bench.cluster.leader(1) is None, "nobody decides that what all have lost is lost"
        assert bench.wrong == []


def test_a_sync_that_fails_ends_a_node_which_starts_again(bench: Bench) -> None:
    bench.plan(at("sync_error", for_ns=2 * NS), at("crash", "n0"), for_ns=3 * NS)
    assert bench.nemesis.fired["sync_error"] == 1
    assert bench.loud
    assert bench.atlas.lost == {}
    assert len(bench.alive()) == 3
    assert bench.cluster.nodes[1].host.incarnation == 2


def test_an_end_that_nobody_planned_is_wrong() -> None:
    bench = Bench()
    with bench.world:
        bench.cluster.nodes[0].medium.flip("/data/identity", 10)
        bench.cluster.nodes[0].medium.flip("/data/identity", 65_546)
        bench.plan(at("crash", "n0"), for_ns=NS)
        assert len(bench.wrong) == 1
        assert "does not say any more whose it is" in bench.wrong[0]


def test_who_is_not_in_the_core_stays_as_it_is(bench: Bench) -> None:
    bench.plan(at("isolate", "n1", for_ns=9 * NS), at("disk_full", "n0", for_ns=9 * NS), for_ns=50 * MS)
    assert bench.nemesis.settle(("n0", "n2")) == ("n0", "n2")
    fabric = bench.cluster.fabric
    bench.world.run(bench.world.now_ns + 10 * NS)
    assert fabric.link("n0", "n1").is_cut
    assert fabric.link("n1", "n2").is_cut
    assert not fabric.link("n0", "n2").is_cut
    assert bench.cluster.nodes[0].medium.faults.active() == []


def test_the_core_is_joined_again(bench: Bench) -> None:
    bench.plan(at("isolate", "n1", for_ns=9 * NS), at("bridge", "n0", for_ns=9 * NS), for_ns=50 * MS)
    bench.plan(at("crash", "n2", for_ns=9 * NS), for_ns=50 * MS)
    assert bench.nemesis.settle(("n1", "n2")) == ("n1", "n2")
    assert bench.cluster.fabric.cuts == {}
    assert bench.alive() == ["n0", "n1", "n2"]


def test_who_is_dead_outside_of_the_core_stays_dead(bench: Bench) -> None:
    bench.plan(at("crash", "n2", for_ns=200 * MS), at("pause", "n1", for_ns=200 * MS), for_ns=50 * MS)
    bench.nemesis.settle(("n0", "n1"))
    bench.world.run(bench.world.now_ns + 2 * NS)
    assert bench.alive() == ["n0", "n1"]
    assert not bench.cluster.nodes[1].host.paused


def test_a_kind_that_nobody_knows_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="no fault 'flood'"):
        bench.nemesis.follow(Plan((Fault(0, "flood", "n0"),)))


def test_who_is_just_ending_when_all_is_healed_comes_back(bench: Bench) -> None:
    bench.plan(at("restart", for_ns=2 * NS), for_ns=0)
    bench.world.run(bench.world.now_ns + MS)
    node = bench.cluster.nodes[1]
    assert (node.host.alive, node.host.incarnation) == (True, 1)
    assert "n1" in bench.nemesis.settle()
    bench.world.run(bench.world.now_ns + 5 * NS)
    assert (node.host.alive, node.host.incarnation) == (True, 2)


def test_a_stalled_leader_is_replaced_though_it_lives(bench: Bench) -> None:
    leader = bench.cluster.leader(1)
    assert leader is not None
    bench.plan(at("stall", leader.host.name, for_ns=5 * NS // 2), for_ns=2 * NS)
    new = bench.cluster.leader(1)
    assert new is not None
    assert new is not leader
    assert leader.host.alive
    assert bench.cluster.marks.counts["nodes.actor_stalled"] >= 1
    context = None if leader.server is None else leader.server.context
    assert context is not None
    assert any(actor.leading for actor in context.groups.values())  # it does not know yet
    bench.world.run(bench.world.now_ns + 3 * NS)
    assert not any(actor.leading for actor in context.groups.values())


def test_one_that_is_stalled_for_long_ends_and_is_started_again(bench: Bench) -> None:
    node = bench.cluster.nodes[1]
    bench.plan(at("stall", "n1", for_ns=30 * NS), for_ns=6 * NS)
    assert bench.nemesis.fired["stalled_end"] == 1
    assert node.host.alive
    assert node.host.incarnation == 2
    assert node.probe is not None
    assert not node.probe.held


def test_a_core_is_not_stalled_any_more(bench: Bench) -> None:
    bench.plan(at("stall", "n1", for_ns=60 * NS), for_ns=NS // 2)
    node = bench.cluster.nodes[1]
    assert node.probe is not None
    assert node.probe.held
    bench.nemesis.settle(("n0", "n1"))
    assert not node.probe.held
