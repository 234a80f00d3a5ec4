"""The invariants of ``cores``, one class for each, or for a few that look at the same things.

One rule: a checker believes no replica; it compares what several of them, their disks and the clients say. A
new one is a subclass of ``watch.Checker``, named in ``ALL``.
"""

from typing import Final

from haqactor.sim.cores.checkers.durability import CommitRule, Durability, Votes
from haqactor.sim.cores.checkers.leases import Leases, Order, Settled
from haqactor.sim.cores.checkers.liveness import Deposed, Disruption
from haqactor.sim.cores.checkers.logs import Elections, LogMatching, StateMachine
from haqactor.sim.cores.checkers.messages import Confirmed, Dedup, Reads
from haqactor.sim.cores.watch import Checker

ALL: Final[tuple[type[Checker], ...]] = (
    Elections,
    LogMatching,
    StateMachine,
    Votes,
    Durability,
    CommitRule,
    Confirmed,
    Dedup,
    Reads,
    Leases,
    Settled,
    Order,
    Deposed,
    Disruption,
)
