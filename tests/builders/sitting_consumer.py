"""A consumer that begins with one message, says so, and sits on it:
``python -m tests.builders.sitting_consumer URL QUEUE``.
"""

import sys

import trio

import haqactor


async def sit(url: str, name: str) -> None:
    """Until it is killed."""
    async with haqactor.connect(url) as broker, broker.queue(name).consume() as deliveries:
        async with await deliveries.receive() as message:
            sys.stdout.write(f"{message.body.decode()}\n")
            sys.stdout.flush()
            await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(sit, sys.argv[1], sys.argv[2])
