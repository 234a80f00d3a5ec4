"""Targets: what the log and the snapshots say to the machines.

One rule: a snapshot that is taken makes the same snapshot again; an entry is applied or ends the node, typed.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import cbor2

from haqactor import codec
from haqactor.errors import DataDamaged, InvariantViolation, UnknownVersion
from haqactor.ids import Index, Term
from haqactor.machine import commands
from haqactor.machine.commands import Cause, Command
from haqactor.machine.directory import DirectoryMachine
from haqactor.machine.machine import GroupMachine
from tests.builders.queue_group import ALICE, BEGAN, NS, PRODUCER, Group, Q
from tests.fuzz import hostile
from tests.fuzz.target import Target, Tree
from tests.unit.machine.test_machine import story

_REFUSED: Final = (InvariantViolation, UnknownVersion)


def _commands() -> list[Command]:
    return [
        commands.publish(Q, PRODUCER, 0, 1, 3, 77, 0, BEGAN, 0, 30),
        commands.settle(Q, [[1, 9]], [[30, 50, -1, "no"]], [[60, 61, "bad"]], [[70, 71]]),
        commands.return_(Q, Cause.SESSION_LOST, [[10, 12]], [[35, 36]], [[90, 99]]),
        commands.reserve(Q, 200, [[ALICE, 1], [PRODUCER, 2]]),
        commands.purge(Q, [[90, 95]]),
        commands.tick(sessions=True),
        commands.producer_epoch(PRODUCER, 7, Q),
        commands.end_session(PRODUCER),
        commands.follow_directory(9, [11], [[12, 1, "new", _settings()]]),
        commands.limits(100),
        commands.raise_version(1),
    ]


def _settings() -> dict[str, Any]:
    return dict(story().machine.queues[Q].settings)


def _directory_commands() -> list[Command]:
    return [
        commands.declare("orders", {"lease_ns": 5 * NS, "dead_letter": "orders.dead"}),
        commands.delete("q", 0),
        commands.open_producer("p"),
        commands.register_node(0, "n0:7000", 1),
        commands.create_groups([[1, [0, 1, 2]], [2, [0, 1, 2]]]),
        commands.raise_version(1),
    ]


def _headers(given: list[Command]) -> list[bytes]:
    return [*[commands.encode(BEGAN, [command]) for command in given], commands.encode(BEGAN + NS, given)]


def _header_trees(data: bytes) -> list[Tree]:
    return [(codec.loads(data), hostile.dumps)]


@cache
def _chunks() -> list[bytes]:
    """A small group's state: ``story`` has hundreds of messages, which is too much for each input."""
    group = Group()
    for number in range(4):
        group.claim(1, 7, producer=bytes([number]) * 16, epoch=number % 2)
    group.apply(commands.reserve(Q, 100, [[ALICE, 1]]))
    group.apply(commands.settle(Q, [[1, 3]], [[10, 12, NS, "no"]], [[20, 21, "bad"]], []))
    return list(group.machine.snapshot_chunks())


def _applied(data: bytes) -> GroupMachine:
    machine = GroupMachine()
    machine.restore(_chunks())
    machine.apply(Index(1000), Term(1000), data, 30)
    machine.digest()
    return machine


@cache
def _directory() -> DirectoryMachine:
    machine = DirectoryMachine()
    given = [
        commands.register_node(0, "n0:7000", 1),
        commands.register_node(1, "n1:7000", 1),
        commands.create_groups([[1, [0, 1]], [2, [0, 1]]]),
        commands.declare("q.dead", {}),
        commands.declare("q", {"dead_letter": "q.dead"}),
        commands.open_producer("p"),
    ]
    machine.apply(Index(1), Term(1), commands.encode(BEGAN, given), 0)
    return machine


def _directory_applied(data: bytes) -> DirectoryMachine:
    machine = DirectoryMachine()
    machine.restore(_directory().snapshot_chunks())
    machine.apply(Index(1000), Term(1000), data, 0)
    machine.digest()
    return machine


def _snapshot_corpus() -> list[bytes]:
    return [b"".join(_chunks()), b"".join(story().machine.snapshot_chunks())]


def _snapshot_trees(data: bytes) -> list[Tree]:
    """Each chunk."""
    rows: list[bytes] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        rows.append(data[at + 4 : at + 4 + size])
        at += 4 + size

    def rebuilt(number: int) -> Callable[[Any], bytes]:
        def build(value: Any) -> bytes:
            changed = [*rows[:number], hostile.dumps(value), *rows[number + 1 :]]
            return b"".join(len(row).to_bytes(4, "little") + row for row in changed)

        return build

    return [(cbor2.loads(row), rebuilt(number)) for number, row in enumerate(rows)]


def _restored(data: bytes) -> GroupMachine:
    machine = GroupMachine()
    machine.restore([data])
    machine.digest()
    machine.live_entries()
    return machine


def _directory_restored(data: bytes) -> DirectoryMachine:
    machine = DirectoryMachine()
    machine.restore([data])
    machine.digest()
    machine.queue_rows()
    return machine


def _snapshot_of(machine: GroupMachine | DirectoryMachine) -> bytes:
    return b"".join(machine.snapshot_chunks())


TARGETS: Final = (
    Target(
        name="commands",
        corpus=lambda: _headers([*_commands(), *_directory_commands()]),
        decode=commands.decode,
        encode=lambda header: commands.encode(header.time_ns, header.commands, header.version),
        errors=_REFUSED,
        trees=_header_trees,
    ),
    Target(
        name="apply",
        corpus=lambda: _headers(_commands()),
        decode=_applied,
        errors=_REFUSED,
        trees=_header_trees,
    ),
    Target(
        name="directory-apply",
        corpus=lambda: _headers(_directory_commands()),
        decode=_directory_applied,
        errors=_REFUSED,
        trees=_header_trees,
    ),
    Target(
        name="machine-snapshot",
        corpus=_snapshot_corpus,
        decode=_restored,
        encode=_snapshot_of,
        errors=(DataDamaged, *_REFUSED),
        trees=_snapshot_trees,
    ),
    Target(
        name="directory-snapshot",
        corpus=lambda: [_snapshot_of(_directory())],
        decode=_directory_restored,
        encode=_snapshot_of,
        errors=(DataDamaged, *_REFUSED),
        trees=_snapshot_trees,
    ),
)
