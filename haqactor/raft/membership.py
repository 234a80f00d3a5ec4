"""Who belongs to a group: the configuration record and its history in the log.

One rule: a configuration takes effect when it is appended, and is rolled back when its entry is truncated
(R8). Voters are fixed when the group is founded; learners and the joint form (``outgoing``) are already
counted right everywhere.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from haqactor.errors import DataDamaged
from haqactor.ids import Index, NodeId

_COUNTS: Final = struct.Struct("<BHHH")
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Configuration:
    """``voters`` decide; ``learners`` only receive. ``outgoing`` is not empty while a change is under way
    (thesis 4.3): then a quorum of both sets is needed."""

    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...] = ()
    outgoing: tuple[NodeId, ...] = ()

    def deciders(self) -> tuple[NodeId, ...]:
        """Everybody whose vote counts, each once, in a fixed order."""
        if not self.outgoing:
            return self.voters
        return tuple(sorted(dict.fromkeys(self.voters + self.outgoing)))

    def members(self) -> tuple[NodeId, ...]:
        """Everybody who receives the log, each once, in a fixed order."""
        if not self.outgoing and not self.learners:
            return self.voters
        return tuple(sorted(dict.fromkeys(self.voters + self.outgoing + self.learners)))

    def encode(self) -> bytes:
        """The header of a CONFIG entry: version u8, three counts u16, then node ids u32."""
        ids = (*self.voters, *self.learners, *self.outgoing)
        counts = _COUNTS.pack(_VERSION, len(self.voters), len(self.learners), len(self.outgoing))
        return counts + struct.pack(f"<{len(ids)}I", *ids)


def decode(header: bytes) -> Configuration:
    """What ``Configuration.encode`` wrote. Raises DataDamaged."""
    if len(header) < _COUNTS.size:
        raise DataDamaged("a configuration entry is too short")
    version, voters, learners, outgoing = _COUNTS.unpack_from(header)
    count = voters + learners + outgoing
    if version != _VERSION or voters == 0 or len(header) != _COUNTS.size + 4 * count:
        raise DataDamaged(
            f"a configuration entry of version {version} and {len(header)} bytes cannot be read"
        )
    ids = tuple(NodeId(node) for node in struct.unpack_from(f"<{count}I", header, _COUNTS.size))
    return Configuration(ids[:voters], ids[voters : voters + learners], ids[voters + learners :])


class Configurations:
    """The configuration at the snapshot and those appended since. ``current``: the one in effect, the last
    appended."""

    __slots__ = ("_history", "current")

    def __init__(
        self, founding: Configuration, at: Index, later: Sequence[tuple[Index, Configuration]] = ()
    ) -> None:
        self._history: list[tuple[Index, Configuration]] = [(at, founding), *later]
        self.current = self._history[-1][1]

    def at(self, index: Index) -> Configuration:
        """The one in effect at ``index``, which must not lie below the snapshot."""
        found = self._history[0][1]
        for since, configuration in self._history:
            if since <= index:
                found = configuration
        return found

    def append(self, index: Index, configuration: Configuration) -> None:
        """A CONFIG entry entered the log."""
        self._history.append((index, configuration))
        self.current = configuration

    def truncate(self, first: Index) -> None:
        """The log was cut from ``first`` on."""
        while len(self._history) > 1 and self._history[-1][0] >= first:
            self._history.pop()
        self.current = self._history[-1][1]

    def compact(self, index: Index) -> None:
        """A snapshot at ``index`` holds the configuration of that place."""
        kept = [(since, configuration) for since, configuration in self._history if since > index]
        self._history = [(index, self.at(index)), *kept]
        self.current = self._history[-1][1]

    def restore(self, configuration: Configuration, index: Index) -> None:
        """Another snapshot is the log's beginning."""
        self._history = [(index, configuration)]
        self.current = configuration
