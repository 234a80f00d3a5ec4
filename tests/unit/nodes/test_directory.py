"""Group 0's service: who is answered when, which settings it takes, and what it tells the node."""

from typing import Any

import pytest

from haqactor import wire
from haqactor.config import QueueConfig
from haqactor.errors import Overloaded
from haqactor.ids import Term
from haqactor.machine import commands
from haqactor.machine.directory import DirectoryMachine
from haqactor.nodes.directory import DirectoryService
from tests.builders.service_actor import ServedSession, ServiceActor


class Place:
    """A leader of group 0 in a cluster of three with two groups."""

    def __init__(self) -> None:
        self.actor = ServiceActor(0)
        self.machine = DirectoryMachine()
        self.moved = 0
        self.created: dict[int, tuple[int, ...]] = {}
        self.service = DirectoryService(self.actor.as_actor, self.machine, self._moved, self._created)
        self.alice = ServedSession()

    def _moved(self) -> None:
        self.moved += 1

    def _created(self, group: int, replicas: tuple[int, ...]) -> None:
        self.created[group] = replicas

    def lead(self, term: int = 1) -> None:
        self.actor.core.term = Term(term)
        self.service.lead(Term(term), 0)
        self.turn()

    def turn(self) -> int:
        self.service.work(0)
        return self.actor.commit(self.service)

    def ask(self, message: Any) -> int:
        return self.alice.ask(self.service, message)

    def answer(self, message: Any) -> Any:
        """The only answer, after one turn and its read."""
        rid = self.ask(message)
        self.turn()
        asked, self.actor.asked = tuple(self.actor.asked), []
        self.service.reads(asked, True, 0)
        (answer,) = self.alice.answers[rid]
        return answer


async def test_the_first_leader_founds_the_groups() -> None:
    """Once: a later leader finds them."""
    here = Place()
    here.lead()
    assert here.created == {1: (0, 1, 2), 2: (0, 1, 2)}
    assert here.moved == 1
    assert here.machine.nodes[1].address == "n1:7010"
    here.service.follow(0)
    here.lead(2)
    assert here.moved == 1


async def test_declare_resolve_delete() -> None:
    """What was declared is listed, by confirmed reads."""
    here = Place()
    here.lead()
    made = here.answer(wire.Declare(0, "q", {"max_attempts": 3}))
    uid, group, version, settings = here.answer(wire.Resolve(0, "q", True))
    assert (uid, group, version) == (made["uid"], made["group"], made["version"])
    assert settings["max_attempts"] == 3
    assert [row[0] for row in here.answer(wire.Queues(0))] == ["q"]
    assert here.service.status() == {"queues": 1, "version": 1}
    assert here.answer(wire.Delete(0, "q"))["uid"] == uid
    for message in (wire.Resolve(0, "q", True), wire.Delete(0, "q")):
        assert here.answer(message) == "not_found"
        told = here.alice.errors[max(here.alice.errors)].fields()
        assert told == {"group": group, "uid": uid}, (
            "so that who is told so can wait until it is true for all"
        )
    assert here.answer(wire.Resolve(0, "never", True)) == "not_found"
    assert here.alice.errors[max(here.alice.errors)].fields() == {}
    assert here.answer(wire.OpenProducer(0, "p"))[1] == 1
    assert here.answer(wire.OpenProducer(0, "p"))[1] == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"colour": "red"},
        {"lease_ns": "long"},
        {"lease_ns": -5},
        {"lease_ns": 1 << 4000},
        {"max_attempts": -1},
        {"max_attempts": True},
        {"backoff_ns": None},
        {"dead_letter": "q"},
        {"dead_letter": 7},
    ],
)
async def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    """Before anything is proposed."""
    here = Place()
    here.lead()
    rid = here.ask(wire.Declare(0, "q", settings))
    assert here.alice.answers[rid] == ["invalid_argument"]
    assert here.turn() == 0


@pytest.mark.parametrize(
    "message",
    [
        wire.Declare(0, "no name!", {}),
        wire.Delete(0, ""),
        wire.OpenProducer(0, "x" * 256),
        wire.Info(0, 0, 1),
    ],
)
async def test_requests_that_are_refused(message: Any) -> None:
    """A name that is none; what a directory does not answer."""
    here = Place()
    here.lead()
    rid = here.ask(message)
    assert here.alice.answers[rid] == ["invalid_argument"]


async def test_all_settings_are_known() -> None:
    """Those of a queue's configuration, as they travel."""
    here = Place()
    here.lead()
    config = QueueConfig(
        "q", lease=5, max_attempts=2, dead_letter="dead", backoff=1, max_messages=9, max_bytes=99
    )
    settings = config.settings()
    here.answer(wire.Declare(0, "q", settings))
    assert here.answer(wire.Resolve(0, "q", True))[3] == settings


@pytest.mark.parametrize("proposed", [False, True])
async def test_the_end_of_a_term_answers_everyone_once(proposed: bool) -> None:
    """What is in the log may be done yet, by the next leader, and whoever gives up meanwhile must know it:
    seed 7346 of profile swarm."""
    here = Place()
    here.lead()
    here.answer(wire.Declare(0, "q", {}))
    rids = [
        here.ask(message)
        for message in (wire.Delete(0, "q"), wire.Declare(0, "r", {}), wire.OpenProducer(0, "p"))
    ]
    if proposed:
        here.service.work(0)
    reads = [here.ask(wire.Queues(0)), here.ask(wire.Resolve(0, "q", True))]
    here.service.follow(0)
    here.service.follow(0)
    here.service.reads((1, 2, 3), False, 0)
    here.actor.commit(here.service)
    assert [here.alice.answers[rid] for rid in rids] == 3 * [
        ["outcome_unknown" if proposed else "not_leader"]
    ]
    assert [here.alice.answers[rid] for rid in reads] == [["not_leader"]] * 2


async def test_what_another_leader_may_have_overwritten() -> None:
    """The client repeats it by itself, and knows that it may be done."""
    here = Place()
    here.lead()
    here.answer(wire.Declare(0, "q", {}))
    gone, made = here.ask(wire.Delete(0, "q")), here.ask(wire.Declare(0, "r", {}))
    here.service.work(0)
    ((_header, _body, owner),) = here.actor.proposed
    owner.failed(RuntimeError("overwritten"))
    assert here.alice.answers == {gone: ["outcome_unknown"], made: ["outcome_unknown"]} | {
        rid: answers for rid, answers in here.alice.answers.items() if rid < gone
    }


async def test_too_much_under_way() -> None:
    """Changes of the directory wait for room."""
    here = Place()
    here.lead()
    here.actor.overload = Overloaded("too much waits", retry_after=0.1)
    rid = here.ask(wire.Declare(0, "q", {}))
    assert here.turn() == 0
    assert rid not in here.alice.answers
    here.actor.overload = None
    assert here.turn() == 1
    assert len(here.alice.answers[rid]) == 1


async def test_a_snapshot_starts_the_groups_that_it_names() -> None:
    """A node that was away hears of them this way."""
    here, away = Place(), Place()
    here.lead()
    here.answer(wire.Declare(0, "q", {}))
    away.service.restore(list(here.service.snapshot_chunks()))
    assert away.created == here.created
    assert away.moved == 1
    assert away.service.digest() == here.service.digest()
    assert away.service.live_entries() == []


async def test_a_read_without_leadership() -> None:
    """Is refused, not answered from what may be old."""
    here = Place()
    here.lead()
    rid = here.ask(wire.Queues(0))
    here.turn()
    here.service.reads(tuple(here.actor.asked), False, 0)
    assert here.alice.answers[rid] == ["not_leader"]
    assert here.actor.refused == [rid]
    here.actor.apply(here.service, commands.encode(1, [commands.declare("q", {})]))
    assert [row[0] for row in here.answer(wire.Queues(0))] == ["q"]
