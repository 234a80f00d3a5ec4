"""Two producers of one name: the older one is refused everywhere, also where the newer one never was."""

import pytest
import trio

import haqactor
from haqactor import Broker, Fenced, Producer
from haqactor.cli.launcher import LocalCluster
from tests.builders.local_cluster import leader_of, no_tracebacks

SECONDS_MAX = 20.0


async def declared(broker: Broker, prefix: str) -> list[str]:
    """Queues of different groups."""
    groups: dict[int, str] = {}
    for number in range(4):
        name = f"{prefix}-{number}"
        await broker.declare(name)
        groups.setdefault((await broker.queue(name).info()).group, name)
    assert len(groups) > 1
    return list(groups.values())


async def until_fenced(producer: Producer, queue: str) -> None:
    with trio.fail_after(5):
        while True:
            try:
                await producer.publish(queue, b"late")
            except Fenced:
                return


async def test_the_older_producer_is_fenced_in_all_groups(small: LocalCluster) -> None:
    """The newer one only opened its name; and a later leader of the group knows."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as broker, haqactor.connect(small.url) as other:
            queues = await declared(broker, "fenced")
            async with broker.producer("fenced") as older:
                for queue in queues:
                    await older.publish(queue, b"a")
                async with other.producer("fenced") as newer:
                    for queue in queues:
                        await until_fenced(older, queue)
                    leader = await leader_of(broker, queues[-1])
                    small.kill(leader)
                    async with broker.producer("another") as witness:
                        await witness.publish(queues[-1], b"a leader is there")
                    with pytest.raises(Fenced):
                        await older.publish(queues[-1], b"late")
                    seq = (await newer.publish(queues[-1], b"b")).producer_seq
                    assert seq == await newer.last_seq(queues[-1])
            await small.restart(leader)
    no_tracebacks(small)
