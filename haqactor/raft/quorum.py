"""Counting: what a majority, or both majorities of a joint configuration, have reached.

One rule: pure functions over a configuration; whoever does not count (a suspect, a silent peer) is given as
0 or left out.
"""

from collections.abc import Mapping, Sequence
from enum import Enum

from haqactor.ids import NodeId
from haqactor.raft.membership import Configuration


class Verdict(Enum):
    """How an election stands."""

    WON = "won"
    LOST = "lost"
    OPEN = "open"


def majority(count: int) -> int:
    """The smallest number that is more than half of ``count``."""
    return count // 2 + 1


def _reached(voters: Sequence[NodeId], values: Mapping[NodeId, int]) -> int:
    ordered = sorted([values.get(voter, 0) for voter in voters])
    return ordered[(len(ordered) - 1) // 2]


def reached(configuration: Configuration, values: Mapping[NodeId, int]) -> int:
    """The highest value that a quorum has reached; a voter without one counts as 0 (section 5.3, thesis
    4.3)."""
    value = _reached(configuration.voters, values)
    if configuration.outgoing:
        return min(value, _reached(configuration.outgoing, values))
    return value


def _election(voters: Sequence[NodeId], votes: Mapping[NodeId, bool]) -> Verdict:
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    refused = sum(1 for voter in voters if votes.get(voter) is False)
    needed = majority(len(voters))
    if granted >= needed:
        return Verdict.WON
    if refused > len(voters) - needed:
        return Verdict.LOST
    return Verdict.OPEN


def election(configuration: Configuration, votes: Mapping[NodeId, bool]) -> Verdict:
    """How an election with these answers stands (section 5.2); in a joint configuration both sides must be
    won."""
    verdict = _election(configuration.voters, votes)
    if not configuration.outgoing:
        return verdict
    other = _election(configuration.outgoing, votes)
    if Verdict.LOST in (verdict, other):
        return Verdict.LOST
    return Verdict.WON if verdict is other is Verdict.WON else Verdict.OPEN
