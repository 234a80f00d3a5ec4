"""How much a queue and a group may hold: what is under way counts, what is stored already does not."""

from typing import Any

import pytest

from haqactor import wire
from haqactor.config import Limits
from haqactor.errors import Overloaded, TooLarge
from haqactor.ids import GroupId, Index, Term
from haqactor.machine import commands
from haqactor.machine.machine import GroupMachine
from haqactor.nodes.line import KEPT_NS
from haqactor.nodes.quota import Quota

PRODUCER = b"producer".ljust(16)
NOW_NS = 1_700_000_000_000_000_000
UID = 65_536


class Group:
    """Queues, their leader's quota, and publishes that are answered when a test says so."""

    def __init__(self, *settings: dict[str, Any], limits: Limits | None = None) -> None:
        self.machine = GroupMachine()
        self.quota = Quota(GroupId(3), self.machine, limits or Limits())
        self.answers: list[Any] = []
        self.now_ns = 0
        self._index = 0
        names = ("orders", "bills", "chores")
        rows = [[UID + at, 1, names[at], given] for at, given in enumerate(settings)]
        self.apply(commands.follow_directory(1, [], rows))

    def apply(self, command: commands.Command, body_bytes: int = 0) -> Any:
        self._index += 1
        header = commands.encode(NOW_NS, [command])
        return self.machine.apply(Index(self._index), Term(1), header, body_bytes).replies[0]

    def admit(
        self, first: int, count: int, producer: bytes = PRODUCER, size: int = 100, uid: int = UID
    ) -> Any:
        message = wire.Publish(0, 1, uid, producer, 0, first, count, 1, NOW_NS)
        return self.quota.admit(message, size, lambda reply, _now: self.answers.append(reply), self.now_ns)

    def store(self, first: int, count: int, size: int = 100, uid: int = UID) -> None:
        answer = self.admit(first, count, size=size, uid=uid)
        reply = self.apply(commands.publish(uid, PRODUCER, 0, first, count, 7, 1, NOW_NS, 0, size), size)
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
    group = Group(SETTINGS, limits=Limits(queue_messages_max=3))
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
    with pytest.raises(
        TooLarge, match=r"a batch of 5 messages .* 4 messages are the limit.*max_messages"
    ) as caught:
        group.admit(1, 5)
    assert caught.value.limit == 4
    group.admit(1, 4, b"other".ljust(16))


# -- bytes


def test_bytes_have_a_limit_of_their_own() -> None:
    group = Group({**SETTINGS, "max_bytes": 1_000})
    group.store(1, 3, size=700)
    with pytest.raises(Overloaded, match=r"'orders' holds 700 of 1000 bytes.*max_bytes"):
        group.admit(4, 1, size=301)
    group.store(4, 1, size=300)
    with pytest.raises(Overloaded, match="holds 1000 of 1000 bytes"):
        group.admit(5, 1, size=1)
    group.apply(commands.settle(UID, [[1, 2]], [], [], []))
    group.store(5, 1, size=466)  # two thirds of the first batch, rounded down
    with pytest.raises(Overloaded):
        group.admit(6, 1, size=1)


def test_bytes_under_way_count() -> None:
    group = Group({**SETTINGS, "max_bytes": 1_000})
    answer = group.admit(1, 1, size=600)
    with pytest.raises(Overloaded, match="holds 600 of 1000 bytes"):
        group.admit(2, 1, size=600)
    answer(Overloaded("too much waits"), 0)
    group.store(1, 1, size=1_000)


def test_a_message_that_can_never_fit_is_too_large_at_once() -> None:
    group = Group({**SETTINGS, "max_bytes": 1_000})
    group.store(1, 1, size=1_000)
    with pytest.raises(
        TooLarge, match=r"a message of 1001 bytes .* 1000 bytes are the limit.*max_bytes"
    ) as caught:
        group.admit(2, 1, size=1_001)
    assert caught.value.limit == 1_000


def test_nobody_hears_that_what_is_under_way_is_not_stored() -> None:
    """A limit was lowered while a publish was under way, and it is sent again: it may yet be stored."""
    group = Group({**SETTINGS, "max_bytes": 1_000})
    first = group.admit(1, 1, size=900)
    lower = {**SETTINGS, "max_bytes": 100}
    group.apply(commands.follow_directory(2, [], [[UID, 2, "orders", lower]]))
    with pytest.raises(Overloaded):
        group.admit(1, 1, size=900)
    first(Overloaded("too much waits"), 0)
    with pytest.raises(TooLarge):
        group.admit(1, 1, size=900)


def test_the_nodes_limit_of_bytes_holds_for_every_queue() -> None:
    group = Group(SETTINGS, {**SETTINGS, "max_bytes": 900}, limits=Limits(queue_bytes_max=500))
    for uid in (UID, UID + 1):
        group.store(1, 1, size=500, uid=uid)
        with pytest.raises(Overloaded, match=r"limits\.queue_bytes_max"):
            group.admit(2, 1, size=1, uid=uid)


def test_by_default_bytes_and_groups_have_no_limit() -> None:
    group = Group(SETTINGS, SETTINGS)
    group.admit(1, 256, size=1 << 30)
    group.admit(1, 256, size=1 << 30, uid=UID + 1)


# -- the group


def test_all_queues_of_a_group_share_its_limit() -> None:
    group = Group(SETTINGS, SETTINGS, limits=Limits(group_messages_max=10))
    group.store(1, 7)
    with pytest.raises(Overloaded) as caught:
        group.admit(1, 4, uid=UID + 1)
    assert str(caught.value) == (
        "group 3, to which queue 'bills' belongs, holds 7 of 10 messages, most of them in queue 'orders': "
        "consume or purge some, or raise limits.group_messages_max"
    )
    group.store(1, 3, uid=UID + 1)
    group.apply(commands.follow_directory(2, [UID], []))
    group.store(4, 7, uid=UID + 1)


def test_a_group_has_a_limit_of_bytes_and_what_is_under_way_counts() -> None:
    group = Group(SETTINGS, SETTINGS, limits=Limits(group_bytes_max=1_000))
    answer = group.admit(1, 1, size=600)
    with pytest.raises(Overloaded, match=r"holds 600 of 1000 bytes.*limits\.group_bytes_max"):
        group.admit(1, 1, size=500, uid=UID + 1)
    answer(Overloaded("too much waits"), 0)
    group.admit(1, 1, size=500, uid=UID + 1)
    with pytest.raises(TooLarge, match=r"limits\.group_bytes_max"):
        group.admit(1, 1, size=1_001)


def test_dead_letters_are_never_refused_and_change_nothing_in_the_sum() -> None:
    source = {**SETTINGS, "max_attempts": 1, "dead_letter": "bills"}
    limits = Limits(group_messages_max=6, group_bytes_max=1_000)
    group = Group(source, {**SETTINGS, "max_messages": 1, "max_bytes": 1}, limits=limits)
    group.store(1, 3, size=1_000)
    group.apply(commands.settle(UID, [], [[2, 3, 0, "failed"]], [], []))
    held = group.machine.held
    assert (held.messages, held.bytes) == (3, 1_000)
    assert [queue.bytes for queue in group.machine.queues.values()] == [333, 667]


def test_room_in_a_group_goes_to_whoever_was_refused_first() -> None:
    group = Group(SETTINGS, SETTINGS, limits=Limits(group_messages_max=4))
    group.store(1, 4)
    early, late = b"early".ljust(16), b"late".ljust(16)
    with pytest.raises(Overloaded):
        group.admit(1, 3, early)
    group.apply(commands.purge(UID, []))
    with pytest.raises(Overloaded):
        group.admit(1, 2, late, uid=UID + 1)
    group.admit(1, 3, early)
    with pytest.raises(Overloaded, match=r"holds 3 of 4 messages.*, and others wait for the rest"):
        group.admit(1, 1, b"third".ljust(16), uid=UID + 1)


def test_who_waits_for_a_queue_keeps_no_room_of_the_group() -> None:
    limits = Limits(group_messages_max=6)
    group = Group({**SETTINGS, "max_messages": 3}, SETTINGS, limits=limits)
    group.store(1, 2)
    group.store(1, 3, uid=UID + 1)
    waits = b"waits".ljust(16)
    with pytest.raises(Overloaded, match="'orders' holds 2 of 3"):
        group.admit(1, 2, waits)
    group.store(4, 1, uid=UID + 1)
    group.apply(commands.purge(UID + 1, []))
    group.admit(5, 4, uid=UID + 1)


def test_a_place_in_a_queue_is_kept_while_the_group_is_full() -> None:
    limits = Limits(group_messages_max=6)
    group = Group({**SETTINGS, "max_messages": 3}, SETTINGS, limits=limits)
    group.store(1, 3)
    group.store(1, 1, uid=UID + 1)
    early, late = b"early".ljust(16), b"late".ljust(16)
    with pytest.raises(Overloaded, match="'orders' holds"):
        group.admit(1, 3, early)
    group.apply(commands.settle(UID, [[1, 3]], [], [], []))
    group.store(2, 3, uid=UID + 1)
    for _ in range(3):
        group.now_ns += KEPT_NS
        with pytest.raises(Overloaded, match="group 3"):
            group.admit(1, 3, early)
    with pytest.raises(Overloaded, match="'orders' holds"):
        group.admit(1, 1, late)
    group.apply(commands.purge(UID + 1, []))
    group.admit(1, 3, early)


def test_a_retry_of_what_is_stored_passes_in_a_full_group() -> None:
    group = Group(SETTINGS, limits=Limits(group_messages_max=4, group_bytes_max=100))
    group.store(1, 4)
    group.store(1, 4)
