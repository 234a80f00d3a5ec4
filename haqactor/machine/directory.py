"""The machine of group 0: nodes, groups, which queue is where, and the epochs of named producers.

One rule: the directory decides and never acts. The owner group's leader follows its own node's copy
(``wanted``) and makes its group's machine agree; a queue exists where that has applied.

Every change has a number, ``index << 16 | ordinal`` within the entry; a queue's uid is the number of its
creation, so uids are never reused. Rows are immutable, so a snapshot is a copy of a few lists.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from haqactor.config import QueueConfig, check_name
from haqactor.env import Buffer, NullProbe, Probe
from haqactor.errors import (
    Conflict,
    DataDamaged,
    Error,
    InvalidArgument,
    InvariantViolation,
    NoQuorum,
    NotFound,
    Overloaded,
    UnknownVersion,
)
from haqactor.ids import Index, Term
from haqactor.machine import placement, snapshot
from haqactor.machine.commands import Command, Op, decode, follow_directory
from haqactor.machine.effects import Applied, DirectoryChanged, Effect, GroupCreated, NodeRegistered
from haqactor.machine.epochs import Epochs
from haqactor.machine.machine import GroupMachine
from haqactor.machine.versions import KNOWN, Agreed, Versions

_DEPARTED_MAX: Final = 1024
_ORDINALS: Final = 1 << 16
_ENSURES_MAX: Final = 500
_LATER: Final[dict[str, Any]] = {"max_bytes": 0}
"""Settings that came after the first, and their defaults: a queue has one once it was given another value, so
that older entries lead to the same state and the same replies as ever."""
_ROWS_MAX: Final = 500
_NULL: Final = NullProbe()
_ROW_KINDS: Final[dict[str, tuple[type[Any], ...]]] = {
    "changes": (int, int),
    "nodes": (int, str, int),
    "groups": (int, int, list),
    "queues": (str, int, int, int, dict, int),
    "epochs": (str, int, int),
}


class QueueRow(NamedTuple):
    """A queue. ``changed``: the number of its last change."""

    name: str
    uid: int
    group: int
    version: int
    settings: dict[str, Any]
    changed: int


class NodeRow(NamedTuple):
    """A node's clients' address and boot epoch."""

    address: str
    boot: int


class GroupRow(NamedTuple):
    """A group beside group 0."""

    uid: int
    replicas: tuple[int, ...]


class DirectoryMachine:
    """``nodes``, ``groups`` and ``queues`` (by name) are read only for others; ``known``: as in
    ``GroupMachine``."""

    def __init__(self, probe: Probe = _NULL, known: Versions = KNOWN) -> None:
        self._agreed = Agreed(probe, known)
        self.index = Index(0)
        self.term = Term(0)
        self.time_ns = 0
        self.nodes: dict[int, NodeRow] = {}
        self.groups: dict[int, GroupRow] = {}
        self.queues: dict[str, QueueRow] = {}
        self.epochs = Epochs()
        self._by_group: dict[int, OrderedDict[int, str]] = {}
        self._last_change: dict[int, int] = {}
        self._sources: dict[str, dict[str, bool]] = {}
        self._ordinal = 0
        self.departed: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Names deleted lately: where they were, (group, uid). A hint for those who ask, no part of the
        state."""
        self._chain = b""  #: of all commands and their replies so far

    @property
    def applied(self) -> int:
        """No change up to this number is unknown here: a uid not above it that is not listed is gone."""
        return self.index * _ORDINALS + _ORDINALS - 1

    def apply(self, index: Index, term: Term, header: Buffer, body_bytes: int) -> Applied:
        """As ``GroupMachine.apply``."""
        if index <= self.index or term < self.term:
            raise InvariantViolation(f"entry {index} (term {term}) behind {self.index} (term {self.term})")
        self.index, self.term, self._ordinal = index, term, 0
        applied = Applied(index, term)
        if not len(header):
            return applied
        try:
            self._apply(header, applied)
        except UnknownVersion:
            if not self._agreed.passes_over():
                raise
        except snapshot.MALFORMED as error:
            raise InvariantViolation(f"entry {index} cannot be applied: {error!r:.80}") from error
        return applied

    @property
    def version(self) -> int:
        """As ``GroupMachine.version``."""
        return self._agreed.version

    def _apply(self, header: Buffer, applied: Applied) -> None:
        version, time_ns, commands = decode(header, self._agreed.known)
        self._agreed.allow(version, applied.index)
        self.time_ns = max(self.time_ns, time_ns)
        for command in commands:
            reply = self._one(command, applied.effects)
            applied.replies.append(reply)
            told = reply.code if isinstance(reply, Error) else reply
            self._chain = blake2b(
                self._chain + snapshot.chunk([applied.index, command, told]), digest_size=16
            ).digest()

    def _one(self, command: Command, effects: list[Effect]) -> Any:
        op = command[0]
        try:
            if op == Op.DECLARE:
                return self._declare(command[1], command[2], effects)
            if op == Op.DELETE:
                return self._delete(command[1], command[2], effects)
            if op == Op.OPEN_PRODUCER:
                return self._open_producer(command[1])
            if op == Op.REGISTER_NODE:
                return self._register_node(command[1], command[2], command[3], effects)
            if op == Op.CREATE_GROUPS:
                return self._create_groups(command[1], effects)
            if op == Op.RAISE_VERSION:
                return self._agreed.raise_to(command[1])
        except (InvariantViolation, UnknownVersion):
            raise
        except Error as error:
            return error
        raise InvariantViolation(f"a command of another kind of group: {command!r:.80}")

    # -- commands --

    def _declare(self, name: str, given: dict[str, Any], effects: list[Effect]) -> dict[str, Any]:
        check_name(name)
        if not self.groups:
            raise NoQuorum("the cluster has no groups yet", reason="starting")
        if self._ordinal + 2 > _ORDINALS:
            raise Overloaded("too many declarations at once")
        known = self.queues.get(name)
        settings = _settings(name, known.settings if known else _defaults(name), given)
        dead_letter = settings["dead_letter"]
        also: list[list[int]] = []
        group = known.group if known else -1
        if dead_letter is not None:
            group, also = self._with_dead_letter(name, dead_letter, known, effects)
        elif known is None:
            group = self._place(name)
        if known is not None and known.settings == settings:
            return _declared(known, {}, False, also)
        if known is None:
            change = self._number()
            row = QueueRow(name, change, group, 1, settings, change)
            changes: dict[str, list[Any]] = {}
        else:
            row = known._replace(version=known.version + 1, settings=settings, changed=self._number())
            changes = {
                key: [known.settings.get(key, _LATER.get(key)), value]
                for key, value in settings.items()
                if value != known.settings.get(key, _LATER.get(key))
            }
        self._store(row, effects)
        return _declared(row, changes, known is None, also)

    def _with_dead_letter(
        self, name: str, dead_letter: str, known: QueueRow | None, effects: list[Effect]
    ) -> tuple[int, list[list[int]]]:
        """The group for both, the dead-letter queue created if it does not exist."""
        target = self.queues.get(dead_letter)
        if target is not None:
            if known is not None and known.group != target.group:
                raise Conflict(
                    f"{name!r} (group {known.group}) and {dead_letter!r} (group {target.group}) exist: "
                    "dead-lettering across groups is not possible yet: name a new dead-letter queue"
                )
            return target.group, []
        group = known.group if known is not None else self._place(name)
        change = self._number()
        settings = _defaults(dead_letter)
        self._store(QueueRow(dead_letter, change, group, 1, settings, change), effects)
        return group, [[change, group, 1]]

    def _delete(self, name: str, uid: int, effects: list[Effect]) -> dict[str, Any]:
        """A copy of a deletion that comes late finds its incarnation gone, and leaves the next one alone."""
        row = self.queues.get(name)
        if row is None or uid not in (0, row.uid):
            raise NotFound(f"there is no queue {name!r}")
        sources = [source for source in self._sources.get(name, {}) if source != name]
        if sources:
            raise Conflict(
                f"queue {name!r} is the dead-letter queue of {', '.join(sorted(sources))}; "
                "change or delete that first"
            )
        if self._ordinal + 1 > _ORDINALS:
            raise Overloaded("too many deletions at once")
        change = self._number()
        self._unlink(row)
        del self.queues[name]
        self.departed[name] = row.group, row.uid
        self.departed.move_to_end(name)
        if len(self.departed) > _DEPARTED_MAX:
            self.departed.popitem(last=False)
        self._last_change[row.group] = change
        effects.append(DirectoryChanged(row.group))
        return {"uid": row.uid, "group": row.group}

    def _open_producer(self, name: str) -> list[Any]:
        check_name(name, "producer")
        return list(self.epochs.open(name, self.index))

    def _register_node(self, node: int, address: str, boot: int, effects: list[Effect]) -> bool:
        known = self.nodes.get(node)
        if known is None or boot > known.boot or (boot == known.boot and address != known.address):
            self.nodes[node] = NodeRow(address, boot)
            effects.append(NodeRegistered(node, address, boot))
        return True

    def _create_groups(self, groups: list[list[Any]], effects: list[Effect]) -> list[list[Any]]:
        rows: list[list[Any]] = []
        for group, replicas in groups:
            if group not in self.groups:
                if self._ordinal + 1 > _ORDINALS:
                    raise Overloaded("too many groups at once")
                self.groups[group] = GroupRow(self._number(), tuple(replicas))
                effects.append(GroupCreated(group, self.groups[group].uid, self.groups[group].replicas))
            rows.append([group, self.groups[group].uid, list(self.groups[group].replicas)])
        return rows

    def _number(self) -> int:
        number = self.index * _ORDINALS + self._ordinal
        self._ordinal += 1
        return number

    def _place(self, name: str) -> int:
        held = {group: (row.uid, len(self._by_group.get(group, ()))) for group, row in self.groups.items()}
        return placement.choose(name, held)

    def _store(self, row: QueueRow, effects: list[Effect]) -> None:
        known = self.queues.get(row.name)
        if known is not None:
            self._unlink(known)
        self.queues[row.name] = row
        self._link(row)
        self._last_change[row.group] = row.changed
        effects.append(DirectoryChanged(row.group))

    def _link(self, row: QueueRow) -> None:
        self._by_group.setdefault(row.group, OrderedDict())[row.uid] = row.name
        if row.settings["dead_letter"] is not None:
            self._sources.setdefault(row.settings["dead_letter"], {})[row.name] = True

    def _unlink(self, row: QueueRow) -> None:
        del self._by_group[row.group][row.uid]
        sources = self._sources.get(row.settings["dead_letter"], {})
        sources.pop(row.name, None)
        if not sources:
            self._sources.pop(row.settings["dead_letter"], None)

    # -- views --

    def resolve(self, name: str) -> list[Any] | None:
        """``[uid, group, version, settings]``."""
        row = self.queues.get(name)
        return [row.uid, row.group, row.version, row.settings] if row is not None else None

    def queue_rows(self) -> list[list[Any]]:
        """``[name, uid, group, version, settings]``, by name."""
        return [
            [row.name, row.uid, row.group, row.version, row.settings]
            for _name, row in sorted(self.queues.items())
        ]

    def group_rows(self) -> list[tuple[int, tuple[int, ...]]]:
        """``(group, replicas)``, by group."""
        return [(group, row.replicas) for group, row in sorted(self.groups.items())]

    def lists(self, uid: int, group: int) -> bool:
        """Does this queue exist, in this group?"""
        return uid in self._by_group.get(group, ())

    def last_change(self, group: int) -> int:
        """The number of the last change that concerns a group."""
        return self._last_change.get(group, 0)

    def changed_since(self, group: int, change: int) -> list[QueueRow]:
        """The group's queues that were created or changed above ``change``, in order."""
        found: list[QueueRow] = []
        for name in reversed(self._by_group.get(group, OrderedDict()).values()):
            row = self.queues[name]
            if row.changed <= change:
                break
            found.append(row)
        found.reverse()
        return found

    def live_entries(self) -> list[tuple[int, int]]:
        """None: the directory has no bodies."""
        return []

    def digest(self) -> bytes:
        """As ``GroupMachine.digest``."""
        counts = [
            self.version,
            self.index,
            self.time_ns,
            len(self.nodes),
            len(self.groups),
            len(self.queues),
            len(self.epochs),
        ]
        return blake2b(self._chain + snapshot.chunk(counts), digest_size=16).digest()

    # -- snapshots --

    def snapshot_chunks(self) -> Iterator[bytes]:
        """As ``GroupMachine.snapshot_chunks``; any number at once."""
        return (snapshot.chunk(row) for row in [*self._rows(), ["end"]])

    def _rows(self) -> list[list[Any]]:
        rows: list[list[Any]] = [
            ["directory", self.version, self.index, self.term, self.time_ns, self._chain]
        ]
        rows.append(["changes", [list(item) for item in sorted(self._last_change.items())]])
        rows.append(["nodes", [[node, *row] for node, row in sorted(self.nodes.items())]])
        rows.append(
            ["groups", [[group, row.uid, list(row.replicas)] for group, row in sorted(self.groups.items())]]
        )
        queues = sorted(self.queues.values(), key=lambda row: row.changed)
        for at in range(0, len(queues), _ROWS_MAX):
            rows.append(["queues", [list(row) for row in queues[at : at + _ROWS_MAX]]])
        epochs = self.epochs.rows()
        for at in range(0, len(epochs), _ROWS_MAX):
            rows.append(["epochs", epochs[at : at + _ROWS_MAX]])
        return rows

    def restore(self, chunks: Iterable[bytes]) -> None:
        """As ``GroupMachine.restore``."""
        for table in (
            self.nodes,
            self.groups,
            self.queues,
            self._by_group,
            self._last_change,
            self._sources,
        ):
            table.clear()
        self.epochs.clear()
        kind = ""
        try:
            for row in snapshot.read(chunks):
                kind = row[0]
                if kind == "directory":
                    snapshot.check(row[2:], int, int, int, bytes)
                    self._agreed.restore(row[1])
                    self.index, self.term, self.time_ns, self._chain = row[2:]
                elif kind != "end":
                    self._restore_rows(kind, row[1])
        except snapshot.MALFORMED as error:
            raise DataDamaged(f"a snapshot holds what no release writes: {error}") from error
        if kind != "end":
            raise DataDamaged("a snapshot has no end")

    def _restore_rows(self, kind: str, rows: list[list[Any]]) -> None:
        if kind in _ROW_KINDS:
            for row in rows:
                snapshot.check(row, *_ROW_KINDS[kind])
        if kind == "changes":
            self._last_change.update((group, change) for group, change in rows)
        elif kind == "nodes":
            self.nodes.update((node, NodeRow(address, boot)) for node, address, boot in rows)
        elif kind == "groups":
            for group, uid, replicas in rows:
                snapshot.check(replicas, *[int] * len(replicas))
                self.groups[group] = GroupRow(uid, tuple(replicas))
        elif kind == "queues":
            for item in rows:
                queue = QueueRow._make(item)
                self.queues[queue.name] = queue
                self._link(queue)
        elif kind == "epochs":
            self.epochs.restore(rows)
        else:
            raise InvariantViolation(f"a snapshot holds {kind!r}, which this release does not know")


def wanted(directory: DirectoryMachine, group: int, machine: GroupMachine) -> Command | None:
    """What a group's leader proposes to make its machine agree with its node's copy of the directory; None if
    nothing is to do. At most 500 queues at once: call again once it has applied. A copy that lags behind the
    machine wants nothing."""
    last = directory.last_change(group)
    if last <= machine.dir_index:
        return None
    rows = directory.changed_since(group, machine.dir_index)
    drops = [uid for uid in machine.queues if not directory.lists(uid, group)]
    upto = last
    if len(rows) > _ENSURES_MAX:
        rows = rows[:_ENSURES_MAX]
        upto = rows[-1].changed
    return follow_directory(upto, drops, [[row.uid, row.version, row.name, row.settings] for row in rows])


def _defaults(name: str) -> dict[str, Any]:
    """The settings of a new queue to which nothing was given."""
    return {key: value for key, value in QueueConfig(name).settings().items() if key not in _LATER}


def _settings(name: str, known: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The settings that result; integers and strings only, in the fixed order. Raises InvalidArgument."""
    if not isinstance(given, dict):
        raise InvalidArgument("settings must be a map")
    for key, value in given.items():
        if key not in known and key not in _LATER:
            raise InvalidArgument(f"{key!r} is no setting of a queue; known are {', '.join(known)}")
        if key == "dead_letter":
            if value is not None and type(value) is not str:
                raise InvalidArgument(f"dead_letter is {value!r:.80}, but must be a name or nothing")
        elif type(value) is not int or not 0 <= value < 1 << 62:
            raise InvalidArgument(f"{key} is {value!r:.80}, but must be a whole number")
    settings = {key: given.get(key, value) for key, value in known.items()}
    if "dead_letter" in given:
        settings["dead_letter"] = given["dead_letter"]
    for key, default in _LATER.items():
        if key in given and (key in known or given[key] != default):
            settings[key] = given[key]
    QueueConfig.from_settings(name, settings)
    return settings


def _declared(
    row: QueueRow, changes: dict[str, list[Any]], created: bool, also: list[list[int]]
) -> dict[str, Any]:
    return {
        "uid": row.uid,
        "group": row.group,
        "version": row.version,
        "settings": row.settings,
        "changes": changes,
        "created": created,
        "also": also,
    }
