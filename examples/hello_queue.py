"""A queue in one file: an embedded cluster of one, a message in, a message out.

python examples/hello_queue.py [DIRECTORY]
"""

import sys
import tempfile

import trio

import haqactor


async def main(directory: str) -> None:
    """Publish three greetings, receive and acknowledge them."""
    async with haqactor.open_broker(directory) as broker:
        queue = await broker.declare("greetings")
        for name in ("Ada", "Grace", "Radia"):
            receipt = await broker.publish("greetings", f"hello {name}".encode())
            print(f"stored at place {receipt.seq}, safely on the disk")
        async with queue.consume() as deliveries:
            for _ in range(3):
                message = await deliveries.receive()
                async with message:  # a clean exit acknowledges, an exception gives the message back
                    print(f"received {message.body.decode()!r}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        trio.run(main, sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as place:
            trio.run(main, place)
