"""All checkers, in the order of their invariants. To add one is to add its row.

One rule: each run gets fresh ones.
"""

from collections.abc import Callable

from haqactor.sim.checkers.bounds import Bounds
from haqactor.sim.checkers.checker import Checker
from haqactor.sim.checkers.commit_rule import CommitRule
from haqactor.sim.checkers.contracts import QueueContracts
from haqactor.sim.checkers.corruption import NoSilentCorruption
from haqactor.sim.checkers.durability import Durability
from haqactor.sim.checkers.fifo import ProducerOrder
from haqactor.sim.checkers.final_ack import FinalAcknowledgement
from haqactor.sim.checkers.liveness import (
    CaughtUp,
    CoreAgrees,
    Drained,
    LeaderInTime,
    PublishesEnd,
    SpaceReclaimed,
    TermsRest,
    VersionRaised,
)
from haqactor.sim.checkers.log_matching import LogMatching
from haqactor.sim.checkers.membership import ForwardOnly, ViewsAgree
from haqactor.sim.checkers.metadata import LinearizableMetadata
from haqactor.sim.checkers.monotone_views import MonotoneViews
from haqactor.sim.checkers.no_aborted import NoAbortedDelivery
from haqactor.sim.checkers.no_duplicate import NoDuplicate
from haqactor.sim.checkers.no_invention import NothingInvented
from haqactor.sim.checkers.no_loss import NoConfirmedLoss
from haqactor.sim.checkers.one_holder import OneHolder
from haqactor.sim.checkers.one_leader import OneLeader
from haqactor.sim.checkers.persistence import Persistence
from haqactor.sim.checkers.places import UniquePlaces
from haqactor.sim.checkers.redelivery import Redelivery
from haqactor.sim.checkers.snapshots import SnapshotIsReplay
from haqactor.sim.checkers.state_machine import StateMachineSafety

CHECKERS: tuple[Callable[[], Checker], ...] = (
    NoConfirmedLoss,
    NothingInvented,
    NoAbortedDelivery,
    NoDuplicate,
    FinalAcknowledgement,
    Redelivery,
    ProducerOrder,
    OneHolder,
    UniquePlaces,
    OneLeader,
    LogMatching,
    StateMachineSafety,
    Persistence,
    Durability,
    CommitRule,
    LinearizableMetadata,
    MonotoneViews,
    SnapshotIsReplay,
    NoSilentCorruption,
    ForwardOnly,
    Bounds,
    QueueContracts,
    LeaderInTime,
    PublishesEnd,
    Drained,
    CoreAgrees,
    ViewsAgree,
    CaughtUp,
    TermsRest,
    SpaceReclaimed,
    VersionRaised,
)


def checkers() -> list[Checker]:
    """One of each."""
    return [make() for make in CHECKERS]
