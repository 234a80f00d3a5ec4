"""What a queue, and all queues of a group together, may hold in bytes: against real nodes."""

from pathlib import Path
from random import Random

import pytest
import trio

import haqactor
from haqactor import Broker
from tests.builders.local_cluster import Limits, leader_of, running

QUEUE_BYTES = 10_000
GROUP_BYTES = 16_000
BODY_BYTES = 1_000
AT_ONCE_S = 2.0


async def fill(broker: Broker, queue: str, random: Random) -> tuple[int, str]:
    """Publish until nothing more fits: how many were stored, and what the refusal said."""
    stored = 0
    while True:
        try:
            await broker.publish(queue, random.randbytes(BODY_BYTES))
        except haqactor.Overloaded as error:
            return stored, str(error)
        stored += 1


@pytest.mark.slow
async def test_full_in_bytes_until_something_is_consumed(tmp_path: Path) -> None:
    """Queue and group are filled up to their limits and not above, the count outlives leaders and snapshots,
    and what is settled makes room."""
    limits: Limits = {"group_bytes_max": GROUP_BYTES, "snapshot_entries": 5}
    random = Random(1)
    async with running(tmp_path, 3, limits, groups=1) as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("bounded", max_bytes=QUEUE_BYTES)
        other = await broker.declare("other")
        stored, said = await fill(broker, "bounded", random)
        assert f"of {QUEUE_BYTES} bytes" in said
        assert "max_bytes" in said
        info = await queue.info()
        assert (info.ready, info.config.max_bytes) == (stored, QUEUE_BYTES)
        assert QUEUE_BYTES - BODY_BYTES - 100 < info.bytes <= QUEUE_BYTES
        with trio.fail_after(AT_ONCE_S), pytest.raises(haqactor.TooLarge, match="can never be in"):
            await broker.publish("bounded", random.randbytes(QUEUE_BYTES))
        more, said = await fill(broker, "other", random)
        assert more > 0
        assert "group 1, to which queue 'other' belongs" in said
        assert "most of them in queue 'bounded'" in said
        assert "limits.group_bytes_max" in said
        held = info.bytes + (await other.info()).bytes
        assert GROUP_BYTES - BODY_BYTES - 100 < held <= GROUP_BYTES
        leader = await leader_of(broker, "bounded")
        cluster.kill(leader)
        assert (await queue.info()).bytes == info.bytes
        await cluster.restart(leader)
        for _ in range(2):
            await (await queue.get()).ack()
        assert (await queue.info()).bytes < info.bytes
        await broker.publish("other", random.randbytes(BODY_BYTES))
        await broker.publish("bounded", random.randbytes(BODY_BYTES))
        assert (await queue.info()).bytes + (await other.info()).bytes <= GROUP_BYTES


@pytest.mark.slow
async def test_many_at_once_are_not_too_large_together(tmp_path: Path) -> None:
    """The client gathers what is published at the same time: it may travel together as far as it fits."""
    limits: Limits = {"queue_bytes_max": 3 * BODY_BYTES}
    async with running(tmp_path, 1, limits, groups=1) as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("narrow")
        random = Random(2)
        bodies = sorted(random.randbytes(BODY_BYTES) for _ in range(30))
        found: list[bytes] = []
        async with trio.open_nursery() as nursery:
            for body in bodies:
                nursery.start_soon(broker.publish, "narrow", body)
            async with queue.consume() as deliveries:
                async for message in deliveries:
                    async with message:
                        found.append(message.body)
                    if len(found) == len(bodies):
                        break
        assert sorted(found) == bodies
