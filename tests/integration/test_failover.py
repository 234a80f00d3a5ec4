"""Confirmed messages outlive their leader, again and again; a publish is stored once whatever is retried."""

import pytest
import trio

import haqactor
from haqactor import Broker, SequenceConflict, SequenceGap
from haqactor.cli.launcher import LocalCluster
from tests.builders.ledger import Ledger, consume_into, publish_batches, publish_single
from tests.builders.local_cluster import kill_all, leader_of, no_tracebacks, until

KILLS = 2


class Flow:
    """Three producers and a consumer of one queue, until ``stop``."""

    def __init__(self, broker: Broker, queue: str) -> None:
        self.broker = broker
        self.queue = queue
        self.ledger = Ledger()
        self.publishing = True

    async def publish(self, kind: str) -> None:
        def going() -> bool:
            return self.publishing

        if kind == "anonymous":
            await publish_single(self.broker, self.queue, kind, self.ledger, going)
            return
        async with self.broker.producer(f"{self.queue}-{kind}") as producer:
            work = publish_single if kind == "named" else publish_batches
            await work(producer, self.queue, kind, self.ledger, going)

    async def more_confirms(self, count: int = 300) -> None:
        before = len(self.ledger.confirmed)
        await until(lambda: len(self.ledger.confirmed) >= before + count)

    async def finish(self) -> None:
        self.publishing = False
        await until(lambda: not self.ledger.missing)


async def kill_leader(cluster: LocalCluster, broker: Broker, queue: str) -> int:
    leader = await leader_of(broker, queue)
    cluster.kill(leader)
    return leader


async def test_the_leader_is_killed_in_mid_flow(small: LocalCluster) -> None:
    cluster = small
    async with haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("orders", lease=20.0)
        flow = Flow(broker, "orders")
        async with trio.open_nursery() as consumers:
            consumers.start_soon(consume_into, broker, "orders", flow.ledger)
            async with trio.open_nursery() as producers:
                for kind in ("named", "many", "anonymous"):
                    producers.start_soon(flow.publish, kind)
                for _ in range(KILLS):
                    await flow.more_confirms()
                    dead = await kill_leader(cluster, broker, "orders")
                    await flow.more_confirms()
                    await cluster.restart(dead)
                await flow.more_confirms()
                flow.publishing = False
            await flow.finish()
            consumers.cancel_scope.cancel()
        flow.ledger.check()
        info = await queue.info()
        assert (info.ready, info.leased, info.delayed, info.dead) == (0, 0, 0, 0)
        assert info.next_seq - 1 == len(flow.ledger.confirmed)  # nothing stored that nobody published
        no_tracebacks(cluster)


async def test_a_publish_is_stored_once_across_retries_failovers_and_restarts(small: LocalCluster) -> None:
    cluster = small
    with trio.fail_after(30):
        async with haqactor.connect(cluster.url) as broker:
            await broker.declare("retried")
            async with broker.producer("checkout") as producer:
                single = [await producer.publish("retried", b"%d" % seq, seq=seq) for seq in range(1, 4)]
                many = await producer.publish_many("retried", [b"a", b"b", b"c"], seq=4)
                assert not any(receipt.duplicate for receipt in single + many)
                await kill_leader(cluster, broker, "retried")
                again = await producer.publish("retried", b"2", seq=2)
                assert (again.duplicate, again) == (True, single[1])
        kill_all(cluster)
        await cluster.start()
        async with haqactor.connect(cluster.url) as broker, broker.producer("checkout") as producer:
            assert await producer.last_seq("retried") == 6
            for seq in (3, 1):
                again = await producer.publish("retried", b"%d" % seq, seq=seq)
                assert (again.duplicate, again) == (True, single[seq - 1])
            repeated = await producer.publish_many("retried", [b"a", b"b", b"c"], seq=4)
            assert repeated == many
            assert all(receipt.duplicate for receipt in repeated)
            inner = await producer.publish("retried", b"not compared", seq=5)
            assert (inner.duplicate, inner) == (True, many[1])
            with pytest.raises(SequenceConflict):
                await producer.publish("retried", b"other", seq=2)
            with pytest.raises(SequenceConflict):
                await producer.publish_many("retried", [b"c", b"d"], seq=6)
            with pytest.raises(SequenceGap):
                await producer.publish("retried", b"x", seq=9)
            following = await producer.publish("retried", b"d", seq=7)
            assert (following.seq, following.duplicate) == (7, False)
            assert (await broker.queue("retried").info()).ready == 7
