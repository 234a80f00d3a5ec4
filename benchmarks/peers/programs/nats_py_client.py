"""JetStream as people use it from Python: nats-py.

One rule: as its documentation shows it: ``await js.publish()`` in each of a thousand tasks; one durable pull
consumer that fetches many and acknowledges message by message.
"""

import asyncio
import sys
from importlib import import_module
from typing import Any

from benchmarks.peers.programs.job import Arrivals, Job, Wrong, fail, now, report

nats: Any = import_module("nats")


async def publish(job: Job, bodies: list[bytes], stream: Any) -> None:
    """``window`` tasks, each awaiting its own."""

    async def task(mine: list[bytes]) -> None:
        for body in mine:
            await stream.publish(job.queue, body)

    begun = now()
    await asyncio.gather(*(task(bodies[at :: job.window]) for at in range(job.window)))
    report(len(bodies), now() - begun)


async def consume(job: Job, bodies: list[bytes], stream: Any) -> None:
    """Until the last one's acknowledgement is confirmed, and so all of them, which were sent before."""
    arrivals = Arrivals(bodies)
    subscription = await stream.pull_subscribe(
        job.queue, durable="c", config=import_module("nats.js.api").ConsumerConfig(max_ack_pending=job.credit)
    )
    begun = now()
    while not arrivals.complete:
        for message in await subscription.fetch(min(job.credit, 1_000), timeout=30):
            arrivals.take(message.data)
            if arrivals.complete:
                await message.ack_sync()
            else:
                await message.ack()
    report(len(bodies), now() - begun, arrivals.duplicates)


async def run(job: Job) -> None:
    """Connect to the first port and do it."""
    bodies = job.load()
    connection = await nats.connect(f"nats://127.0.0.1:{job.ports[0]}")
    try:
        stream = connection.jetstream(publish_async_max_pending=job.window, timeout=30)
        match job.mode:
            case "publish":
                await publish(job, bodies, stream)
            case "consume":
                await consume(job, bodies, stream)
            case _:
                raise Wrong(f"unknown mode: {job.mode}")
    finally:
        await connection.close()


def main() -> None:
    """Exit code 1 where anything is wrong."""
    try:
        asyncio.run(run(Job.parse(sys.argv[1:])))
    except Exception as error:  # whatever it is, the reason goes to the one that started this program
        fail(error)


if __name__ == "__main__":
    main()
