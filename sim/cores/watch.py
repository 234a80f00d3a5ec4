"""What the checkers see: everything that replicas and clients do, as it happens.

One rule: looking changes nothing. A checker is a class with some of the methods of ``Checker``; what it does
not override costs nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from haqactor.entry import Entry
from haqactor.ids import Index
from haqactor.machine.actions import Deliver
from haqactor.machine.commands import Range
from haqactor.machine.effects import Applied
from haqactor.sim.cores.disk import Block
from haqactor.sim.cores.state import Digest

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness
    from haqactor.sim.cores.replica import Replica


class Violation(Exception):
    """``invariant`` (S1, L2, ...) does not hold."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
        self.text = text


class Checker:
    """One invariant, or a few that look at the same things. Raise ``Violation`` from any method."""

    hears: tuple[type[Any], ...] = ()
    """The types of messages that ``sent`` is told of."""

    def __init__(self, harness: "Harness") -> None:
        self.harness = harness

    def started(self, replica: "Replica") -> None:
        """It starts from what is durable; its core is made."""

    def sent(self, replica: "Replica", target: int, message: Any) -> None:
        """A Raft message of one of the types that it ``hears`` leaves a replica."""

    def answered(self, replica: "Replica", term: int) -> None:
        """A leader took in the answer to its beat by somebody who is in ``term``."""

    def role(self, replica: "Replica") -> None:
        """Role, leader or term changed."""

    def commit(self, replica: "Replica") -> None:
        """A leader's commit index rose."""

    def durable(self, replica: "Replica", blocks: Sequence[Block]) -> None:
        """These writes are on the disk now."""

    def applied(self, replica: "Replica", entry: Entry, applied: Applied) -> None:
        """A replica applied an entry."""

    def led(self, replica: "Replica", applied: Applied) -> None:
        """A leader that serves applied an entry with effects."""

    def digest(self, replica: "Replica", index: Index, digest: Digest) -> None:
        """The digest of a replica's machine at ``index``."""

    def installed(self, replica: "Replica", index: Index) -> None:
        """A replica's state is now that of a snapshot."""

    def read(self, replica: "Replica", index: int, known: int) -> None:
        """A read is served at ``index``; ``known`` was committed when it was asked for."""

    def confirmed(self, producer: bytes, first: int, count: int, runs: list[list[int]]) -> None:
        """A producer holds the receipt of its numbers ``first``..."""

    def refused(self, producer: bytes, first: int, error: Exception) -> None:
        """A claim that its producer still waits for got this answer."""

    def served(self, replica: "Replica") -> None:
        """A leader's dispatcher is made: it serves from now on."""

    def chosen(self, replica: "Replica", deliveries: list[Deliver]) -> None:
        """The dispatcher of a leader chose these, in one go."""

    def released(self, replica: "Replica", deliver: Deliver, chosen_ns: int) -> None:
        """A delivery leaves for its consumer; ``chosen_ns``: when it was chosen."""

    def subscribed(
        self, replica: "Replica", key: tuple[bytes, int], kept: dict[int, tuple[int, int]]
    ) -> None:
        """A consumer came (back) and keeps these leases, by sequence."""

    def judged(self, replica: "Replica", key: tuple[bytes, int], acks: Sequence[Range]) -> None:
        """These acknowledgements were accepted, to be proposed."""

    def given_up(self, replica: "Replica", ranges: Sequence[Range]) -> None:
        """These are held by nobody from now on; the command that returns them is on its way."""

    def acknowledged(self, sequences: Sequence[int]) -> None:
        """A consumer was told that its acknowledgements hold."""

    def finished(self) -> None:
        """The run is over: everything has drained, or the time for it is up."""


class Watch:
    """The methods of all checkers, by what they look at."""

    def __init__(self, checkers: Sequence[Checker]) -> None:
        self.checkers = tuple(checkers)

        def those(name: str) -> list[Any]:
            base = getattr(Checker, name)
            return [getattr(each, name) for each in checkers if getattr(type(each), name) is not base]

        self.started = those("started")
        self.sent: dict[type[Any], list[Any]] = {
            kind: [each.sent for each in checkers if kind in each.hears]
            for kind in dict.fromkeys(kind for each in checkers for kind in each.hears)
        }
        self.answered = those("answered")
        self.role = those("role")
        self.commit = those("commit")
        self.durable = those("durable")
        self.applied = those("applied")
        self.led = those("led")
        self.digest = those("digest")
        self.installed = those("installed")
        self.read = those("read")
        self.confirmed = those("confirmed")
        self.refused = those("refused")
        self.served = those("served")
        self.chosen = those("chosen")
        self.released = those("released")
        self.subscribed = those("subscribed")
        self.judged = those("judged")
        self.given_up = those("given_up")
        self.acknowledged = those("acknowledged")
        self.finished = those("finished")
