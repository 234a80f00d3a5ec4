"""Every owner of a command hears exactly once how it went."""

from typing import Any, cast

import pytest

from haqactor import wire
from haqactor.env import NullProbe
from haqactor.errors import Error, InvalidArgument, NotLeader, OutcomeUnknown, Overloaded
from haqactor.ids import Index
from haqactor.machine import commands
from haqactor.nodes.group import GroupActor
from haqactor.nodes.proposals import Draft, answer_request, seal
from haqactor.nodes.sessions import Request


class Owners:
    """Who was told what."""

    def __init__(self) -> None:
        self.told: dict[str, list[Any]] = {}

    def named(self, name: str) -> Any:
        self.told[name] = []

        def told(reply: Any, _now: int) -> None:
            self.told[name].append(reply)

        return told


def publish(at: int) -> commands.Command:
    return commands.publish(1, bytes(16), 0, 1, 1, 0, 0, 0, at, 3)


def drafted(owners: Owners) -> Draft:
    """Two publishes, a settlement, and a command of nobody."""
    draft = Draft()
    draft.add(publish(draft.body_bytes), owners.named("first"), b"one")
    draft.add(commands.settle(1, [[1, 2]], [], [], []), owners.named("settle"))
    draft.add(publish(draft.body_bytes), owners.named("second"), b"two")
    draft.add(commands.delete("x", 0))
    return draft


class FakeActor:
    """Takes proposals as told."""

    def __init__(self, refuse: Error | None = None, *, is_leader: bool = False) -> None:
        self.refuse = refuse
        self.is_leader = is_leader
        self.next = 5
        self.proposed: list[tuple[bytes, bytes]] = []
        self.counted: list[str] = []
        self.applied = 0

    @property
    def applier(self) -> "FakeActor":
        return self

    @property
    def context(self) -> "FakeActor":
        return self

    @property
    def core(self) -> "FakeActor":
        return self

    @property
    def env(self) -> "FakeActor":
        return self

    probe = NullProbe()

    def count(self, name: str) -> None:
        self.counted.append(name)

    def propose(self, header: bytes, body: bytes, owner: Draft, now_ns: int) -> Index:
        if self.refuse is not None:
            raise self.refuse
        self.proposed.append((header, body))
        self.next += 1
        return Index(self.next - 1)


def test_body_and_replies_in_order() -> None:
    """And what comes after the first word is not heard."""
    owners = Owners()
    draft = drafted(owners)
    assert draft.body() == b"onetwo"
    assert draft.body_bytes == 6
    draft.applied(["a", "b", "c", "d"], 7)
    draft.applied(["x", "x", "x", "x"], 7)
    draft.failed(NotLeader())
    assert owners.told == {"first": ["a"], "settle": ["b"], "second": ["c"]}


def test_a_failure_is_told_once_and_ends_it() -> None:
    """What is no error of ours is an unknown outcome."""
    owners = Owners()
    draft = drafted(owners)
    draft.failed(ValueError("what"))
    draft.failed(NotLeader())
    draft.applied(["a", "b", "c", "d"], 7)
    assert all(len(told) == 1 and isinstance(told[0], OutcomeUnknown) for told in owners.told.values())


def test_sealing_notes_the_entry_and_forgets_what_applied() -> None:
    """Drafts under way are those above what is applied."""
    actor = FakeActor()
    under_way: dict[Index, Draft] = {}
    kept: list[Draft] = []
    drafts = [drafted(Owners()) for _ in range(3)]
    for applied, draft in zip((0, 5, 6), drafts, strict=True):
        actor.applied = applied
        seal(cast(GroupActor, actor), draft, draft.header(1, 1), under_way, 0, kept.append)
    assert under_way == {Index(7): drafts[2]}
    assert [body for _header, body in actor.proposed] == [b"onetwo"] * 3
    assert kept == []


def test_overload_refuses_publishes_and_keeps_the_rest() -> None:
    """Everyone is still told exactly once, in the end (J10)."""
    owners = Owners()
    draft = drafted(owners)
    actor = FakeActor(Overloaded("full", retry_after=0.1))
    kept: list[Draft] = []
    seal(cast(GroupActor, actor), draft, draft.header(1, 1), {}, 0, kept.append)
    assert [type(told[0]) for name, told in owners.told.items() if name != "settle"] == [Overloaded] * 2
    assert owners.told["settle"] == []
    assert [command[0] for command in kept[0].commands] == [commands.Op.SETTLE, commands.Op.DELETE]
    assert kept[0].body() == b""
    kept[0].applied(["done", "done"], 0)
    assert owners.told["settle"] == ["done"]
    assert all(len(told) == 1 for told in owners.told.values())


def test_a_lost_leadership_fails_all() -> None:
    """Nothing is kept."""
    owners = Owners()
    draft = drafted(owners)
    kept: list[Draft] = []
    seal(cast(GroupActor, FakeActor(NotLeader())), draft, b"", {}, 0, kept.append)
    assert all(len(told) == 1 and isinstance(told[0], NotLeader) for told in owners.told.values())
    assert kept == []


def test_a_handover_refuses_publishes_and_keeps_the_rest() -> None:
    """It may come to nothing: then the term goes on with what was frozen, reserved and purged."""
    owners = Owners()
    draft = drafted(owners)
    actor = FakeActor(NotLeader("leadership is being handed over"), is_leader=True)
    kept: list[Draft] = []
    seal(cast(GroupActor, actor), draft, b"", {}, 0, kept.append)
    assert [type(told[0]) for name, told in owners.told.items() if name != "settle"] == [NotLeader] * 2
    assert owners.told["settle"] == []
    assert [command[0] for command in kept[0].commands] == [commands.Op.SETTLE, commands.Op.DELETE]


def test_a_client_gets_a_reply_or_an_error() -> None:
    """With its own number."""
    sent: list[Any] = []

    class Session:
        def send(self, message: wire.Message) -> None:
            sent.append(message)

        def fail(self, rid: int, error: Error) -> None:
            sent.append((rid, error.code))

    answer = answer_request(Request(cast(Any, Session()), wire.Queues(9), b""))
    answer(["row"], 0)
    answer(NotLeader(), 0)
    assert sent == [wire.Reply(9, ["row"]), (9, "not_leader")]


def test_what_no_replica_could_read_does_not_come_into_an_entry() -> None:
    """Whoever asked for it hears that; what others asked for goes on."""
    owners = Owners()
    draft = Draft()
    draft.add(commands.delete("x", 0), owners.named("good"))
    with pytest.raises(InvalidArgument):
        draft.add(commands.producer_epoch(bytes(16), -1, 0), owners.named("bad"))
    with pytest.raises(InvalidArgument):
        draft.add(commands.limits(1e5))  # type: ignore[arg-type]  # as a settings file may have it
    assert draft.commands == [commands.delete("x", 0)]
    draft.applied([True], 0)
    assert owners.told == {"good": [True], "bad": []}
