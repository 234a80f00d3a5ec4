"""The Broker against a cluster that behaves: everything works once."""

import trio

from haqactor.client.broker import Broker
from tests.builders.fake_node import FakeCluster


async def test_publish_consume_settle(cluster: FakeCluster, broker: Broker) -> None:
    queue = await broker.declare("orders", lease=30.0)
    assert queue.created
    for number in range(5):
        receipt = await broker.publish(
            "orders", b"m%d" % number, key="k", headers={"h": number}, message_id=f"id-{number}"
        )
        assert (receipt.queue, receipt.seq, receipt.producer_seq, receipt.duplicate) == (
            "orders",
            number + 1,
            number + 1,
            False,
        )
    bodies: list[object] = []
    with trio.fail_after(5):
        async with queue.consume() as deliveries:
            async for message in deliveries:
                async with message:
                    bodies.append(
                        (message.body, message.key, dict(message.headers), message.id, message.attempt)
                    )
                if len(bodies) == 5:
                    break
    assert bodies == [(b"m%d" % n, "k", {"h": n}, f"id-{n}", 1) for n in range(5)]
    assert all(item.done for item in cluster.named("orders").messages)
