"""A client that can reach one node only, and that node does not lead: everything works through it."""

import pytest
import trio

import haqactor
from haqactor import NotFound
from haqactor.cli.launcher import LocalCluster
from tests.builders.ledger import Ledger, consume_into, publish_batches, publish_single
from tests.builders.local_cluster import leader_of, no_tracebacks, until

SECONDS_MAX = 20.0


async def test_everything_through_a_follower(small: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as direct:
            await direct.declare("known")
            leader = await leader_of(direct, "known")
        through = small.node((leader + 1) % 3)
        async with haqactor.connect(f"haq://{through.listen}?route=proxy") as broker:
            assert await leader_of(broker, "known") == leader
            for name in ("known", "made-here", "made-here-too"):
                queue = await broker.declare(name, lease=30.0, dead_letter=f"{name}.dead")
                async with broker.producer("proxied") as producer:
                    receipts = await producer.publish_many(name, [b"%d" % k for k in range(6)], seq=1)
                    assert [receipt.seq for receipt in receipts] == [1, 2, 3, 4, 5, 6]
                    again = await producer.publish(name, b"2", seq=3)
                    assert (again.duplicate, again.seq) == (True, 3)
                messages = [await queue.get() for _ in range(4)]
                await messages[0].ack()
                await messages[1].nack(delay=0.0)
                await messages[2].reject(reason="no")
                await messages[3].extend(20.0)
                await messages[3].release()
                found: dict[bytes, int] = {}
                async with queue.consume() as deliveries:
                    while len(found) < 4:
                        async with await deliveries.receive() as message:
                            found[message.body] = message.attempt
                assert found == {b"1": 2, b"3": 1, b"4": 1, b"5": 1}
                assert await queue.poll() is None
                assert [message.body for message in await broker.queue(f"{name}.dead").peek()] == [b"2"]
                assert await broker.queue(f"{name}.dead").purge() == 1
            await broker.delete_queue("made-here-too")
            with pytest.raises(NotFound):
                await broker.publish("made-here-too", b"x")
            names = [info.name for info in await broker.queues()]
            assert "made-here" in names
            assert "made-here-too" not in names
    no_tracebacks(small)


async def test_through_a_follower_while_leaders_change(small: LocalCluster) -> None:
    ledger = Ledger()
    publishing = True
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as direct:
            await direct.declare("flowing")
            leader = await leader_of(direct, "flowing")
        through = small.node((leader + 1) % 3)
        async with (
            haqactor.connect(f"haq://{through.listen}?route=proxy") as broker,
            broker.producer("flowing") as named,
            trio.open_nursery() as consumers,
        ):
            consumers.start_soon(consume_into, broker, "flowing", ledger)
            async with broker.producer("flowing-many") as many, trio.open_nursery() as producers:
                producers.start_soon(publish_single, named, "flowing", "one", ledger, lambda: publishing)
                producers.start_soon(publish_batches, many, "flowing", "many", ledger, lambda: publishing)
                await until(lambda: len(ledger.arrived) > 200)
                small.kill(leader)
                before = len(ledger.confirmed)
                await until(lambda: len(ledger.confirmed) > before + 200)
                await small.restart(leader)
                publishing = False
            await until(lambda: not ledger.missing)
            consumers.cancel_scope.cancel()
            ledger.check()
    async with haqactor.connect(small.url) as direct:
        info = await direct.queue("flowing").info()
        assert (info.next_seq - 1, info.ready, info.leased) == (len(ledger.confirmed), 0, 0)
    no_tracebacks(small)
