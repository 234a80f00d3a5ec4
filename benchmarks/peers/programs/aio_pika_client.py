"""RabbitMQ as people use it from Python: aio-pika.

One rule: as its documentation shows it: a channel with publisher confirms, persistent messages, ``await
publish()`` in each of a thousand tasks; one consumer with a prefetch, which acknowledges message by message.
"""

import asyncio
import sys
from importlib import import_module
from typing import Any

from benchmarks.peers.programs.job import Arrivals, Job, Wrong, fail, now, report

aio_pika: Any = import_module("aio_pika")
_QUORUM = {"x-queue-type": "quorum"}


async def publish(job: Job, bodies: list[bytes], channel: Any) -> None:
    """``window`` tasks, each awaiting its own."""
    exchange = channel.default_exchange
    message, persistent = aio_pika.Message, aio_pika.DeliveryMode.PERSISTENT

    async def task(mine: list[bytes]) -> None:
        for body in mine:
            await exchange.publish(message(body, delivery_mode=persistent), job.queue)

    begun = now()
    await asyncio.gather(*(task(bodies[at :: job.window]) for at in range(job.window)))
    report(len(bodies), now() - begun)


async def consume(job: Job, bodies: list[bytes], channel: Any) -> None:
    """Until all are acknowledged; AMQP confirms none, the answer to what follows on the channel is what there
    is."""
    arrivals = Arrivals(bodies)
    await channel.set_qos(prefetch_count=job.credit)
    queue = await channel.declare_queue(job.queue, durable=True, arguments=_QUORUM)
    begun = now()
    async with queue.iterator() as messages:
        async for message in messages:
            arrivals.take(message.body)
            await message.ack()
            if arrivals.complete:
                await channel.declare_queue(job.queue, durable=True, passive=True)
                break
    report(len(bodies), now() - begun, arrivals.duplicates)


async def run(job: Job) -> None:
    """Connect to the first port and do it."""
    bodies = job.load()
    connection = await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{job.ports[0]}/")
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        match job.mode:
            case "publish":
                await publish(job, bodies, channel)
            case "consume":
                await consume(job, bodies, channel)
            case _:
                raise Wrong(f"unknown mode: {job.mode}")


def main() -> None:
    """Exit code 1 where anything is wrong."""
    try:
        asyncio.run(run(Job.parse(sys.argv[1:])))
    except Exception as error:  # whatever it is, the reason goes to the one that started this program
        fail(error)


if __name__ == "__main__":
    main()
