"""Who leads, as a simulated cluster tells it."""

from haqactor.ids import GroupId
from haqactor.sim.cluster import SimCluster
from haqactor.sim.world import NS, World


def test_an_actor_that_has_not_noticed_that_its_core_stepped_down_leads_nothing() -> None:
    """It is stalled: seed 201217 of profile swarm."""
    with World(1) as world:
        cluster = SimCluster(world)
        cluster.start()
        world.run(2 * NS)
        leader = cluster.leader(1)
        assert leader is not None
        for node in cluster.nodes:
            assert node.server is not None
            assert node.server.context is not None
            node.server.context.groups[GroupId(1)].leading = True
        assert cluster.leader(1) is leader
