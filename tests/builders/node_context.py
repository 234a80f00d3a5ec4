"""A node's shared ground without a node: for tests of one actor at a time.

One rule: what stands in for the journal keeps what it is handed and says nothing is durable before the test
says so.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger

from haqactor.config import Limits, NodeConfig
from haqactor.entry import Entry
from haqactor.env import Environment
from haqactor.ids import GroupId, Index, NodeId
from haqactor.journal.identity import Identity
from haqactor.journal.journal import Journal
from haqactor.journal.salvage import Damage
from haqactor.journal.statistics import Counters
from haqactor.journal.tail import TailCache
from haqactor.journal.writer import Persist
from haqactor.nodes.context import Context
from haqactor.nodes.leaders import Leaders
from haqactor.nodes.pacing import Pace
from haqactor.nodes.timers import Timers
from tests.builders.memory_environment import memory_environment

CLUSTER = bytes(range(16))


def quiet_log() -> FilteringBoundLogger:
    """A log that nobody reads."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[], wrapper_class=structlog.make_filtering_bound_logger(50)
    )
    return log


def member_nonce(node: int) -> bytes:
    """The nonce of a node's disk."""
    return bytes([node]) * 16


def address_of(node: int) -> str:
    """The clients' address of a node."""
    return f"n{node}:{7000 + 10 * node}"


def member_identity(node: int, size: int = 3) -> Identity:
    """Node ``node`` of a founded cluster."""
    members = tuple((number, address_of(number), member_nonce(number)) for number in range(size))
    return Identity(cluster_id=CLUSTER, node_id=node, nonce=member_nonce(node), members=members, boot=1)


@dataclass
class FakeJournal:
    """Keeps what is submitted; ``entries`` is what ``read`` finds."""

    identity: Identity
    boot: int = 1
    submitted: list[Persist] = field(default_factory=list[Persist])
    entries: dict[tuple[int, int], Entry] = field(default_factory=dict[tuple[int, int], Entry])
    damages: tuple[Damage, ...] = ()
    groups: dict[int, SimpleNamespace] = field(
        default_factory=lambda: defaultdict(lambda: SimpleNamespace(snapshot_index=0))
    )
    counters: Counters = field(default_factory=Counters)

    def submit(self, persist: Persist) -> None:
        self.submitted.append(persist)

    def settle(self) -> None:
        """All that was submitted is durable now."""
        done, self.submitted = self.submitted, []
        for persist in done:
            persist.done()

    async def read(self, group: GroupId, first: Index, last: Index, bytes_max: int) -> tuple[Entry, ...]:
        found = [self.entries.get((group, index)) for index in range(first, last + 1)]
        return tuple(entry for entry in found if entry is not None)

    async def cured(self, group: GroupId) -> None:
        """Nothing to forget."""


def node_context(
    node: int = 0,
    *,
    size: int = 3,
    env: Environment | None = None,
    limits: Limits | None = None,
    boot: int = 1,
    log: Any = None,
) -> tuple[Context, FakeJournal]:
    """The ground of node ``node`` in a cluster of ``size``."""
    env = env or memory_environment()
    journal = FakeJournal(member_identity(node, size), boot)
    context = Context(
        env=env,
        config=NodeConfig(data_dir="data", groups=2, limits=limits or Limits()),
        log=log or quiet_log(),
        journal=cast(Journal, journal),
        tail=TailCache(1 << 20),
        leaders=Leaders({NodeId(number): address_of(number) for number in range(size)}),
        timers=Timers(env.clock),
        pace=Pace(env, (limits or Limits()).catch_up_bytes_s, lambda: journal.counters),
    )
    return context, journal
