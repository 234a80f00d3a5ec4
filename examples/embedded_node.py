"""Three member nodes inside one trio program: a whole cluster without another process.

python examples/embedded_node.py [DIRECTORY [BASE_PORT]]
"""

import sys
import tempfile

import trio

import haqactor


async def main(directory: str, base_port: int) -> None:
    """Start three nodes, publish through the first, receive through the last."""
    addresses = [f"127.0.0.1:{base_port + 10 * number}" for number in range(3)]
    nodes: dict[int, haqactor.Node] = {}
    leave = trio.Event()

    async def member(number: int, task_status: trio.TaskStatus[None]) -> None:
        config = haqactor.NodeConfig(
            data_dir=f"{directory}/n{number}",
            listen=addresses[number],
            bootstrap=addresses,
            log_level="warning",
        )
        async with haqactor.open_node(config) as node:
            nodes[number] = node
            task_status.started()
            await leave.wait()

    async with trio.open_nursery() as nursery:
        for number in range(3):
            await nursery.start(member, number)
        for number in range(3):
            await nodes[number].wait_ready()
        print("three nodes are ready")
        await nodes[0].broker.declare("notes")
        receipt = await nodes[0].broker.publish("notes", b"written through node 0")
        print(f"stored on two nodes at least, at place {receipt.seq}")
        message = await nodes[2].broker.queue("notes").get()
        print(f"read through node 2: {message.body.decode()!r}")
        await message.ack()
        leave.set()


if __name__ == "__main__":
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 7420
    if len(sys.argv) > 1:
        trio.run(main, sys.argv[1], port)
    else:
        with tempfile.TemporaryDirectory() as place:
            trio.run(main, place, port)
