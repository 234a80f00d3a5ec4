"""What a node does about damage on its own disk.

One rule: where other nodes hold the same, it opens its directory again with what is sound, and asks them for
the rest; where it holds the only copy it refuses, and says what can be done. A disk that goes on rotting
ends the node for good.
"""

from collections import deque
from typing import Final

from structlog.typing import FilteringBoundLogger

from haqactor.env import Clock
from haqactor.errors import DataDamaged
from haqactor.journal.identity import Identity
from haqactor.journal.salvage import Damage

REPAIRS_MAX: Final = 5
PERIOD_NS: Final = 600_000_000_000
"""More repairs than that in ten minutes, and the disk is not fit to hold anything."""


class Refused(DataDamaged):
    """The directory cannot be opened, and beginning again would change nothing."""


class Repairs:
    """Of one node. ``distrust``: the directory was damaged when it was last in use; the next start reads
    every byte of it."""

    def __init__(self, clock: Clock, log: FilteringBoundLogger, directory: str) -> None:
        self._clock = clock
        self._log = log
        self._directory = directory
        self._alone: bool | None = None  # None: the directory does not say
        self._begun: deque[int] = deque()
        self.distrust = False

    def allowed(self, identity: Identity) -> bool:
        """Do others hold what this directory holds? Not in a cluster of one, nor in a directory that was
        never founded."""
        self._alone = len(identity.members) <= 1
        return not self._alone

    def again(self, error: DataDamaged, identity: Identity) -> None:
        """Damage was met while the node served: it is to begin again, with a repair. ``identity``: as it is
        by now; the cluster may have been founded since the start. Raises DataDamaged where that is no use."""
        if not self.allowed(identity):
            raise Refused(str(self.refused(error))) from error
        now = self._clock.monotonic_ns()
        while self._begun and now - self._begun[0] > PERIOD_NS:
            self._begun.popleft()
        if len(self._begun) >= REPAIRS_MAX:
            raise Refused(
                f"{error}. This is the {len(self._begun) + 1}th damage within {PERIOD_NS // 60_000_000_000} "
                "minutes: replace the disk"
            ) from error
        self._begun.append(now)
        self.distrust = True
        self._log.error("damage found; the node begins again and repairs it", reason=str(error))

    def refused(self, error: DataDamaged) -> DataDamaged:
        """The same error with the ways out, where this is the only copy."""
        folder = self._directory
        if self._alone is None:
            return DataDamaged(
                f"{error}. {folder} does not say any more whose it is, and nothing was changed. Restore a "
                "backup of it; or, where other nodes hold the same, replace this node by one with an empty "
                "directory"
            )
        if not self._alone:
            return error
        return DataDamaged(
            f"{error}. No other node holds a copy, so nothing was changed. Restore a backup of {folder}; "
            f"or see with `haq group recover --data-dir {folder}` what is damaged, keep a copy of it all, "
            "and give that up with --accept-loss"
        )

    def opened(self, damages: tuple[Damage, ...]) -> None:
        """The directory is open; tell what was found."""
        self.distrust = False
        for damage in damages:
            groups = "any" if damage.groups is None else list(damage.groups)
            self._log.warning("damaged, and put aside", what=damage.what, groups=groups)
