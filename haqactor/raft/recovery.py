"""A replica that may have forgotten what it promised: how a suspect is cured.

One rule: until cured it counts in no quorum of any kind. A *tail-suspect's* last block was cut, and a vote,
or entries that it had acknowledged, may have stood in it; a *damaged* one has lost more than that, and knows
it. Two ways lead back, the second one for tail-suspects only:

- a leader, confirmed after the hello by a round in which the suspect did not count, names its last index;
  once that much is durable here, acknowledgements count again. Votes count again only in terms above all
  that the other voters reported;
- the door: once every other voter has reported its present boot, it may vote for, and campaign with, a log
  at least as up to date as every report, in a term above every reported one. Such a leader is cured by its
  election, its followers when they have stored its log through its no-op.

A damaged replica waits for a leader that others elected, since what it lost is known to have been durable.
Where a majority is damaged, nobody elects one: then somebody has to accept the loss (``open_door``).
"""

from dataclasses import dataclass
from typing import NamedTuple

from haqactor.ids import Index, NodeId, Term


class Report(NamedTuple):
    """What another voter said of itself after this replica's hello."""

    term: Term
    last_index: Index
    last_term: Term
    boot: int


@dataclass(frozen=True, slots=True)
class CureState:
    """For ``NoQuorum(reason="damaged")``: is this replica a suspect, and one that only a leader of others
    cures (``damaged``); whose reports does it wait for, which others are suspects."""

    suspect: bool
    acknowledges: bool
    damaged: bool
    missing: tuple[NodeId, ...]
    suspects: tuple[NodeId, ...]


class Recovery:
    """The suspect's own side. Of each boot of a voter the first report counts: a later one may already name
    the term of the very election that cures."""

    __slots__ = ("acknowledges", "cure_index", "cure_term", "door", "reports", "suspect")

    def __init__(self, suspect: bool, damaged: bool = False) -> None:
        self.suspect = suspect
        self.door = not damaged  # may it vote, as a suspect, once all have reported?
        self.acknowledges = not suspect  # do its acknowledgements count?
        self.reports: dict[NodeId, Report] = {}
        self.cure_term = Term(0)
        self.cure_index = Index(0)

    def report(self, voter: NodeId, report: Report) -> bool:
        """A voter reported. True where this is its first report of that boot."""
        known = self.reports.get(voter)
        if known is not None and known.boot >= report.boot:
            return False
        self.reports[voter] = report
        return True

    def forget(self, voter: NodeId, boot: int) -> None:
        """The voter was seen under ``boot``: an older boot's report says nothing of its log any more."""
        known = self.reports.get(voter)
        if known is not None and known.boot < boot:
            del self.reports[voter]

    def missing(self, others: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
        """The other voters that have not reported in their present boot."""
        return tuple(voter for voter in others if voter not in self.reports)

    def reported_term(self) -> Term:
        """The highest term that any voter reported."""
        return max((report.term for report in self.reports.values()), default=Term(0))

    def may_vote(self, term: Term, last_index: Index, last_term: Term, others: tuple[NodeId, ...]) -> bool:
        """May this replica vote in ``term`` for a log that ends there (its own log and vote are judged
        elsewhere)?"""
        if not self.suspect:
            return True
        if self.missing(others) or term <= self.reported_term():
            return False
        if self.acknowledges:
            return True
        return self.door and all(
            (last_term, last_index) >= (report.last_term, report.last_index)
            for report in self.reports.values()
        )

    def offered_cure(self, term: Term, index: Index) -> None:
        """A confirmed leader of ``term`` had ``index`` as its last one after the hello."""
        if term > self.cure_term:
            self.cure_term, self.cure_index = term, index

    def stored(self, term: Term, matched: Index, noop_index: Index, others: tuple[NodeId, ...]) -> bool:
        """The log agrees with the leader of ``term`` and is durable up to ``matched``. True where
        acknowledgements count from now on."""
        if self.acknowledges:
            return False
        by_round = term == self.cure_term and 0 < self.cure_index <= matched
        by_door = 0 < noop_index <= matched and not self.missing(others) and term > self.reported_term()
        self.acknowledges = by_round or by_door
        return self.acknowledges

    def open_door(self) -> None:
        """Somebody accepts that what this replica lost is lost: from now on it is a tail-suspect."""
        self.door = True

    def cured(self) -> None:
        """Nothing is held against it any more."""
        self.suspect = False
        self.door = True
        self.acknowledges = True
