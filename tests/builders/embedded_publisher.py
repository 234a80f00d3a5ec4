"""A whole cluster of one that publishes its place as the body, and prints each confirmed one, until it is
killed: ``python -m tests.builders.embedded_publisher DIR QUEUE``.
"""

import sys

import trio

import haqactor


async def publish(directory: str, name: str) -> None:
    """Goes on where the queue ends."""
    async with haqactor.open_broker(directory) as broker:
        queue = await broker.declare(name)
        following = (await queue.info()).next_seq
        while True:
            receipt = await broker.publish(name, b"%d" % following)
            sys.stdout.write(f"{receipt.seq}\n")
            sys.stdout.flush()
            following = receipt.seq + 1


if __name__ == "__main__":
    trio.run(publish, sys.argv[1], sys.argv[2])
