"""The departments' offices: each publishes its employees' records in order, and waits for every confirm.

One rule: each batch has its number in a named session, so publishing it again after a failure stores nothing
twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

import haqactor
from examples.departments.events import Event

_BATCH: Final = 20
_RETRY_SECONDS: Final = 0.05


def queue_name(department: str) -> str:
    """The queue of a department."""
    return f"departments.{department}"


@dataclass(slots=True)
class Flow:
    """What the producers know. ``confirms``: (department, begun, confirmed) of each batch, in trio's time."""

    published: int = 0
    confirmed: list[str] = field(default_factory=list[str])
    confirms: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    retries: int = 0
    _news: trio.Event = field(default_factory=trio.Event)

    def confirm(self, department: str, chunk: list[Event], begun: float) -> None:
        """A batch was confirmed now."""
        self.confirmed += [event.event for event in chunk]
        self.confirms.append((department, begun, trio.current_time()))
        self._news.set()
        self._news = trio.Event()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds after some batch's confirm."""
        while not condition():
            await self._news.wait()

    def first_confirm_after(self, moment: float, departments: list[str]) -> float | None:
        """When the first batch was confirmed that one of ``departments`` began to publish after
        ``moment``.
        """
        times = [done for name, begun, done in self.confirms if name in departments and begun >= moment]
        return min(times, default=None)


async def publish(
    broker: haqactor.Broker, department: str, events: list[Event], flow: Flow, rate: float
) -> None:
    """Publish the department's events at ``rate`` a second."""
    start = trio.current_time()
    async with broker.producer(f"office-{department}") as producer:
        for at in range(0, len(events), _BATCH):
            await trio.sleep_until(start + at / rate)
            chunk = events[at : at + _BATCH]
            begun = trio.current_time()
            flow.published += len(chunk)
            await _until_confirmed(producer, department, chunk, at + 1, flow)
            flow.confirm(department, chunk, begun)


async def _until_confirmed(
    producer: haqactor.Producer, department: str, chunk: list[Event], seq: int, flow: Flow
) -> None:
    outgoing = [
        haqactor.Outgoing(event.body(), key=event.employee, message_id=event.event) for event in chunk
    ]
    while True:
        try:
            await producer.publish_many(queue_name(department), outgoing, seq=seq)
        except (haqactor.NoQuorum, haqactor.OutcomeUnknown, haqactor.Overloaded, haqactor.ConnectionLost):
            flow.retries += 1
            await trio.sleep(_RETRY_SECONDS)
        else:
            return
