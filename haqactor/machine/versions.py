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


def passed_over(probe: Probe) -> bool:
    """Something unknown was met. Never passed over, but by a planted bug."""
    probe.mark("machine.version_unknown")
    return probe.bug("machine.unknown_skipped")


KNOWN: Final = Versions(FIRST, 1)
"""What this release can apply. Who adds a version keeps the rules of the older ones (ADR 18)."""
