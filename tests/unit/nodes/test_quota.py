"""How much a queue may hold: what is under way counts, what is stored already does not."""

from typing import Any

import pytest

from haqactor import wire
from haqactor.config import Limits
from haqactor.errors import Overloaded
from haqactor.ids import Index, Term
from haqactor.machine import commands
from haqactor.machine.machine import GroupMachine
from haqactor.nodes.quota import Quota

PRODUCER = b"producer".ljust(16)
NOW_NS = 1_700_000_000_000_000_000
UID = 65_536


class Group:
    """One queue, its leader's quota, and publishes that are answered when a test says so."""

    def __init__(self, settings: dict[str, Any], limits: Limits | None = None) -> None:
        self.machine = GroupMachine()
        self.quota = Quota(self.machine, limits or Limits())
        self.answers: list[Any] = []
        self.now_ns = 0
        self._index = 0
        self.apply(commands.follow_directory(1, [], [[UID, 1, "orders", settings]]))

    def apply(self, command: commands.Command, body_bytes: int = 0) -> Any:
        self._index += 1
        header = commands.encode(NOW_NS, [command])
        return self.machine.apply(Index(self._index), Term(1), header, body_bytes).replies[0]

    def admit(self, first: int, count: int, producer: bytes = PRODUCER) -> Any:
        message = wire.Publish(0, 1, UID, producer, 0, first, count, 1, NOW_NS)
        return self.quota.admit(message, lambda reply, _now: self.answers.append(reply), self.now_ns)

    def store(self, first: int, count: int) -> None:
        answer = self.admit(first, count)
        reply = self.apply(commands.publish(UID, PRODUCER, 0, first, count, 7, 1, NOW_NS, 0, 100), 100)
        answer(reply, 0)


SETTINGS: dict[str, Any] = {
    "lease_ns": 30_000_000_000,
    "max_attempts": 0,
    "dead_letter": None,
    "backoff_ns": 1,
    "backoff_max_ns": 1,
}


def test_beyond_its_own_limit_nothing_is_taken() -> None:
    group = Group({**SETTINGS, "max_messages": 10})
    group.store(1, 8)
    with pytest.raises(Overloaded, match=r"'orders' holds 8 of 10 messages.*max_messages") as caught:
        group.admit(9, 3)
    assert caught.value.retry_after > 0
    group.store(9, 2)
    with pytest.raises(Overloaded):
        group.admit(11, 1)


def test_what_is_under_way_counts_until_it_is_answered() -> None:
    group = Group({**SETTINGS, "max_messages": 10})
    first, second = group.admit(1, 6), group.admit(7, 4)
    with pytest.raises(Overloaded):
        group.admit(11, 1)
    first(Overloaded("too much waits", retry_after=0.1), 0)
    second(Overloaded("too much waits", retry_after=0.1), 0)
    group.store(1, 10)


def test_a_retry_of_what_is_stored_passes() -> None:
    group = Group({**SETTINGS, "max_messages": 4})
    group.store(1, 4)
    group.store(1, 4)  # the receipt was lost
    assert group.machine.queues[UID].depth == 4
    assert len(group.answers) == 2


def test_what_is_settled_makes_room() -> None:
    group = Group({**SETTINGS, "max_messages": 4})
    group.store(1, 4)
    group.apply(commands.purge(UID, []))
    group.store(5, 4)


@pytest.mark.parametrize("attempts", [0, 1])
def test_what_waits_or_died_counts(attempts: int) -> None:
    """Q12: deferred after a failure, or parked for want of a dead-letter queue: it is still there."""
    group = Group({**SETTINGS, "max_messages": 4, "max_attempts": attempts})
    group.store(1, 4)
    group.apply(commands.settle(UID, [], [[1, 4, 1 << 50, "failed"]], [], []))
    queue = group.machine.queues[UID]
    assert (queue.deferred.total, queue.parked.total) == ((4, 0) if attempts == 0 else (0, 4))
    with pytest.raises(Overloaded, match="holds 4 of 4"):
        group.admit(5, 1)


def test_the_nodes_limit_holds_for_queues_without_one_of_their_own() -> None:
    group = Group(SETTINGS, Limits(queue_messages_max=3))
    group.store(1, 3)
    with pytest.raises(Overloaded, match=r"limits\.queue_messages_max"):
        group.admit(4, 1)


def test_room_goes_to_whoever_was_refused_first() -> None:
    """Overload: of equal producers none gets what another waited for longer."""
    group = Group({**SETTINGS, "max_messages": 4})
    group.store(1, 4)
    early, late = b"early".ljust(16), b"late".ljust(16)
    with pytest.raises(Overloaded):
        group.admit(1, 3, early)
    group.apply(commands.purge(UID, []))
    with pytest.raises(Overloaded):
        group.admit(1, 2, late)  # three of the four places are kept for the other one
    group.admit(1, 3, early)
    with pytest.raises(Overloaded):
        group.admit(1, 2, late)


def test_what_can_never_fit_holds_up_nobody() -> None:
    group = Group({**SETTINGS, "max_messages": 4})
    with pytest.raises(Overloaded):
        group.admit(1, 5)
    group.admit(1, 4, b"other".ljust(16))
