"""Applying entries: determinism (R14), dead letters, purge and deletion (Q14), snapshots, what stays live."""

import subprocess
import sys
from array import array
from typing import Any

import pytest

from haqactor.errors import Conflict, DataDamaged, InvalidArgument, InvariantViolation, NotFound
from haqactor.ids import Index, Term
from haqactor.machine import commands, snapshot
from haqactor.machine.batches import COLUMNS, Batches
from haqactor.machine.commands import Cause
from haqactor.machine.effects import Awake, Published, Purged, Settled
from haqactor.machine.machine import TICK_BUDGET, GroupMachine
from tests.builders.queue_group import ALICE, BEGAN, DEAD, NS, PRODUCER, Group, Q

SCRIPT = """
import sys
from tests.unit.machine.test_machine import story
print(story().machine.digest().hex())
"""


def story() -> Group:
    """A bit of everything, the same each time."""
    group = Group(max_attempts=2, dead_letter="q.dead")
    for number in range(20):
        group.claim(1, 7, producer=bytes([number]) * 16)
        group.claim(8, 3, producer=bytes([number]) * 16, epoch=number % 3)
    group.apply(commands.reserve(Q, 100, [[ALICE, 1], [PRODUCER, 2]]))
    group.apply(commands.settle(Q, [[1, 9], [20, 20]], [[30, 50, -1, "no"]], [[60, 61, "bad"]], [[70, 71]]))
    group.apply(commands.return_(Q, Cause.SESSION_LOST, [[10, 12]], [[35, 36], [80, 81]], [[90, 99]]))
    group.now += 3 * NS
    group.apply(commands.tick(sessions=True), commands.end_session(bytes(16)))
    group.apply(commands.settle(Q, [], [[30, 32, 0, "again"]], [], []), commands.purge(Q, [[90, 95]]))
    return group


def test_the_same_entries_give_the_same_digest_in_every_process() -> None:
    digests = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "4242")
    ]
    assert digests == [story().machine.digest().hex()] * 2


def test_a_difference_in_a_reply_alone_shows_in_the_digest() -> None:
    one, two = story(), story()
    one.apply(commands.producer_epoch(PRODUCER, 7, Q))
    two.apply(commands.producer_epoch(PRODUCER, 7, 99))
    assert one.machine.digest() != two.machine.digest()


def test_entries_are_applied_once_and_in_order() -> None:
    group = Group()
    header = commands.encode(BEGAN, [])
    with pytest.raises(InvariantViolation):
        group.machine.apply(Index(1), Term(1), header, 0)
    group.machine.apply(Index(5), Term(3), b"", 0)
    with pytest.raises(InvariantViolation):
        group.machine.apply(Index(6), Term(2), header, 0)


@pytest.mark.parametrize("command", [[99, 1], [1, 2], [], "x", [32, "name", {}]])
def test_an_unknown_command_stops_the_node(command: Any) -> None:
    group = Group()
    with pytest.raises(InvariantViolation):
        group.machine.apply(Index(2), Term(1), commands.encode(BEGAN, [command]), 0)


def test_logged_time_never_goes_back() -> None:
    group = Group()
    group.now -= 10 * NS
    before = group.machine.time_ns
    group.publish(1)
    assert group.machine.time_ns == before


@pytest.mark.parametrize(
    "command",
    [
        commands.settle(99, [[1, 2]], [], [], []),
        commands.return_(99, Cause.EXPIRED, [[1, 2]], [], []),
        commands.reserve(99, 5, []),
        commands.purge(99, []),
        commands.producer_epoch(PRODUCER, 1, 99),
        commands.publish(99, PRODUCER, 0, 1, 1, 1, 0, BEGAN, 0, 10),
    ],
)
def test_a_queue_that_is_gone_is_an_answer(command: list[Any]) -> None:
    assert isinstance(Group().apply(command)[0], NotFound)


def test_a_claim_of_nothing_is_an_answer() -> None:
    assert isinstance(Group().claim(1, 0), InvalidArgument)


def test_settling_is_idempotent_and_clipped() -> None:
    group = Group()
    group.publish(10)
    for _ in range(2):
        group.apply(
            commands.settle(Q, [[3, 99], [0, 1]], [[2, 2, -1, "no"], [5, 5, 0, "late"]], [], [[3, 3]])
        )
    queue = group.machine.queues[Q]
    assert list(queue.gone) == [(3, 10)]
    assert queue.low == 2
    assert queue.failures.get(2) == 1, "a message that waits fails no second time"
    assert group.applied[-1].effects == [
        Settled(Q, ((3, 99), (0, 1)), ((2, 2), (5, 5), (3, 3)), (), (), ()),
    ]


def test_the_backoff_doubles_up_to_its_bound() -> None:
    group = Group(backoff=1.0, backoff_max=5.0)
    group.publish(1)
    waits: list[int] = []
    for _ in range(5):
        group.apply(commands.settle(Q, [], [[1, 1, -1, "no"]], [], []))
        until = group.machine.queues[Q].deferrals[0][0]
        waits.append((until - BEGAN - group.now) // NS)
        group.now = until - BEGAN
        group.apply(commands.tick(sessions=False))
        assert Awake(Q, ((1, 1),)) in group.applied[-1].effects
    assert waits == [1, 2, 4, 5, 5]


def test_without_a_dead_letter_queue_attempts_park_and_rejects_discard() -> None:
    group = Group(max_attempts=1)
    group.publish(5)
    group.apply(commands.settle(Q, [], [[1, 2, 0, "no"]], [[3, 3, "bad"]], []))
    info = group.machine.info(Q)
    assert (info["ready"], info["dead"], info["delayed"]) == (2, 3, 0)
    assert list(group.machine.queues[Q].parked) == [(1, 2)]
    assert group.apply(commands.purge(Q, [[4, 4]])) == [3]
    assert group.machine.info(Q)["dead"] == 1
    assert group.applied[-1].effects == [Purged(Q, ((1, 2), (5, 5)))]


def test_dead_letters_refer_to_the_stored_entry_which_lives_on() -> None:
    group = Group(dead_letter="q.dead", max_attempts=1)
    group.publish(10)
    group.publish(10)
    group.apply(commands.settle(Q, [[1, 8], [11, 20]], [[9, 9, 0, "no"]], [[10, 10, "bad"]], []))
    assert group.machine.live_entries() == [(2, 2)]
    assert [effect for effect in group.applied[-1].effects if isinstance(effect, Published)] == [
        Published(DEAD, 1, 1),
        Published(DEAD, 2, 1),
    ]
    located = group.machine.locate(DEAD, [(1, 2)])
    assert [(row.entry_index, row.skip, row.total) for row in located] == [(2, 8, 10), (2, 9, 10)]
    group.apply(commands.settle(DEAD, [[1, 2]], [], [], []))
    assert group.machine.live_entries() == []
    assert not group.machine.queues[DEAD].origins


def test_a_named_dead_letter_queue_that_is_not_there_loses_nothing() -> None:
    group = Group(dead_letter="elsewhere")
    group.publish(2)
    group.apply(commands.settle(Q, [], [], [[1, 1, "bad"]], []))
    assert list(group.machine.queues[Q].parked) == [(1, 1)]


def test_a_late_change_of_the_directory_revives_nothing() -> None:
    group = Group()
    settings = group.machine.queues[Q].settings
    group.apply(commands.follow_directory(5, [Q], []))
    group.apply(commands.follow_directory(4, [], [[Q, 1, "q", settings]]))
    group.apply(commands.follow_directory(5, [], [[Q, 1, "q", settings]]))
    assert Q not in group.machine.queues
    assert group.machine.dir_index == 5


def test_a_tick_is_bounded() -> None:
    group = Group()
    count = TICK_BUDGET + 100
    group.publish(250, batches=5)
    for seq in range(1, count + 1):
        group.apply(commands.settle(Q, [], [[seq, seq, NS, "no"]], [], []))
    group.now += 2 * NS
    group.apply(commands.tick(sessions=False))
    assert group.machine.queues[Q].deferred.total == 100
    assert group.machine.wakes_ns() is not None
    group.apply(commands.tick(sessions=False))
    assert group.machine.wakes_ns() is None


def test_peek_walks_over_what_is_settled() -> None:
    group = Group()
    group.publish(10, batches=3)
    group.apply(commands.settle(Q, [[2, 15], [21, 21]], [], [], []))
    assert [(row.first, row.last) for row in group.machine.peek(Q, 8)] == [(1, 1), (16, 20), (22, 23)]
    assert len(group.machine.peek(Q, 0)) == 0
    assert sum(row.last - row.first + 1 for row in group.machine.peek(Q, 999)) == 15
    assert [(row.first, row.last) for row in group.machine.peek(Q, 3, 5)] == [(16, 18)]
    assert group.machine.peek(Q, 3, 31) == []
    group.apply(commands.settle(Q, [], [[17, 18, 0, "no"]], [], []))
    group.apply(commands.settle(Q, [], [[18, 18, 0, "no"]], [], []))
    assert group.machine.failures(Q, 16, 20) == ((17, 1), (18, 2))
    with pytest.raises(NotFound):
        group.machine.peek(99, 1)
    with pytest.raises(NotFound):
        group.machine.failures(99, 1, 2)


def test_a_snapshot_is_the_state_at_its_beginning() -> None:
    group = story()
    digest = group.machine.digest()
    chunks = group.machine.snapshot_chunks()
    read = [next(chunks)]
    group.publish(5)
    group.apply(commands.settle(Q, [[96, 97]], [], [], []), commands.end_session(bytes([3]) * 16))
    group.apply(commands.follow_directory(9, [DEAD], []))
    whole = b"".join([*read, *chunks])
    fresh = GroupMachine()
    fresh.restore([whole[:7], whole[7:1000], whole[1000:]])
    assert fresh.digest() == digest
    with pytest.raises(DataDamaged):
        GroupMachine().restore([whole[:-3]])
    with pytest.raises(DataDamaged):
        GroupMachine().restore([])


@pytest.mark.parametrize("read", [0, 1, 2])
def test_a_snapshot_that_nobody_goes_on_with_is_forgotten(read: int) -> None:
    """Also one that was never begun, as where the disk is full: what changes is not saved for it."""
    group = story()
    chunks = group.machine.snapshot_chunks()
    for _ in range(read):
        next(chunks)
    machine: Any = group.machine
    assert machine._view is not None
    del chunks
    assert machine._view is None
    group.publish(5)
    fresh = GroupMachine()
    fresh.restore(machine.snapshot_chunks())
    assert fresh.digest() == machine.digest()


def held(machine: GroupMachine) -> list[int]:
    """The bytes of each queue, and what the group holds in all."""
    return [
        *(machine.queues[uid].bytes for uid in sorted(machine.queues)),
        machine.held.messages,
        machine.held.bytes,
    ]


def test_bytes_follow_every_message_and_a_snapshot_has_them() -> None:
    group = Group(max_attempts=1, dead_letter="q.dead")
    group.publish(7, batches=2)
    assert held(group.machine) == [140, 0, 14, 140]
    group.claim(1, 3, producer=ALICE)
    group.claim(1, 3, producer=ALICE)  # a retry
    assert held(group.machine) == [170, 0, 17, 170]
    group.apply(commands.settle(Q, [[2, 3], [3, 4]], [[6, 9, 0, "no"]], [], []))
    assert held(group.machine) == [100, 40, 14, 140]
    group.apply(commands.settle(DEAD, [[1, 1]], [], [], []), commands.purge(Q, [[1, 1]]))
    assert held(group.machine) == [10, 30, 4, 40]
    fresh = GroupMachine()
    fresh.restore(group.machine.snapshot_chunks())
    assert held(fresh) == held(group.machine)
    group.machine = fresh
    group.claim(4, 1, producer=ALICE)
    group.apply(commands.settle(Q, [[1, 1]], [], [], []), commands.follow_directory(9, [DEAD], []))
    assert held(fresh) == [10, 1, 10]
    fresh.restore(list(fresh.snapshot_chunks()))
    assert held(fresh) == [10, 1, 10]


def test_the_parts_of_a_batch_add_up_in_whatever_order_they_go() -> None:
    for order in ((1, 2, 3), (3, 1, 2), (2, 3, 1)):
        group = Group()
        group.apply(commands.publish(Q, PRODUCER, 0, 1, 3, 7, 1, BEGAN, 0, 100))
        left: list[int] = []
        for seq in order:
            group.apply(commands.settle(Q, [[seq, seq]], [], [], []))
            left.append(group.machine.queues[Q].bytes)
        weights = {1: 33, 2: 33, 3: 34}
        assert left == [100 - sum(weights[seq] for seq in order[: at + 1]) for at in range(3)]


def test_rows_that_were_dropped_weigh_nothing() -> None:
    group = Group()
    group.publish(200, batches=700)
    group.apply(commands.settle(Q, [[2, 139_800]], [], [], []))
    assert held(group.machine) == [2010, 0, 201, 2010]
    fresh = GroupMachine()
    fresh.restore(group.machine.snapshot_chunks())
    assert held(fresh) == [2010, 0, 201, 2010]


def test_a_session_may_have_the_id_of_a_named_producer() -> None:
    """A client chooses the ids of its sessions: kept under the id alone, a snapshot lost one of the two and
    ended the node."""
    group = Group()
    twin = b"twin".ljust(16)
    for epoch, crc in ((1, 5), (0, 6)):
        group.claim(1, 7, producer=twin, epoch=epoch, crc=crc)
    chunks = group.machine.snapshot_chunks()
    read = [next(chunks)]
    for epoch in (1, 0):
        group.claim(8, 2, producer=twin, epoch=epoch)
    fresh = GroupMachine()
    fresh.restore([*read, *chunks])
    known = fresh.producers
    assert [each[twin].windows[Q].last for each in (known.named, known.anonymous)] == [7, 7]
    assert [each[twin].windows[Q].rows[2] >> 16 for each in (known.named, known.anonymous)] == [5, 6]
    assert list(known.with_rows.values()) == [known.named[twin]]


def test_a_deleted_queue_takes_its_windows_with_it() -> None:
    group = story()
    chunks = group.machine.snapshot_chunks()
    before = group.machine.digest()
    next(chunks)
    group.apply(commands.follow_directory(9, [Q], []))
    known = group.machine.producers
    assert not any(each.windows for each in [*known.anonymous.values(), *known.named.values()])
    fresh = GroupMachine()
    fresh.restore(group.machine.snapshot_chunks())
    assert fresh.digest() == group.machine.digest() != before


def test_a_snapshot_holds_more_deferrals_than_one_piece() -> None:
    group = Group()
    rows = 12_000
    group.publish(200, batches=rows // 100)
    group.apply(commands.settle(Q, [], [[2 * n + 1, 2 * n + 1, 9 * NS, "x"] for n in range(rows)], [], []))
    fresh = GroupMachine()
    fresh.restore(group.machine.snapshot_chunks())
    assert fresh.digest() == group.machine.digest()
    assert fresh.queues[Q].deferrals == sorted(group.machine.queues[Q].deferrals)


def test_a_newer_snapshot_ends_an_older_one() -> None:
    group = story()
    old, new = group.machine.snapshot_chunks(), None
    next(old)
    new = group.machine.snapshot_chunks()
    with pytest.raises(Conflict):
        list(old)
    fresh = GroupMachine()
    fresh.restore(new)
    assert fresh.digest() == group.machine.digest()


def test_ten_million_messages_fit_in_ten_megabytes() -> None:
    group = Group()
    queue = group.machine.queues[Q]
    group.publish(100, batches=2000)
    size = sum(len(column) * column.itemsize for column in columns(queue.batches))
    assert size * 50 <= 10_000_000
    group.apply(commands.settle(Q, [[1, 199_950]], [], [], []))
    assert sum(len(column) * column.itemsize for column in columns(queue.batches)) < 1000


def columns(batches: Batches) -> "list[array[int]]":
    """The columns of a queue."""
    return [getattr(batches, name) for name, _code in COLUMNS]


def test_rows_settled_behind_a_slow_message_are_dropped() -> None:
    group = Group()
    group.publish(200, batches=700)
    group.apply(commands.settle(Q, [[2, 139_800]], [], [], []))
    queue = group.machine.queues[Q]
    assert len(queue.batches) == 2
    assert group.machine.live_entries() == [(2, 2), (701, 701)]
    assert [(row.first, row.last) for row in group.machine.peek(Q, 500)] == [(1, 1), (139_801, 140_000)]


@pytest.mark.parametrize(
    "row",
    [
        5,
        [],
        ["machine"],
        ["machine", 1, "x", 1, 1, 1, 1, 1],
        ["machine", 1, -1, 1, 1, 1, 1, 1],
        ["queue", Q],
        ["column", 99, "first", "Q", b""],
        ["column", Q, "first", "Q", b"odd"],
        ["column", Q, "first", "d", bytes(8)],
        ["column", Q, "prune", "Q", bytes(8)],
        ["column", Q, "first", "Q", bytes(8)],
        ["column", Q, "deferrals", "Q", bytes(8)],
        ["column", Q, "gone.starts", "Q", bytes(8)],
        ["origins", Q, [[1]]],
        ["producers", [[b"x", 0, 1, False, [[1]], True]]],
    ],
)
def test_a_chunk_that_no_release_writes_is_damage(row: Any) -> None:
    """Whatever it is, and from wherever it came; it was a KeyError, TypeError or the like, or was found out
    only when it was used."""
    *chunks, end = story().machine.snapshot_chunks()
    with pytest.raises(DataDamaged):
        GroupMachine().restore([*chunks, snapshot.chunk(row), end])


UNKNOWN: list[Any] = [
    [[], 1],
    [4, Q, 1.5, []],
    [10, "x"],
    [6, 1],
    [1, Q, b"p", 0, 1, 1, 7, 0, 0, 0, "x"],
    [2, Q, [5], [], [], []],
    [9, 99, [], [[1, 1, 5, {}]]],
]


@pytest.mark.parametrize("command", UNKNOWN)
def test_a_command_that_no_release_writes_stops_the_node_by_its_type(command: Any) -> None:
    with pytest.raises(InvariantViolation):
        story().machine.apply(Index(1000), Term(1), commands.encode(BEGAN, [command]), 0)
