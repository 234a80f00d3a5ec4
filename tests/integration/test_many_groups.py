"""As many groups as there may be, and all that a dead node led, or all there are, elect at once (R17)."""

import signal
from pathlib import Path
from typing import Final

import trio

import haqactor
from haqactor.cli.health import leaders_of
from haqactor.cli.launcher import LocalCluster
from tests.builders.local_cluster import kill_all, running

GROUPS: Final = 1024
AGAIN_MAX: Final = 1.5
"""Terms for each election that was needed. One is the rule; in a storm those of one round fail those of the
next, and there are many."""


async def elected(cluster: LocalCluster, number: int, without: int, seconds: float) -> dict[int, int]:
    """Group to term, as node ``number`` has them, once every group has a leader other than ``without``."""
    with trio.fail_after(seconds):
        async with haqactor.connect(f"haq://{cluster.node(number).listen}") as broker:
            while True:
                status = await broker.status()
                leaders = leaders_of(status)
                if len(leaders) == GROUPS + 1 and not {-1, without} & set(leaders.values()):
                    return {group: term for group, _node, term, _address in status["leaders"]}
                await trio.sleep(0.02)


def terms_between(before: dict[int, int], after: dict[int, int]) -> int:
    return sum(after.values()) - sum(before.values())


async def test_all_groups_of_a_dead_node_elect_once(tmp_path: Path) -> None:
    """Each group of a new cluster, of a node that is killed, of one that falls silent, and of a cluster that
    starts again has a leader within seconds, in about one election."""
    async with running(tmp_path, groups=GROUPS) as cluster:
        began = await elected(cluster, 0, -1, 10)
        assert sum(began.values()) <= AGAIN_MAX * (GROUPS + 1)

        led = sum(node == 1 for node in (await leaders(cluster)).values())
        assert led > GROUPS // 4
        cluster.kill(1)
        after_death = await elected(cluster, 0, 1, 5)
        assert led <= terms_between(began, after_death) <= AGAIN_MAX * led

        await cluster.restart(1)
        await elected(cluster, 1, -1, 5)
        led = sum(node == 2 for node in (await leaders(cluster)).values())
        before = await elected(cluster, 0, -1, 5)
        cluster.kill(2, signal.SIGSTOP)
        after_silence = await elected(cluster, 0, 2, 5)
        assert led <= terms_between(before, after_silence) <= 2 * led

        kill_all(cluster)
        await cluster.start()
        again = await elected(cluster, 0, -1, 15)
        assert GROUPS < terms_between(after_silence, again) <= 2 * GROUPS


async def leaders(cluster: LocalCluster) -> dict[int, int]:
    """Group to leading node, as node 0 has it."""
    async with haqactor.connect(f"haq://{cluster.node(0).listen}") as broker:
        return leaders_of(await broker.status())
