"""Everybody that a node knows of, except itself.

One rule: the dead stay in the table until they may be forgotten; so their record is the tombstone that keeps
late news from raising them (S10).
"""

from typing import Final

from haqactor.swim.member import Member, Status
from haqactor.swim.suspicion import Suspicion

LIVE: Final = (Status.ALIVE, Status.SUSPECT)


class Record:
    """``since_ns``: when it came to its present status. ``known``: from the founding list or the disk, never
    forgotten. ``heard``: somebody vouched for it since this node started."""

    __slots__ = ("heard", "known", "member", "since_ns", "suspicion")

    def __init__(self, member: Member, since_ns: int, *, known: bool = False, heard: bool = False) -> None:
        self.member = member
        self.since_ns = since_ns
        self.known = known
        self.heard = heard
        self.suspicion: Suspicion | None = None


class Table:
    """Records by key. ``fresh``: keys that came to life since the prober last looked. ``version`` rises with
    every change."""

    __slots__ = ("_live", "_ordered", "_records", "fresh", "version")

    def __init__(self) -> None:
        self._records: dict[bytes, Record] = {}
        self._ordered: tuple[Record, ...] | None = None
        self._live: tuple[Record, ...] | None = None
        self.fresh: dict[bytes, bool] = {}
        self.version = 0

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: bytes) -> Record | None:
        """The record, if there is one."""
        return self._records.get(key)

    def add(self, record: Record) -> None:
        """A member that was not there."""
        self.version += 1
        self._records[record.member.key] = record
        self._ordered = self._live = None
        if record.member.status in LIVE:
            self.fresh[record.member.key] = True

    def change(self, record: Record, member: Member, since_ns: int) -> None:
        """Something else is believed of a member."""
        self.version += 1
        was_live = record.member.status in LIVE
        if member.status != record.member.status:
            record.since_ns = since_ns
        record.member = member
        if was_live != (member.status in LIVE):
            self._live = None
            if not was_live:
                self.fresh[member.key] = True

    def remove(self, key: bytes) -> None:
        """Forget it."""
        self.version += 1
        del self._records[key]
        self._ordered = self._live = None

    def records(self) -> tuple[Record, ...]:
        """All, by key."""
        if self._ordered is None:
            self._ordered = tuple([self._records[key] for key in sorted(self._records)])
        return self._ordered

    def live(self) -> tuple[Record, ...]:
        """The alive and the suspected, by key."""
        if self._live is None:
            self._live = tuple([record for record in self.records() if record.member.status in LIVE])
        return self._live
