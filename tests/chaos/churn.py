"""A program that makes queues, lets messages die in them, and purges or deletes them again.

One rule: what it does is not judged, since it throws messages away; it is there so that declarations,
deletions and dead letters go on while nodes fail.
"""

from collections.abc import Callable
from typing import Final

import trio

import haqactor
from tests.chaos.producers import ENDED, PAUSE_S

QUEUES_MAX: Final = 7
PATIENCE_S: Final = 5.0


class Churn:
    """One program."""

    def __init__(self) -> None:
        self._rounds = 0

    async def run(self, broker: haqactor.Broker, going: Callable[[], bool]) -> None:
        """Until it is over."""
        while going():
            self._rounds += 1
            try:
                await self._round(broker, f"passing-{self._rounds % QUEUES_MAX}")
            except* ENDED:
                raise
            except* haqactor.Error:
                pass  # a node failed; the next round meets what this one left
            await trio.sleep(2 * PAUSE_S)

    async def _round(self, broker: haqactor.Broker, name: str) -> None:
        dead = f"{name}.dead"
        queue = await broker.declare(name, max_attempts=1, dead_letter=dead, lease=1.0, backoff=0.0)
        for body in (b"a", b"b"):
            await broker.publish(name, body)
        async with queue.consume(credit=4) as deliveries:
            with trio.move_on_after(PATIENCE_S):
                await (await deliveries.receive()).nack(reason="chaos")
                await deliveries.receive()
        if self._rounds % 2:
            await broker.delete_queue(name)
        else:
            await queue.purge()
