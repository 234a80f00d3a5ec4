"""Credit is a client's word; what is chosen for its connection is bounded all the same."""

from haqactor.config import Limits
from haqactor.machine.actions import Deliver, Propose
from haqactor.machine.dispatcher import Dispatcher
from haqactor.machine.room import GIVEN_BYTES_MAX, Room
from tests.builders.queue_group import ALICE, BOB, Group, Q, leases, ranges

ENDLESS = 1 << 40


def roomy(full: dict[bytes, bool]) -> Group:
    """A group whose sessions take nothing while they are ``full``."""
    group = Group()
    room = Room(lambda session: not full.get(session, False))
    group.dispatcher = Dispatcher(group.machine, group.term, group.limits, group.now, room=room)
    return group


def test_a_turn_chooses_one_share_for_a_session_whatever_its_credit() -> None:
    group = Group()
    group.limits = Limits(reserve_messages=1 << 30)
    group.publish(GIVEN_BYTES_MAX // 40, batches=10)
    group.d.subscribe(ALICE, 1, Q, ENDLESS, ENDLESS, [], group.now)
    group.run()
    chosen: list[int] = []
    while group.d.next_deadline_ns(group.now, group.now) == group.now:
        given = sum(
            part.body_bytes for each in group.work() if isinstance(each, Deliver) for part in each.parts
        )
        assert given < 2 * GIVEN_BYTES_MAX
        chosen.append(given)
    assert len(chosen) > 1, "the next turns give the rest"


def test_for_a_connection_without_room_nothing_is_chosen_until_it_has_some() -> None:
    full = {ALICE: True}
    group = roomy(full)
    group.publish(10)
    group.subscribe(ALICE)
    assert leases(group.run()) == []
    full[ALICE] = False
    assert leases(group.run()) == [], "nobody has said so"
    group.d.room_again(ALICE)
    assert ranges(group.run()) == [(1, 10)]


def turns(group: Group, most: int = 50) -> list[list[tuple[int, int]]]:
    """What each turn gives, until none is due at once any more."""
    given: list[list[tuple[int, int]]] = []
    while group.d.next_deadline_ns(group.now, group.now) == group.now:
        assert len(given) < most, "turn after turn, and no end"
        actions = group.work()
        group.apply(*[action.command for action in actions if isinstance(action, Propose)])
        given.append(ranges(actions))
    return given


def test_the_share_of_a_session_is_no_reason_to_forget_its_other_consumers() -> None:
    """Those before them may use it up, and be done: nobody else would come to look again."""
    group = Group()
    for first in range(1, 6):
        group.claim(first, 1, body_bytes=GIVEN_BYTES_MAX)
    for consumer in range(4):
        group.d.subscribe(ALICE, consumer, Q, 1, ENDLESS, [], group.now)
    assert [row for row in turns(group) if row] == [[(1, 1)], [(2, 2)], [(3, 3)], [(4, 4)]]


def test_what_a_session_does_not_take_is_waited_for_and_not_looked_at_all_the_time() -> None:
    full: dict[bytes, bool] = {}
    group = roomy(full)
    for first in range(1, 4):
        group.claim(first, 1, body_bytes=GIVEN_BYTES_MAX)
    for consumer in range(3):
        group.d.subscribe(ALICE, consumer, Q, 1, ENDLESS, [], group.now)
    group.run()
    full[ALICE] = True
    assert [row for row in turns(group) if row] == []
    assert group.d.next_deadline_ns(group.now, group.now) != group.now
    full.clear()
    group.d.room_again(ALICE)
    assert [row for row in turns(group) if row] == [[(2, 2)], [(3, 3)]]


def test_others_are_served_meanwhile() -> None:
    group = roomy({ALICE: True})
    group.publish(10)
    group.subscribe(ALICE)
    group.subscribe(BOB)
    assert ranges(group.run(), BOB) == [(1, 10)]


def test_a_request_for_one_waits_for_room_as_well() -> None:
    full = {ALICE: True}
    group = roomy(full)
    group.publish(1)
    group.subscribe(ALICE, credit=0)
    group.d.poll_one(ALICE, 1, Q)
    assert group.run() == []
    full.clear()
    group.d.room_again(ALICE)
    assert ranges(group.run()) == [(1, 1)]
