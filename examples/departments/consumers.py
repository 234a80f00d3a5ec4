"""The departments' registries: each keeps its department's state in memory, fed by its queue.

One rule: a message is acknowledged only after the state holds it.
"""

from collections import Counter
from dataclasses import dataclass, field

import haqactor
from examples.departments.events import DEPARTMENTS, parse
from examples.departments.producers import queue_name
from examples.departments.state import Department


@dataclass(slots=True)
class Registry:
    """What the consumers know. ``duplicates_stored``: events found under two places of a queue; a redelivery
    has the
    same place and is none. ``acknowledged``: messages whose acknowledgement was confirmed."""

    departments: dict[str, Department] = field(
        default_factory=lambda: {name: Department() for name in DEPARTMENTS}
    )
    delivered: int = 0
    redelivered: int = 0
    duplicates_stored: int = 0
    acknowledged: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])


async def consume(broker: haqactor.Broker, name: str, registry: Registry) -> None:
    """Keep the department's state up to date until cancelled."""
    department = registry.departments[name]
    async with broker.queue(queue_name(name)).consume_batches() as batches:
        async for batch in batches:
            for message in batch.messages:
                registry.delivered += 1
                event = parse(message.body)
                if not department.apply(event, message.seq):
                    registry.redelivered += 1
                    if department.seen[event.event] != message.seq:
                        registry.duplicates_stored += 1
            try:
                await batch.ack()
            except haqactor.Error as error:  # it stays unacknowledged, so it will come again
                registry.refused[error.code] += 1
            else:
                registry.acknowledged += len(batch.messages)
