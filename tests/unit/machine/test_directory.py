"""Group 0's machine: declare converges, places and decides dead letters; the owner groups follow."""

from typing import Any

import pytest

from haqactor.errors import Conflict, DataDamaged, InvalidArgument, InvariantViolation, NoQuorum, NotFound
from haqactor.ids import Index, Term
from haqactor.machine import commands, snapshot
from haqactor.machine.directory import DirectoryMachine, wanted
from haqactor.machine.effects import DirectoryChanged, GroupCreated, NodeRegistered
from haqactor.machine.epochs import producer_id
from haqactor.machine.machine import GroupMachine


class Zero:
    """Group 0 and the machines of its groups."""

    def __init__(self, groups: int = 4) -> None:
        self.machine = DirectoryMachine()
        self.index = 0
        self.owners = {group: GroupMachine() for group in range(1, groups + 1)}
        if groups:
            self.apply(commands.create_groups([[group, [0, 1, 2]] for group in self.owners]))

    def apply(self, *given: list[Any]) -> list[Any]:
        self.index += 1
        applied = self.machine.apply(Index(self.index), Term(1), commands.encode(self.index, given), 0)
        self.effects = applied.effects
        return applied.replies

    def declare(self, name: str, **settings: Any) -> Any:
        return self.apply(commands.declare(name, settings))[0]

    def follow(self, group: int) -> int:
        """Returns how many entries it took."""
        owner, entries = self.owners[group], 0
        while (command := wanted(self.machine, group, owner)) is not None:
            entries += 1
            owner.apply(Index(owner.index + 1), Term(1), commands.encode(0, [command]), 0)
            assert entries < 100
        return entries


def test_declare_creates_once_and_converges() -> None:
    zero = Zero()
    created = zero.declare("q", max_attempts=3)
    assert created["created"]
    assert created["changes"] == {}
    again = zero.declare("q", max_attempts=3)
    assert not again["created"]
    assert again["version"] == 1
    changed = zero.declare("q", lease_ns=5_000_000_000)
    assert changed["changes"] == {"lease_ns": [30_000_000_000, 5_000_000_000]}
    assert (changed["uid"], changed["version"]) == (created["uid"], 2)
    assert changed["settings"]["max_attempts"] == 3, "what is not given keeps its value"
    assert zero.machine.resolve("q") == [created["uid"], created["group"], 2, changed["settings"]]
    assert zero.machine.resolve("x") is None


def test_a_setting_that_came_later_is_there_once_it_was_given() -> None:
    """Entries of before it lead to the same state and the same replies, in a group's chain, as ever."""
    zero = Zero()
    created = zero.declare("q", max_attempts=3, max_bytes=0)
    assert "max_bytes" not in created["settings"]
    assert zero.declare("q", max_bytes=0)["version"] == 1
    limited = zero.declare("q", max_bytes=1000)
    assert limited["changes"] == {"max_bytes": [0, 1000]}
    assert limited["version"] == 2
    assert zero.declare("q", max_attempts=4)["settings"]["max_bytes"] == 1000
    opened = zero.declare("q", max_bytes=0)
    assert opened["changes"] == {"max_bytes": [1000, 0]}
    assert opened["settings"]["max_bytes"] == 0
    zero.follow(created["group"])
    assert zero.owners[created["group"]].queues[created["uid"]].settings["max_bytes"] == 0


def test_queues_are_even_over_groups_and_the_same_everywhere() -> None:
    zero, other = Zero(), Zero()
    for number in range(40):
        zero.declare(f"q{number}")
        other.declare(f"q{number}")
    rows = zero.machine.queue_rows()
    assert rows == other.machine.queue_rows()
    assert [sum(row[2] == group for row in rows) for group in (1, 2, 3, 4)] == [10] * 4
    assert len({row[1] for row in rows}) == 40


def test_a_new_dead_letter_queue_is_created_beside_its_source() -> None:
    zero = Zero()
    reply = zero.declare("q", dead_letter="q.dead")
    ((uid, group, version),) = reply["also"]
    assert (group, version) == (reply["group"], 1)
    assert uid != reply["uid"]
    assert zero.machine.resolve("q.dead") == [uid, group, 1, zero.machine.queues["q.dead"].settings]
    existing = zero.declare("p")
    assert zero.declare("p", dead_letter="p.dead")["also"][0][1] == existing["group"]


def test_a_new_source_goes_to_its_dead_letter_queues_group() -> None:
    zero = Zero()
    dead = zero.declare("dead")
    for name in ("a", "b", "c"):
        assert zero.declare(name, dead_letter="dead")["group"] == dead["group"]


def test_two_that_exist_in_different_groups_conflict() -> None:
    zero = Zero()
    first = zero.declare("q0")
    other = next(name for name in ("q1", "q2", "q3") if zero.declare(name)["group"] != first["group"])
    before = zero.machine.queue_rows()
    assert isinstance(zero.declare("q0", dead_letter=other), Conflict)
    assert zero.machine.queue_rows() == before


def test_a_dead_letter_queue_in_use_is_not_deleted() -> None:
    zero = Zero()
    zero.declare("q", dead_letter="d")
    refused = zero.apply(commands.delete("d", 0))[0]
    assert isinstance(refused, Conflict)
    assert "q" in str(refused)
    zero.declare("q", dead_letter=None)
    assert not isinstance(zero.apply(commands.delete("d", 0))[0], Conflict)
    assert isinstance(zero.apply(commands.delete("d", 0))[0], NotFound)


def test_a_name_declared_again_is_another_queue() -> None:
    zero = Zero()
    old = zero.declare("q")
    zero.follow(old["group"])
    assert zero.apply(commands.delete("q", 0)) == [{"uid": old["uid"], "group": old["group"]}]
    assert zero.effects == [DirectoryChanged(old["group"])]
    new = zero.declare("q")
    assert new["uid"] > old["uid"]
    assert isinstance(zero.apply(commands.delete("q", old["uid"]))[0], NotFound)
    assert [row[0] for row in zero.machine.queue_rows()] == ["q"]
    zero.follow(old["group"])
    zero.follow(new["group"])
    assert old["uid"] not in zero.owners[old["group"]].queues
    assert new["uid"] in zero.owners[new["group"]].queues
    assert zero.machine.lists(new["uid"], new["group"])
    assert not zero.machine.lists(old["uid"], old["group"])
    assert old["uid"] <= zero.machine.applied


@pytest.mark.parametrize(
    "settings",
    [
        {"nope": 1},
        {"lease_ns": "30"},
        {"lease_ns": 30.0},
        {"lease_ns": 0},
        {"lease_ns": -1},
        {"max_attempts": True},
        {"max_attempts": 10**9},
        {"dead_letter": 5},
        {"dead_letter": "no name!"},
        {"dead_letter": "q"},
    ],
)
def test_impossible_settings_are_an_answer(settings: dict[str, Any]) -> None:
    zero = Zero()
    assert isinstance(zero.apply(commands.declare("q", settings))[0], InvalidArgument)
    assert isinstance(zero.apply(commands.declare("no name!", {}))[0], InvalidArgument)
    assert zero.machine.queue_rows() == []


def test_without_groups_there_is_nowhere_to_go() -> None:
    refused = Zero(groups=0).declare("q")
    assert isinstance(refused, NoQuorum)
    assert refused.reason == "starting"


def test_groups_are_created_once() -> None:
    zero = Zero()
    (rows,) = zero.apply(commands.create_groups([[1, [7]], [9, [0]]]))
    assert [row[0] for row in rows] == [1, 9]
    assert rows[0][2] == [0, 1, 2]
    assert zero.effects == [GroupCreated(9, rows[1][1], (0,))]
    assert zero.machine.group_rows()[-1] == (9, (0,))


def test_nodes_say_where_they_are() -> None:
    zero = Zero()
    zero.apply(commands.register_node(2, "a:1", 5))
    assert zero.effects == [NodeRegistered(2, "a:1", 5)]
    zero.apply(commands.register_node(2, "old:1", 4))
    assert zero.machine.nodes[2].address == "a:1"
    assert zero.effects == []


def test_epochs_of_named_producers_rise() -> None:
    zero = Zero()
    assert zero.apply(
        commands.open_producer("p"), commands.open_producer("p"), commands.open_producer("r")
    ) == [
        [producer_id("p"), 1],
        [producer_id("p"), 2],
        [producer_id("r"), 1],
    ]


def test_an_owner_follows_in_bounded_steps() -> None:
    zero = Zero(groups=1)
    for number in range(0, 1200, 100):
        zero.apply(*(commands.declare(f"q{number + at}", {}) for at in range(100)))
    assert zero.follow(1) == 3
    assert len(zero.owners[1].queues) == 1200
    zero.apply(commands.delete("q5", 0), commands.declare("q6", {"max_attempts": 9}))
    assert zero.follow(1) == 1
    assert len(zero.owners[1].queues) == 1199
    uid = zero.machine.queues["q6"].uid
    assert zero.owners[1].queues[uid].settings["max_attempts"] == 9


def test_a_copy_that_lags_wants_nothing() -> None:
    zero = Zero(groups=1)
    zero.declare("a")
    lagging = DirectoryMachine()
    lagging.restore(zero.machine.snapshot_chunks())
    zero.declare("b")
    zero.follow(1)
    assert wanted(lagging, 1, zero.owners[1]) is None
    assert len(zero.owners[1].queues) == 2


def test_a_snapshot_holds_all_of_it() -> None:
    zero = Zero()
    zero.declare("q", dead_letter="d")
    zero.apply(commands.open_producer("p"), commands.register_node(0, "a:1", 1))
    zero.declare("r")
    zero.apply(commands.delete("r", 0))
    whole = b"".join(zero.machine.snapshot_chunks())
    fresh = DirectoryMachine()
    fresh.restore([whole[at : at + 5] for at in range(0, len(whole), 5)])
    assert fresh.digest() == zero.machine.digest()
    assert fresh.queue_rows() == zero.machine.queue_rows()
    header = commands.encode(
        0, [commands.delete("d", 0), commands.open_producer("p"), commands.declare("q", {"max_attempts": 1})]
    )
    replies = [
        machine.apply(Index(zero.index + 1), Term(1), header, 0).replies for machine in (fresh, zero.machine)
    ]
    assert [str(reply) for reply in replies[0]] == [str(reply) for reply in replies[1]]
    assert isinstance(replies[0][0], Conflict)
    assert fresh.digest() == zero.machine.digest()
    with pytest.raises(DataDamaged):
        DirectoryMachine().restore([whole[:-2]])


def test_commands_of_data_groups_are_unknown_here() -> None:
    with pytest.raises(InvariantViolation):
        Zero().apply(commands.tick(sessions=True))


MALFORMED: list[Any] = [
    5,
    [],
    ["directory", 1, 1, 1],
    ["nodes", [[1, 2, 3]]],
    ["queues", [["q", 1, 1, 1, {}, 1]]],
    ["groups", [[1, 1, ["x"]]]],
    ["epochs", [[5]]],
]


@pytest.mark.parametrize("row", MALFORMED)
def test_a_chunk_that_no_release_writes_is_damage(row: Any) -> None:
    *chunks, end = DirectoryMachine().snapshot_chunks()
    with pytest.raises(DataDamaged):
        DirectoryMachine().restore([*chunks, snapshot.chunk(row), end])
