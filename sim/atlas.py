"""Which node may be hurt how much: keeps the faults of a run such that a loss is a bug.

One rule: a fault that takes durable bytes, or the memory of a promise, asks here first. As TigerBeetle's
ClusterFaultAtlas it lets damage through to fewer nodes than a quorum needs, for a whole run; the others may
crash, stand still and be cut off as they like.

Two ways in which a node does not count:

- *lost*: something durable on its disk was damaged. Once it sees it, it must begin again with what is sound,
  and the others give it back what it lost; or, where nobody could (a wiped disk, no identity), refuse by
  name;
- *shaken*: its last block may be torn. It is a suspect until a leader with a majority, without it, cures it,
  or until every other node has answered. So once a node is lost no others are torn beyond what is spared.
"""

from collections.abc import Callable, Sequence

from haqactor.errors import Conflict, DataDamaged, StorageFailed, Unauthorized

LOUD = (DataDamaged, StorageFailed)
"""How a node ends when its disk is damaged, or refuses: by name."""
REFUSED = (Conflict, Unauthorized)
"""How a node ends that comes back with an empty disk, or without its identity: the others do not know it."""

BINDING = ("S2", "S10", "S11", "S12", "S21")
"""What holds even where more was damaged than a majority can spare: nothing is made up."""
BINDING_UNDER_LIES = ("S2",)
"""What holds where disks forget what they promised."""


class Atlas:
    """``names``: the replicas. ``bounded``: False lets everything through (the profile ``beyond``).

    ``lost``: host to what happened to it first; ``wiped``: those that lost everything; ``troubled``: hosts
    whose disk refused something, and how often; ``liars``: whose disk claimed what was not true; ``stopped``:
    hosts that ended loudly, and with what."""

    def __init__(self, names: Sequence[str], *, bounded: bool = True) -> None:
        self.names = tuple(names)
        self.tolerance = (len(self.names) - 1) // 2
        self.bounded = bounded
        self.lost: dict[str, str] = {}
        self.wiped: dict[str, None] = {}
        self.troubled: dict[str, int] = {}
        self.liars: dict[str, None] = {}
        self.stopped: dict[str, str] = {}
        self._shaken: dict[str, None] = {}
        self._armed: dict[str, int] = {}

    @property
    def exceeded(self) -> bool:
        """Did more nodes lose something than a majority can spare?"""
        return len(self.lost) > self.tolerance

    @property
    def stuck(self) -> bool:
        """May a group be unable to go on, though nothing is lost for good? A suspect counts for nobody until
        those who lost nothing are a majority without it."""
        return len({**self.lost, **self._shaken}) > self.tolerance and bool(self.lost)

    def binds(self, invariant: str) -> bool:
        """Does that promise hold, in spite of all that was let through?"""
        if self.liars:
            return invariant in BINDING_UNDER_LIES
        if self.stuck and not self.bounded and invariant.startswith("L"):
            return False
        return not self.exceeded or invariant in BINDING

    @property
    def shaken(self) -> tuple[str, ...]:
        """Hosts whose last block may be torn."""
        return tuple(self._shaken)

    # -- what may happen

    def may_damage(self, name: str, *, wipe: bool = False) -> bool:
        """May durable bytes of this node be damaged? One node always keeps its disk: a cluster that lost all
        of them is another cluster."""
        if wipe and len({**self.wiped, name: None}) >= len(self.names):
            return False
        if not self.bounded or name in self.lost:
            return True
        return len({**self.lost, **self._shaken, name: None}) <= self.tolerance

    def may_tear(self, name: str) -> bool:
        """May what this node was writing be torn?"""
        if not self.bounded or not self.lost or name in self.lost:
            return True
        return len({**self.lost, **self._shaken, name: None}) <= self.tolerance

    # -- what happened

    def damaged(self, name: str, what: str, *, wipe: bool = False) -> None:
        """Something durable was hurt."""
        self.lost.setdefault(name, what)
        if wipe:
            self.wiped[name] = None

    def tore(self, name: str) -> None:
        """Its last block may be torn."""
        self._shaken[name] = None

    def arm(self, name: str) -> None:
        """From now until ``disarm`` a block of it may be torn at any time."""
        self._armed[name] = self._armed.get(name, 0) + 1
        self._shaken[name] = None

    def disarm(self, name: str) -> None:
        """No longer."""
        self._armed[name] = self._armed.get(name, 1) - 1

    def settle(self, sound: Callable[[str], bool]) -> None:
        """Those of which ``sound`` says so are shaken no longer."""
        for name in list(self._shaken):
            if self._armed.get(name, 0) <= 0 and sound(name):
                del self._shaken[name]

    def trouble(self, name: str) -> None:
        """Its disk refuses, or is about to."""
        self.troubled[name] = self.troubled.get(name, 0) + 1

    def lied(self, name: str) -> None:
        """Its disk claimed what is not true."""
        self.liars[name] = None

    # -- what is right

    def excuses(self, name: str, error: BaseException) -> bool:
        """Is this the loud end of a node whose disk was hurt? Noted, if so. Any other end is a bug."""
        loud: tuple[type[BaseException], ...] = ()
        if name in self.troubled:
            loud = (StorageFailed,)
        if name in self.lost or name in self.liars:
            loud = (*LOUD, *REFUSED)  # file by file a disk can lose all it had, and who it was
        if not loud or not all(isinstance(each, loud) for each in leaves(error)):
            return False
        self.stopped[name] = repr(error)
        return True

    def core(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Who works for ever in the liveness phase: of ``wanted`` (empty: all) those that lost nothing, and
        more where they would not be enough. Those that are shaken are cured by a majority of others, or by
        all; those that lost something, but not their disk, by a majority of others."""
        quorum = len(self.names) // 2 + 1
        whole = [name for name in self.names if name not in self.lost]
        firm = [name for name in whole if name not in self._shaken]
        chosen = [name for name in whole if not wanted or name in wanted]
        missing = quorum - len([name for name in chosen if name in firm])
        more = [name for name in firm if name not in chosen]
        if missing > len(more):
            return tuple(whole)
        chosen += more[: max(0, missing)]
        if not self.stuck and not self.liars:
            chosen += [
                name for name in self.lost if name not in self.wiped and (not wanted or name in wanted)
            ]
        return tuple(name for name in self.names if name in chosen)


def leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group, at any depth."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]
