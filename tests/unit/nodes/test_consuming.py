"""Consumers at the leader: whose subscription counts, what a settlement is answered, and when."""

from typing import Any, cast

import pytest
from trio.testing import MockClock

from haqactor import wire
from haqactor.machine import commands
from haqactor.nodes.sessions import ClientSession, Disconnected
from tests.builders.served_queue import GROUP, place
from tests.builders.service_actor import ServedSession, trio_now


async def test_deliveries_and_settlements() -> None:
    """A settlement is answered with what it refused, once it has applied."""
    async with place() as here:
        here.publish(here.alice, [b"a", b"b"])
        rid = here.subscribe(here.bob)
        assert here.bob.answers[rid][0]["lost"] == []
        (lease,) = here.deliver(here.bob)
        assert lease[2:] == [1, 2]
        done = here.settle(here.bob, [lease])
        here.service.work(trio_now())
        assert done not in here.bob.answers
        here.actor.commit(here.service)
        assert here.bob.answers[done] == [[]]
        here.publish(here.alice, [b"c"])
        here.turn()
        never = here.settle(here.bob, [[1, 99, 3, 3]])
        here.turn()
        here.confirm()
        assert here.bob.answers[never] == [[(3, 3)]]


async def test_a_refused_settlement_is_a_read() -> None:
    """Whoever leads no more, and does not know it, may not know of the lease either: it said that it was
    lost, while the leader that had given it away had stored the acknowledgement. Seed 861903 of profile
    swarm."""
    async with place() as here:
        here.subscribe(here.bob)
        first = here.settle(here.bob, [[2, 1, 25, 25]])
        here.turn()
        assert first not in here.bob.answers
        here.confirm(ok=False)
        assert here.bob.answers[first] == ["not_leader"]
        second = here.settle(here.bob, [[2, 1, 25, 25]])
        here.turn()
        here.confirm()
        assert here.bob.answers[second] == [[(25, 25)]]


async def test_a_settlement_that_comes_again_over_a_new_connection_is_no_lost_lease() -> None:
    """The first copy had not applied, nor been answered, when its connection broke."""
    async with place() as here:
        here.publish(here.alice, [b"a", b"b"])
        here.subscribe(here.bob)
        (lease,) = here.deliver(here.bob)
        reject = wire.Settle(0, GROUP, here.uid, 1, [], [], [[*lease, "bad"]], [], [], 0, 0)
        here.bob.ask(here.service, reject)
        here.service.work(trio_now())
        here.service.disconnected(Disconnected(cast(ClientSession, here.bob)), trio_now())
        back = ServedSession(b"bob")
        here.subscribe(back, attempt=2)
        again = back.ask(here.service, reject)
        assert again not in back.answers, "what is not committed is not confirmed"
        here.turn()
        assert back.answers[again] == [[]]
        assert here.service.machine.queues[here.uid].depth == 0
        later = back.ask(here.service, reject)
        assert back.answers[later] == [[]]


async def test_polls(autojump_clock: MockClock) -> None:
    """One message or, confirmed by a read, none."""
    async with place() as here:
        here.subscribe(here.bob, credit=0)
        here.turn()
        empty = here.bob.ask(here.service, wire.Poll(0, GROUP, here.uid, 1))
        here.turn()
        assert empty not in here.bob.answers
        here.confirm()
        assert here.bob.answers[empty] == [False]
        lost = here.bob.ask(here.service, wire.Poll(0, GROUP, here.uid, 1))
        here.turn()
        here.confirm(ok=False)
        assert here.bob.answers[lost] == ["not_leader"]
        here.publish(here.alice, [b"a", b"b"])
        here.turn()
        found = here.bob.ask(here.service, wire.Poll(0, GROUP, here.uid, 1))
        assert [lease[2:] for lease in here.deliver(here.bob)] == [[1, 1]]
        assert here.bob.answers[found] == [True]


async def test_a_subscription_that_was_overtaken_changes_nothing() -> None:
    """Sent through another node and slower than a later one, or than the consumer's end: what would be
    delivered its way, nobody takes any more, and it stayed leased until it expired."""
    async with place() as here:
        slow = ServedSession(b"alice")
        new = here.subscribe(here.alice, attempt=2)
        old = here.subscribe(slow, attempt=1)
        here.deliver(here.alice)
        here.actor.commit(here.service)
        here.publish(here.bob, [b"a"])
        here.turn()
        assert [len(here.deliver(each)) for each in (slow, here.alice)] == [0, 1]
        assert (here.alice.answers[new][0]["lost"], slow.answers[old]) == ([], ["conflict"])
        gone = here.alice.ask(here.service, wire.Unsubscribe(0, GROUP, 1))
        here.turn()
        late = here.subscribe(slow, attempt=3)
        assert slow.answers[late] == ["conflict"]
        assert here.alice.answers[gone] == [True]


async def test_credit_of_an_older_connection_is_not_added_to_the_newer_ones() -> None:
    """Q15: the new subscription has said all that its consumer has room for."""
    async with place() as here:
        old = ServedSession(b"alice")
        here.subscribe(old, credit=1, attempt=1)
        here.subscribe(here.alice, credit=1, attempt=2)
        old.ask(here.service, wire.Credit(GROUP, 1, 5, 1 << 20))
        settled = [[1, 1, 1, 1]]
        old.ask(here.service, wire.Settle(0, GROUP, here.uid, 1, settled, [], [], [], [], 5, 1 << 20))
        for body in (b"a", b"b", b"c"):
            here.publish(here.bob, [body])
        assert len(here.deliver(here.alice)) == 1
        here.alice.ask(here.service, wire.Credit(GROUP, 1, 1, 1 << 20))
        assert len(here.deliver(here.alice)) == 1


async def test_a_settlement_comes_by_the_way_of_its_subscription() -> None:
    """What an older connection, or a node's hop, still brings is said again over the newer one, and the
    verdict there stays the last: a refused acknowledgement must not be taken late behind it."""
    async with place() as here:
        old = ServedSession(b"alice")
        here.subscribe(old, attempt=1)
        here.publish(here.bob, [b"a"])
        (lease,) = here.deliver(old)
        here.subscribe(here.alice, attempt=2)  # without a claim: it goes back
        here.turn()
        (again,) = here.deliver(here.alice)
        late = here.settle(old, [lease])
        refused = here.settle(here.alice, [lease])
        here.turn()
        here.confirm()
        assert (old.answers[late], here.alice.answers[refused]) == (["not_leader"], [[(1, 1)]])
        here.service.disconnected(Disconnected(cast(Any, here.alice)), trio_now())
        later = here.settle(old, [lease])
        here.turn()
        assert old.answers[later] == ["not_leader"]
        here.subscribe(here.alice, attempt=3)
        here.turn()
        (again,) = here.deliver(here.alice)
        here.alice.ask(here.service, wire.Unsubscribe(0, GROUP, 1))
        here.turn()
        after = here.settle(here.alice, [again])
        here.turn()
        assert here.alice.answers[after] == [[]]


async def test_a_connection_that_ended_is_not_subscribed() -> None:
    """Its leases would have nobody to lose them."""
    async with place() as here:
        here.publish(here.alice, [b"a"])
        here.bob.open = False
        here.subscribe(here.bob)
        assert here.deliver(here.bob) == []
        assert here.bob.answers == {}


async def test_unsubscribe_is_answered_when_what_was_held_is_back() -> None:
    """So that who asks then finds it ready; with nothing held it is answered at once."""
    async with place() as here:
        here.publish(here.alice, [b"a", b"b"])
        here.subscribe(here.bob)
        here.deliver(here.bob)
        gone = here.bob.ask(here.service, wire.Unsubscribe(0, GROUP, 1))
        here.service.work(trio_now())
        assert gone not in here.bob.answers
        here.turn()
        assert here.bob.answers[gone] == [True]
        info = here.alice.ask(here.service, wire.Info(0, GROUP, here.uid))
        here.turn()
        here.confirm()
        assert (here.alice.answers[info][0]["ready"], here.alice.answers[info][0]["leased"]) == (2, 0)
        again = here.bob.ask(here.service, wire.Unsubscribe(0, GROUP, 1))
        assert here.bob.answers[again] == [True]


@pytest.mark.parametrize(("proposed", "code"), [(True, "outcome_unknown"), (False, "not_leader")])
async def test_unsubscribe_ends_with_the_term(proposed: bool, code: str) -> None:
    """The client asks the next leader."""
    async with place() as here:
        here.publish(here.alice, [b"a"])
        here.subscribe(here.bob)
        here.deliver(here.bob)
        gone = here.bob.ask(here.service, wire.Unsubscribe(0, GROUP, 1))
        if proposed:
            here.service.work(trio_now())
        here.service.follow(trio_now())
        assert here.bob.answers[gone] == [code]


async def test_unsubscribe_from_a_queue_that_is_deleted_meanwhile() -> None:
    """Nothing is held there any more."""
    async with place() as here:
        here.publish(here.alice, [b"a"])
        here.subscribe(here.bob)
        here.deliver(here.bob)
        here.change(commands.delete("q", 0))
        here.service.work(trio_now())
        gone = here.bob.ask(here.service, wire.Unsubscribe(0, GROUP, 1))
        here.turn()
        assert here.bob.answers[gone] == [True]
