"""Versions of the machine: agreed on in the log before use, kept in snapshots, and never guessed."""

from collections.abc import Callable

import pytest

from haqactor.env import Probe
from haqactor.errors import InvariantViolation, UnknownVersion
from haqactor.ids import Index, Term
from haqactor.machine import commands
from haqactor.machine.commands import Command
from haqactor.machine.directory import DirectoryMachine
from haqactor.machine.machine import GroupMachine
from haqactor.machine.versions import FIRST, KNOWN, Versions
from haqactor.sim.environment import Marks, SimProbe
from haqactor.sim.keyed import keyed

NEWER = Versions(1, 2)
Machine = GroupMachine | DirectoryMachine
Make = Callable[[Probe, Versions], Machine]
BOTH = pytest.mark.parametrize("make", [GroupMachine, DirectoryMachine])


class Replica:
    """A machine and the marks that it made."""

    def __init__(self, make: Make, known: Versions, *bugs: str) -> None:
        self.marks = Marks()
        self.machine = make(SimProbe(self.marks, bugs, keyed(1, "replica")), known)

    def apply(self, *given: Command, version: int = FIRST) -> list[object]:
        index = Index(self.machine.index + 1)
        return self.machine.apply(index, Term(1), commands.encode(9, given, version), 0).replies


def test_what_this_release_knows_is_a_range_from_the_first_on() -> None:
    assert KNOWN.oldest == FIRST <= KNOWN.newest


def test_a_version_is_raised_by_one_and_stays() -> None:
    assert [NEWER.raised(1, 2), NEWER.raised(2, 2), NEWER.raised(2, 1)] == [2, 2, 2]
    with pytest.raises(InvariantViolation, match="version 1 was raised to 3"):
        Versions(1, 3).raised(1, 3)
    with pytest.raises(UnknownVersion, match="start the newer release again"):
        KNOWN.raised(KNOWN.newest, KNOWN.newest + 1)


@BOTH
def test_an_entry_needs_a_version_that_was_agreed_on(make: Make) -> None:
    """Known is not enough. Entries of older versions that were under way still apply."""
    replica = Replica(make, NEWER)
    with pytest.raises(InvariantViolation, match="was not agreed on"):
        replica.apply(version=2)
    assert replica.apply(commands.raise_version(2)) == [True]
    assert replica.apply(commands.raise_version(2)) == [True]
    assert replica.apply(commands.raise_version(2), version=2) == [True]
    assert replica.machine.version == 2
    assert replica.marks.counts == {"machine.version_raised": 1}


@BOTH
def test_an_older_release_stops_where_the_version_is_raised(make: Make) -> None:
    replica = Replica(make, KNOWN)
    newer = KNOWN.newest + 1
    with pytest.raises(UnknownVersion):
        replica.apply(commands.raise_version(newer))
    assert replica.marks.counts == {"machine.version_unknown": 1}
    with pytest.raises(UnknownVersion):
        replica.apply(version=newer)


@BOTH
def test_a_snapshot_holds_the_version_and_an_older_release_refuses_it(make: Make) -> None:
    replica, same = Replica(make, NEWER), Replica(make, NEWER)
    replica.apply(commands.raise_version(2))
    chunks = list(replica.machine.snapshot_chunks())
    same.machine.restore(chunks)
    assert same.machine.version == 2
    assert same.machine.digest() == replica.machine.digest()
    older = Replica(make, KNOWN)
    with pytest.raises(UnknownVersion, match="a snapshot has the machine version 2"):
        older.machine.restore(chunks)
    assert older.marks.counts["machine.version_unknown"] == 1
    fresh = Replica(make, NEWER)
    same.machine.restore(list(fresh.machine.snapshot_chunks()))
    assert same.machine.version == FIRST


@BOTH
def test_who_passes_over_what_it_does_not_know_is_found_by_its_digest(make: Make) -> None:
    """The planted bug: the difference stays, whatever else applies."""
    newer, older = Replica(make, NEWER), Replica(make, KNOWN, "machine.unknown_skipped")
    for replica in (newer, older):
        replica.apply(commands.raise_version(2))
        replica.apply()
    assert (newer.machine.version, older.machine.version) == (2, 1)
    assert newer.machine.digest() != older.machine.digest()
