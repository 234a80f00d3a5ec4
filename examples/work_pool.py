"""A pool of workers: jobs are served by several at a time, a failing one comes again, a hopeless one is put
aside.

haq cluster start --nodes 3 --dir ./haq-data
python examples/work_pool.py [URL]
"""

import os
import sys

import trio

import haqactor

JOBS = 40
HOPELESS = 13


async def main(url: str) -> None:
    """Publish the jobs, serve them, show what became of them."""
    done: list[int] = []
    tries: dict[int, int] = {}
    all_done = trio.Event()
    async with haqactor.connect(url) as broker:
        queue = await broker.declare("jobs", max_attempts=3, backoff=0.05, dead_letter="jobs.dead")
        async with broker.producer("work-pool") as producer:
            await producer.publish_many("jobs", [str(number).encode() for number in range(JOBS)])

        async def work(message: haqactor.Message) -> None:
            number = int(message.body)
            tries[number] = tries.get(number, 0) + 1
            if number == HOPELESS or (number % 10 == 0 and message.attempt == 1):
                raise ValueError(f"job {number} failed")  # a nack: it comes again a little later
            done.append(number)
            if len(set(done)) == JOBS - 1:
                all_done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: queue.serve(work, concurrency=8))
            dead = await broker.queue("jobs.dead").get()
            await all_done.wait()
            nursery.cancel_scope.cancel()
        print(f"done: {len(set(done))} of {JOBS} jobs, {sum(tries.values())} tries")
        print(f"put aside after 3 tries: job {int(dead.body)}")
        await dead.ack()
        await broker.delete_queue("jobs")
        await broker.delete_queue("jobs.dead")


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("HAQ_URL", "haq://127.0.0.1:7420")
    trio.run(main, address)
