"""A node that was down while the others snapshot and compact: it gets the snapshot with the live entries, and
can lead with it.
"""

from functools import partial
from pathlib import Path

import pytest
import trio

import haqactor
from haqactor import Broker
from haqactor.cli.launcher import LocalCluster, LocalNode
from tests.builders.journal_damage import segments
from tests.builders.local_cluster import kill_all, no_tracebacks, running, until

LIMITS: dict[str, float | int] = {
    "segment_bytes": 64 * 1024,
    "snapshot_entries": 40,
    "snapshot_bytes": 64 * 1024,
    "tail_cache_bytes": 32 * 1024,
    "message_bytes_max": 65_536,
}
QUEUES = ["one", "two", "three", "four"]
ROUNDS = 40
EVERY = 7  # of so many messages one stays


def body(queue: str, number: int) -> bytes:
    return b"%s %d " % (queue.encode(), number) + bytes((number * 31 + k) % 251 for k in range(400))


async def publish_and_settle(broker: Broker, queue: str, live: dict[str, list[int]]) -> None:
    """Batches of which all but some are acknowledged; ``live`` gets the places of those that stay."""
    handle = await broker.declare(queue, lease=120.0)
    async with broker.producer(queue) as producer, handle.consume_batches(credit=5000) as batches:
        number = 0
        for _ in range(ROUNDS):
            bodies = [body(queue, number + offset + 1) for offset in range(10)]
            number += 10
            await producer.publish_many(queue, bodies)
            batch = await batches.receive()
            keep = [message for message in batch.messages if message.seq % EVERY == 0]
            await batch.ack([message for message in batch.messages if message.seq % EVERY])
            live[queue] += [message.seq for message in keep]


def compacted(data: Path) -> bool:
    """Is the first segment gone?"""
    return segments(data)[0].name != "segment-0000000000000001"


async def installed(broker: Broker) -> bool:
    """Has the node got a snapshot of every group with a queue?"""
    return int((await broker.status())["counters"].get("installs_received", 0)) >= len(QUEUES)


async def ends(node: LocalNode) -> dict[int, int]:
    """Where each group's log ends on a node."""
    async with haqactor.connect(f"haq://{node.listen}") as broker:
        return {int(row["group"]): int(row["last_index"]) for row in (await broker.status())["groups"]}


async def caught_up(cluster: LocalCluster) -> bool:
    """Has node 2 also what came behind the snapshots? Else it could not win."""
    mine = await ends(cluster.node(2))
    return [await ends(cluster.node(number)) for number in (0, 1)] == [mine, mine]


async def only_node_two_may_lead(cluster: LocalCluster) -> None:
    """Node 0 becomes patient, node 1 stays down: who leads is decided."""
    kill_all(cluster)
    config = cluster.node(0).config
    text = config.read_text(encoding="utf-8")
    config.write_text(text + "election_min = 20.0\nelection_max = 30.0\n", encoding="utf-8")
    for number in (2, 0):
        await cluster.restart(number)
    await cluster.wait_ready()


@pytest.mark.slow
async def test_a_node_that_was_down_gets_the_snapshot_and_leads(tmp_path: Path) -> None:
    live: dict[str, list[int]] = {queue: [] for queue in QUEUES}
    async with running(tmp_path, limits=LIMITS) as cluster:
        cluster.kill(2)
        async with haqactor.connect(cluster.url) as broker, trio.open_nursery() as nursery:
            for queue in QUEUES:
                nursery.start_soon(publish_and_settle, broker, queue, live)
        for node in cluster.nodes[:2]:
            await until(partial(compacted, node.data))
            assert list(node.data.glob("cold-*")), "nothing that lives was kept"
        await cluster.restart(2)
        async with haqactor.connect(f"haq://{cluster.node(2).listen}") as broker:
            with trio.fail_after(15):
                while not await installed(broker):  # noqa: ASYNC110 - the node is asked
                    await trio.sleep(0.02)
                while not await caught_up(cluster):  # noqa: ASYNC110 - the nodes are asked
                    await trio.sleep(0.02)
        await only_node_two_may_lead(cluster)
        async with haqactor.connect(cluster.url) as broker:
            for queue in QUEUES:
                info = await broker.queue(queue).info()
                assert (info.leader, info.next_seq) == (2, ROUNDS * 10 + 1)
                arrived: dict[int, bytes] = {}
                async with broker.queue(queue).consume() as deliveries:
                    while len(arrived) < len(live[queue]):
                        async with await deliveries.receive() as message:
                            arrived[message.seq] = message.body
                assert sorted(arrived) == sorted(live[queue])
                assert arrived == {seq: body(queue, seq) for seq in live[queue]}
                assert (await broker.queue(queue).info()).ready == 0
        no_tracebacks(cluster)
