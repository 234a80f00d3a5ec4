"""A look at a cluster once a second: each node's resident memory, each group's leader and term.

One rule: a look that comes late says when it was taken; none is made up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

import haqactor
from haqactor.cli.launcher import LocalCluster

EVERY_S: Final = 1.0
CALM_S: Final = 2.0
Leaders = dict[int, tuple[int, int]]
"""Group to node and term."""


@dataclass(frozen=True, slots=True)
class Sample:
    """``at_s``: since the load began. ``rss``: bytes by node."""

    at_s: float
    rss: tuple[int, ...]
    leaders: Leaders


async def leaders(broker: haqactor.Broker) -> Leaders:
    """As one node knows them."""
    status = await broker.status()
    return {group: (node, term) for group, node, term, _address in status["leaders"]}


async def calm(broker: haqactor.Broker) -> Leaders:
    """The leaders, once they have stayed what they are for ``CALM_S``."""
    found, since = await leaders(broker), trio.current_time()
    while trio.current_time() - since < CALM_S:
        await trio.sleep(CALM_S / 10)
        now = await leaders(broker)
        if now != found:
            found, since = now, trio.current_time()
    return found


async def sample(
    cluster: LocalCluster, broker: haqactor.Broker, samples: list[Sample], look: Callable[[], None]
) -> None:
    """Append one every second until cancelled; ``look`` is called after each."""
    began = trio.current_time()
    while True:
        known = samples[-1].leaders if samples else {}
        with trio.move_on_after(EVERY_S):  # a node that answers late is no reason to miss its memory
            known = await leaders(broker)
        samples.append(Sample(trio.current_time() - began, tuple(cluster.resident_bytes()), known))
        look()
        await trio.sleep_until(began + len(samples) * EVERY_S)
