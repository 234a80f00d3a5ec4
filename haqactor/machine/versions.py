"""By which rules a machine applies entries: versions that grow by one, agreed on in the log before use.

One rule: an entry, or a snapshot, of a version that is not known here is an UnknownVersion, which stops the
node; never a guess, and never passed over.
"""

from typing import Final, NamedTuple

from haqactor.env import Probe
from haqactor.errors import InvariantViolation, UnknownVersion

FIRST: Final = 1
"""The version in which every group begins, in any release."""


class Versions(NamedTuple):
    """What a release can apply, both ends included."""

    oldest: int
    newest: int

    def check(self, version: int, what: str) -> int:
        """The version, if it is known here. Raises UnknownVersion."""
        if not self.oldest <= version <= self.newest:
            raise UnknownVersion(
                f"{what} has the machine version {version}, and this release knows {self.oldest} to "
                f"{self.newest}: start the newer release again (there is no way back once every node ran it)"
            )
        return version

    def raised(self, current: int, to: int) -> int:
        """The version after an entry that raises ``current`` to ``to``; it may have been asked for twice.
        Raises UnknownVersion, and InvariantViolation where a version is left out."""
        if to <= current:
            return current
        if to != current + 1:
            raise InvariantViolation(f"a group of machine version {current} was raised to {to}")
        return self.check(to, "the group from here on")


KNOWN: Final = Versions(FIRST, 1)
"""What this release can apply. Who adds a version keeps the rules of the older ones (ADR 18)."""


class Agreed:
    """A machine's own: ``version``, the newest that its group has agreed on; ``known``: what this release can
    apply."""

    __slots__ = ("_probe", "known", "version")

    def __init__(self, probe: Probe, known: Versions) -> None:
        self._probe = probe
        self.known = known
        self.version = FIRST

    def allow(self, version: int, index: int) -> None:
        """An entry has that version. Raises InvariantViolation where nobody has agreed on it."""
        if version > self.version:
            raise InvariantViolation(f"entry {index} has a version that was not agreed on: {version}")

    def raise_to(self, version: int) -> bool:
        """An entry says so. Raises as ``Versions.raised``. True."""
        raised = self.known.raised(self.version, version)
        if raised != self.version:
            self._probe.mark("machine.version_raised")
            self.version = raised
        return True

    def restore(self, version: int) -> None:
        """A snapshot has that version. Raises UnknownVersion."""
        try:
            self.known.check(version, "a snapshot")
        except UnknownVersion:
            if not self.passes_over():
                raise
        self.version = version

    def passes_over(self) -> bool:
        """Something unknown was met. Never passed over, but by a planted bug."""
        self._probe.mark("machine.version_unknown")
        return self._probe.bug("machine.unknown_skipped")
