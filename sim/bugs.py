"""The planted bugs: what the simulators must find to be worth anything.

One rule: a bug is one switch in the source, ``probe.bug(name)``, inert in production; every switch has a row
here and every row a switch. Ids are those of the design's table of planted bugs; ``C`` and ``J``
rows are ours.
"""

from typing import Final, NamedTuple


class Bug(NamedTuple):
    """``invariants``: those that may find it. ``fault``: what has to happen for it to show. ``profile``: of
    the core simulator, where it is hunted; empty: the cores do not have it.
    ``everywhere``: on all replicas alike; else on every other one."""

    id: str
    name: str
    what: str
    invariants: tuple[str, ...]
    fault: str
    profile: str = "swarm"
    everywhere: bool = True


_ROWS: Final = (
    Bug(
        "M01",
        "raft.vote_before_durable",
        "a vote is told before it is on the disk",
        ("S13", "S10"),
        "any election",
    ),
    Bug(
        "C01",
        "raft.campaign_before_durable",
        "a candidate counts its own vote before it is on the disk",
        ("S13", "S10"),
        "any election",
    ),
    Bug(
        "M02",
        "raft.vote_without_log_check",
        "votes for logs that are behind its own",
        ("S12", "S15", "S1", "crash"),
        "partition, a stale node returns",
    ),
    Bug(
        "M03",
        "raft.vote_twice",
        "votes for everybody who asks in a term",
        ("S13", "S10"),
        "two candidates in a term",
    ),
    Bug(
        "M04",
        "raft.commit_old_term",
        "commits entries of older terms by counting",
        ("S15", "S12"),
        "leaders that change",
    ),
    Bug("M06", "raft.ack_before_durable", "a follower acknowledges before its sync", ("S14", "S1"), "none"),
    Bug(
        "C02",
        "raft.count_own_unwritten",
        "a leader counts its own log before its sync",
        ("S15", "S12", "S1"),
        "a slow disk at the leader",
    ),
    Bug(
        "C04",
        "raft.commit_unmatched",
        "a follower believes the commit index beyond what it has compared",
        ("S12", "S15", "L1", "L4", "crash"),
        "divergent logs",
    ),
    Bug(
        "M16",
        "raft.conflict_not_cut",
        "entries that conflict with the leader's stay",
        ("S11", "S12", "S15", "crash"),
        "leader change with divergent logs",
    ),
    Bug(
        "M17",
        "raft.cut_behind_match",
        "the log is cut behind a late Append that matches",
        ("S12", "S15", "S1", "S14", "crash"),
        "reordered, repeated messages",
    ),
    Bug(
        "M21",
        "raft.no_step_down",
        "a leader ignores a higher term in an answer",
        ("L1", "L2", "L3", "L4", "L6", "L7", "S5", "S8", "S10", "S18"),
        "an old leader that its successor cannot reach",
        "partition",
    ),
    Bug("M22", "raft.no_noop", "a term begins without a no-op", ("L1", "L2"), "none"),
    Bug(
        "M23",
        "raft.no_pre_vote",
        "an isolated node raises its term again and again",
        ("L7",),
        "one node isolated",
    ),
    Bug(
        "M24",
        "raft.read_without_round",
        "reads are served without asking a quorum",
        ("S18",),
        "the old leader is cut off",
    ),
    Bug(
        "C05",
        "raft.no_check_quorum",
        "a leader that hears nobody leads on",
        ("L1", "L2", "L3", "L7"),
        "one-way partition",
    ),
    Bug(
        "M26",
        "raft.fixed_election_wait",
        "all wait equally long before they campaign",
        ("L1", "L7"),
        "equal links, the leader crashes",
    ),
    Bug(
        "M29",
        "raft.snapshot_off_by_one",
        "an installed snapshot counts for one entry more",
        ("S12", "S19", "crash"),
        "a follower that is behind",
    ),
    Bug(
        "M32",
        "raft.install_older",
        "a late snapshot overwrites what is newer",
        ("S12", "S19", "crash"),
        "a delayed snapshot",
    ),
    Bug(
        "M33", "raft.commit_alone", "a leader commits all it has with the first answer", ("S15", "S1"), "none"
    ),
    Bug(
        "C06",
        "raft.suspect_counts",
        "a replica that may have forgotten what it promised counts at once",
        ("S13", "S15", "S12", "S1", "S10", "crash"),
        "durable bytes are lost",
    ),
    Bug("M41", "machine.no_dedup", "a retry is stored again", ("S4",), "a lost reply"),
    Bug(
        "M27",
        "machine.snapshot_without_windows",
        "snapshots lack the producers' windows",
        ("S12", "S19", "S4", "L4"),
        "snapshot and restart",
    ),
    Bug(
        "C07",
        "machine.snapshot_not_frozen",
        "a snapshot mixes the states of several indexes",
        ("S12", "S19", "L4", "crash"),
        "changes while a snapshot is read",
    ),
    Bug(
        "M46",
        "machine.rejects_unordered",
        "what dies together is buried in another order on some replicas",
        ("S12", "L4"),
        "none",
        everywhere=False,
    ),
    Bug(
        "M35",
        "machine.stale_lease_acks",
        "an acknowledgement under an old lease counts for a new one",
        ("S8", "S5"),
        "redelivery, late acknowledgement",
    ),
    Bug(
        "M44",
        "machine.redelivered_last",
        "what comes back is delivered after everything else",
        ("S7",),
        "a consumer crashes",
    ),
    Bug(
        "M34",
        "machine.acked_before_commit",
        "the leader takes an acknowledged message out before it is committed",
        ("S12", "L4", "crash"),
        "none",
    ),
    Bug(
        "C08",
        "machine.returned_before_commit",
        "what comes back is delivered before its return is in the log",
        ("S8",),
        "a consumer crashes",
    ),
    Bug(
        "C09",
        "machine.opens_at_once",
        "a new leader does not wait for those who hold leases",
        ("S8",),
        "leader change",
    ),
    Bug(
        "C10",
        "machine.claim_stays_ready",
        "what a consumer claims may be ready for others, too",
        ("S8",),
        "leader change while a nacked message waits",
    ),
    Bug(
        "M07",
        "journal.done_before_sync",
        "a write is reported before its sync",
        ("S14", "S1"),
        "power loss",
        "",
    ),
    Bug(
        "M11",
        "journal.cut_without_suspicion",
        "a torn tail is cut, but its replicas are not marked as suspects",
        ("S13", "S1", "S15"),
        "a crash that tears the last block",
        "",
    ),
    Bug(
        "J01",
        "journal.unlink_first",
        "a segment goes before what replaces it is durable",
        ("S1",),
        "crash",
        "",
    ),
)

BUGS: Final[dict[str, Bug]] = {bug.name: bug for bug in _ROWS}
"""By the name of the switch."""
