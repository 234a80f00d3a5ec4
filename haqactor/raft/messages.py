"""What replicas of one group say to each other. Frozen values; ``group`` and the sender travel beside them.

The two of every entry are tuples: they are made for every batch.

One rule: a message says everything that its receiver needs to judge it alone, for any may come late, twice
or never. Heartbeats are not here: nodes beat, not groups (``haqactor.raft.heartbeat``).
"""

from dataclasses import dataclass
from typing import NamedTuple

from haqactor.entry import Entry
from haqactor.ids import Index, NodeId, Term


@dataclass(frozen=True, slots=True)
class RequestVote:
    """Sections 5.2 and 9.6 of the thesis. ``pre``: would you vote for me in ``term``? ``transfer``: the
    leader asked me to, so do not stick to it. ``boot``: the candidate's boot epoch."""

    term: Term
    candidate: NodeId
    last_index: Index
    last_term: Term
    pre: bool = False
    transfer: bool = False
    boot: int = 0


@dataclass(frozen=True, slots=True)
class Vote:
    """The answer; ``term`` is the asked-for term when granted, else the voter's own. ``boot``: the voter's
    boot epoch."""

    term: Term
    granted: bool
    pre: bool = False
    boot: int = 0


class Append(NamedTuple):
    """Section 5.3. ``entries`` follow ``prev_index``; empty as a probe. ``read_context`` > 0 asks for a
    covering answer."""

    term: Term
    prev_index: Index
    prev_term: Term
    commit: Index
    entries: tuple[Entry, ...] = ()
    read_context: int = 0


class AppendReply(NamedTuple):
    """``matched``: durable here up to (prev_index + entries) of the messages accepted in this term, never
    more (R3). Refused: ``rejected`` repeats the prev_index, ``hint_index``/``hint_term`` say where to look
    next (the follower's last entry with a term not above). ``boot``: the follower's epoch; ``suspect``: it
    counts in no quorum yet."""

    term: Term
    accepted: bool
    matched: Index
    hint_index: Index = Index(0)
    hint_term: Term = Term(0)
    read_context: int = 0
    rejected: Index = Index(0)
    boot: int = 0
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """Section 7. The offer: the state up to ``index``/``index_term`` under ``voters``/``learners``. Live
    entries and state chunks travel by the shells (``SnapshotChunk``); the follower answers with
    AppendReply(matched=index) once its marker is durable."""

    term: Term
    index: Index
    index_term: Term
    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeoutNow:
    """Section 3.10 of the thesis: campaign at once, the leader hands over to you."""

    term: Term


@dataclass(frozen=True, slots=True)
class Hello:
    """A replica's report on its present boot: what it has, and whether it can be counted (tail-suspect cure).
    ``reply``: this answers the Hello of boot ``to_boot`` and asks for none. ``cure_index`` > 0: the sender
    leads ``term``, was confirmed after that Hello without its receiver, and had this last index then."""

    term: Term
    last_index: Index
    last_term: Term
    boot: int
    suspect: bool
    reply: bool = False
    to_boot: int = 0
    cure_index: Index = Index(0)


Message = RequestVote | Vote | Append | AppendReply | InstallSnapshot | TimeoutNow | Hello
