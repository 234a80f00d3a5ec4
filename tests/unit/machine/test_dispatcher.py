"""Credit, leases, openings, timers: what a leader decides, and what it must not."""

from typing import Any

import pytest

from haqactor.config import Limits
from haqactor.errors import InvalidArgument, NotFound, NotLeader, ProtocolError
from haqactor.machine import commands
from haqactor.machine.actions import ConsumerGone, Deliver, LeaseLost, Opened, PollAnswered, Propose
from haqactor.machine.commands import Cause, Op
from haqactor.machine.dispatcher import Dispatcher
from haqactor.machine.producers import ANONYMOUS_EXPIRY_NS
from tests.builders.queue_group import ALICE, BEGAN, BOB, DEAD, NS, Group, Q, leases, ranges


def serving(*, messages: int = 10, credit: int = 512, **settings: Any) -> tuple[Group, list[list[int]]]:
    """A group whose consumer ALICE holds what her credit allows."""
    group = Group(**settings)
    group.publish(messages)
    group.subscribe(ALICE, credit=credit)
    return group, leases(group.run())


# -- delivery and credit


def test_nothing_is_leased_before_the_log_names_the_consumer() -> None:
    group = Group()
    group.publish(10)
    group.subscribe(ALICE)
    (proposal,) = group.work()
    assert isinstance(proposal, Propose)
    command = proposal.command
    assert command[:2] == [Op.RESERVE, Q]
    assert command[2] >= 11
    assert command[3] == [[ALICE, 1]]
    group.apply(command)
    assert ranges(group.work()) == [(1, 10)]


def test_a_whole_batch_goes_as_it_is_stored() -> None:
    group = Group()
    group.publish(10, batches=2)
    group.subscribe(ALICE)
    (deliver,) = [action for action in group.run() if isinstance(action, Deliver)]
    assert [(part.base, part.ranges, part.rows) for part in deliver.parts] == [
        (1, ((1, 10),), None),
        (11, ((11, 20),), None),
    ]
    assert [part.entry_index for part in deliver.parts] == [2, 3]
    assert deliver.lease_ns == 30 * NS


def test_credit_bounds_what_is_in_flight() -> None:
    group = Group()
    group.publish(10, batches=5)
    group.subscribe(ALICE, credit=25)
    assert ranges(group.run()) == [(1, 10), (11, 20)], "a batch waits until enough credit is back"
    group.d.credit(ALICE, 1, 5, 100)
    assert ranges(group.run()) == [(21, 30)]
    assert ranges(group.run()) == []


def test_a_batch_is_sliced_for_a_consumer_whose_whole_credit_is_smaller() -> None:
    group = Group()
    group.publish(10)
    group.subscribe(ALICE, credit=3)
    (deliver,) = [action for action in group.run() if isinstance(action, Deliver)]
    assert [(part.base, part.ranges, part.rows) for part in deliver.parts] == [(-1, ((1, 3),), (0, 1, 2))]
    group.settle(ALICE, acks=[[1, 1, 1, 3]])
    group.d.credit(ALICE, 1, 3, 1000)
    assert ranges(group.run()) == [(4, 6)]


def test_a_message_larger_than_all_credit_comes_alone() -> None:
    group = Group()
    group.publish(1, batches=3)
    group.d.subscribe(ALICE, 1, Q, 10, 5, [], group.now)
    delivered = leases(group.run())
    assert [row[2:] for row in delivered] == [[1, 1]]
    group.settle(ALICE, acks=delivered)
    group.d.credit(ALICE, 1, 1, 10)
    assert ranges(group.run()) == [(2, 2)]


def test_consumers_take_turns() -> None:
    group = Group()
    group.publish(1, batches=40)
    group.subscribe(ALICE)
    group.subscribe(BOB)
    actions = group.run()
    alice, bob = ranges(actions, ALICE), ranges(actions, BOB)
    assert abs(len(alice) - len(bob)) <= 6
    assert sorted(alice + bob) == [(seq, seq) for seq in range(1, 41)]
    assert alice == sorted(alice)
    assert bob == sorted(bob)


def test_the_reserve_mark_is_raised_before_it_is_needed() -> None:
    group = Group(Limits(reserve_messages=4))
    group.publish(10, batches=3)
    group.subscribe(ALICE)
    delivered = ranges(group.run())
    assert delivered == [(1, 10), (11, 20), (21, 30)]
    assert group.machine.queues[Q].reserve > 30


def test_a_subscription_to_what_is_not_there() -> None:
    group = Group()
    with pytest.raises(NotFound):
        group.subscribe(ALICE, uid=99)
    with pytest.raises(ProtocolError):
        group.subscribe(ALICE, [1, 2, 3])
    with pytest.raises(NotLeader):
        group.d.poll_one(ALICE, 1, Q)


def test_a_poll_takes_one_message_and_none_means_none() -> None:
    group = Group()
    group.publish(10)
    group.subscribe(ALICE, credit=0)
    assert ranges(group.run()) == []
    group.d.poll_one(ALICE, 1, Q)
    actions = group.run()
    assert ranges(actions) == [(1, 1)]
    assert actions[-1] == PollAnswered(ALICE, 1, Q, True)
    for _ in range(9):
        group.d.poll_one(ALICE, 1, Q)
    assert len(ranges(group.run())) == 9
    group.d.poll_one(ALICE, 1, Q)
    assert group.run() == [PollAnswered(ALICE, 1, Q, False)]


# -- settlements


def test_an_acknowledgement_is_for_ever() -> None:
    group, rows = serving()
    assert group.settle(ALICE, acks=rows).refused == []
    assert group.machine.queues[Q].depth == 0
    again = group.judge(ALICE, acks=rows)
    assert again.command is None
    assert again.refused == [], "gone already is no loss"


def test_a_late_acknowledgement_counts_while_nobody_else_has_the_message() -> None:
    group, rows = serving(lease=5, credit=10)
    assert group.run(6) == [LeaseLost(ALICE, 1, Q, rows)]
    assert group.machine.queues[Q].failures.get(1) == 0, "uncharged, the first time"
    assert group.settle(ALICE, acks=[[*rows[0][:2], 1, 4]]).refused == []
    group.subscribe(BOB)
    assert ranges(group.run()) == [(5, 5)], "suspects are delivered alone"
    judged = group.settle(ALICE, acks=rows)
    assert judged.refused == [(5, 5)], "re-leased: refused for that message only"
    assert group.machine.queues[Q].depth == 1


def test_a_lease_that_its_consumer_spoke_of_makes_no_suspects() -> None:
    group, rows = serving(lease=5, credit=10)
    group.settle(ALICE, acks=[[*rows[0][:2], 1, 1]], started=[[2, 2]])
    group.run(6)
    queue = group.machine.queues[Q]
    assert not queue.suspects
    assert queue.failures.runs(2, 10) == [(2, 2, 1), (3, 10, 0)]


def test_an_acknowledgement_that_races_the_return_of_its_lease() -> None:
    group, rows = serving(lease=5)
    proposed = [action.command for action in group.work(6) if isinstance(action, Propose)]
    judged = group.judge(ALICE, acks=rows)
    assert judged.refused == []
    assert judged.command is not None
    group.subscribe(BOB)
    group.apply(*proposed)
    assert ranges(group.run()) == [], "not leased again while its acknowledgement is in the log"
    group.apply(judged.command)
    assert group.machine.queues[Q].depth == 0
    assert ranges(group.run()) == []


def test_nobody_acknowledges_what_was_never_delivered() -> None:
    group, _rows = serving(credit=3)
    assert group.judge(BOB, acks=[[1, 1, 1, 3]]).refused == [(1, 3)]
    assert group.judge(BOB, acks=[[1, 9, 4, 10]]).refused == [(4, 10)]
    assert group.judge(ALICE, acks=[[1, 1, 1, 99]]).refused == [(4, 99)]


def test_a_nack_goes_back_to_its_place_after_its_delay() -> None:
    group, rows = serving(credit=10, backoff=1.0)
    term, counter = rows[0][:2]
    group.publish(1)
    group.settle(ALICE, nacks=[[term, counter, 2, 3, -1, "no"]], releases=[[term, counter, 5, 5]])
    assert group.d.info(Q)["delayed"] == 2
    group.d.credit(ALICE, 1, 512, 1000)
    assert ranges(group.run()) == [(5, 5), (11, 11)]
    deadline = group.d.next_deadline_ns(group.now, BEGAN + group.now)
    assert deadline is not None
    assert 0 < deadline - group.now <= NS
    (deliver,) = [action for action in group.run(1.1) if isinstance(action, Deliver)]
    assert deliver.parts[0].ranges == ((2, 3),)
    assert deliver.parts[0].attempts == ((2, 1), (3, 1))


def test_a_nack_needs_a_lease_that_is_held() -> None:
    group, rows = serving()
    term, counter = rows[0][:2]
    group.settle(ALICE, acks=[[term, counter, 1, 5]])
    judged = group.judge(ALICE, nacks=[[term, counter, 1, 6, 0, "no"]])
    assert judged.refused == [(1, 5)]
    assert judged.command is not None
    assert judged.command[3] == [[6, 6, 0, "no"]]
    assert group.judge(BOB, rejects=[[term, counter, 7, 7, "no"]]).refused == [(7, 7)]


def test_attempts_used_up_go_to_the_dead_letter_queue() -> None:
    group, rows = serving(max_attempts=2, dead_letter="q.dead")
    term, counter = rows[0][:2]
    group.settle(ALICE, nacks=[[term, counter, 4, 5, 0, "first"]])
    rows = leases(group.run())
    group.settle(ALICE, nacks=[[*rows[0], 0, "second"]])
    assert group.run() == []
    group.subscribe(BOB, uid=DEAD)
    (deliver,) = [action for action in group.run() if isinstance(action, Deliver)]
    (part,) = deliver.parts
    assert (part.ranges, part.rows, part.entry_index) == (((1, 2),), (3, 4), 2)
    origin = group.machine.queues[DEAD].origins[1]
    assert (origin.uid, origin.seq, origin.reason, origin.attempts) == (Q, 4, "second", 2)
    assert group.machine.info(Q)["dead"] == 2


# -- sessions that are lost


def test_a_lost_session_may_come_back_within_the_grace() -> None:
    group, rows = serving()
    group.d.session_lost(ALICE, group.now)
    assert group.run(1.5) == []
    assert group.subscribe(ALICE, [*rows[0], False]) == []
    assert group.run(5) == []
    assert group.settle(ALICE, acks=rows).refused == []


def test_what_a_returning_session_does_not_claim_goes_back_uncharged() -> None:
    group, rows = serving()
    group.d.session_lost(ALICE, group.now)
    term, counter = rows[0][:2]
    assert group.subscribe(ALICE, [term, counter, 1, 4, True], credit=100) == []
    assert ranges(group.run()) == [(5, 10)]
    assert group.machine.queues[Q].failures.get(5) == 0


def test_only_started_messages_of_a_lost_session_are_charged() -> None:
    group, rows = serving()
    group.settle(ALICE, acks=[[*rows[0][:2], 1, 2]], started=[[3, 3]])
    group.d.session_lost(ALICE, group.now)
    group.run(2.1)
    queue = group.machine.queues[Q]
    assert queue.failures.runs(3, 10) == [(3, 3, 1), (4, 10, 0)]
    assert not queue.suspects
    assert group.subscribe(ALICE, [*rows[0][:2], 3, 10, True]) == [(3, 10)]


def test_without_a_report_they_are_suspects_and_delivered_alone() -> None:
    group, _rows = serving(messages=3)
    group.d.session_lost(ALICE, group.now)
    group.run(2.1)
    assert list(group.machine.queues[Q].suspects) == [(1, 3)]
    group.subscribe(BOB)
    rows = leases(group.run())
    assert [row[2:] for row in rows] == [[1, 1]]
    group.settle(BOB, acks=rows)
    rows = leases(group.run())
    assert [row[2:] for row in rows] == [[2, 2]]
    group.d.session_lost(BOB, group.now)
    group.run(2.1)
    assert group.machine.queues[Q].failures.runs(1, 3) == [(1, 1, 0), (2, 2, 1), (3, 3, 0)]


def test_a_consumer_that_leaves_gives_back_uncharged() -> None:
    group, _rows = serving()
    group.d.unsubscribe(ALICE, 1)
    group.subscribe(BOB)
    assert ranges(group.run()) == [(1, 10)]
    assert not group.machine.queues[Q].suspects


def test_renewal_of_a_part_renews_that_part() -> None:
    group, rows = serving(lease=5)
    term, counter = rows[0][:2]
    group.now += 4 * NS
    renewed = [[term, counter, 1, 3], [term, counter, 9, 12]]
    assert group.d.extend(ALICE, 1, Q, renewed, 5 * NS, group.now) == [(11, 12)]
    group.d.unsubscribe(BOB, 1)
    lost = [action.leases for action in group.run(2) if isinstance(action, LeaseLost)]
    assert lost == [[[term, counter, 4, 8]]]
    assert group.d.extend(ALICE, 1, Q, [[term, counter, 3, 4]], 5 * NS, group.now) == [(4, 4)]
    with pytest.raises(InvalidArgument):
        group.d.extend(ALICE, 1, Q, rows, 0, group.now)


# -- a new leader


def test_a_new_leader_waits_for_those_the_log_names() -> None:
    group, rows = serving(credit=6)
    group.new_term()
    group.publish(5)
    group.subscribe(BOB)
    assert group.run(1.0) == []
    assert group.subscribe(ALICE, [*rows[0], False]) == []
    actions = group.run()
    assert actions[0] == Opened(Q)
    assert ranges(actions) == [(7, 10), (11, 15)]
    assert group.settle(ALICE, acks=rows).refused == []
    assert group.machine.queues[Q].low == 7


def test_a_new_leader_waits_no_longer_than_the_grace() -> None:
    group, rows = serving()
    group.new_term()
    group.subscribe(BOB)
    assert group.run(1.9) == []
    deadline = group.d.next_deadline_ns(group.now, BEGAN + group.now)
    assert deadline is not None
    assert deadline <= group.now + NS
    proposed = [action.command for action in group.work(0.2) if isinstance(action, Propose)]
    assert [c[:4] for c in proposed if c[0] == Op.RETURN] == [[Op.RETURN, Q, Cause.LEADER_CHANGE, [(1, 10)]]]
    group.apply(*proposed)
    assert ranges(group.run()) == [(1, 10)]
    assert group.subscribe(ALICE, [*rows[0], True]) == [(1, 10)], "too late"
    assert group.machine.queues[Q].failures.get(1) == 0


def test_a_closed_session_is_not_waited_for() -> None:
    group, _rows = serving()
    group.new_term()
    group.subscribe(BOB)
    group.d.session_closed(ALICE)
    assert ranges(group.run()) == [(1, 10)]


def test_a_consumer_that_ended_meanwhile_is_not_waited_for() -> None:
    group, _rows = serving()
    group.new_term()
    group.subscribe(BOB)
    group.d.unsubscribe(ALICE, 1)
    assert ranges(group.run()) == [(1, 10)]


def test_before_the_opening_old_acknowledgements_count_and_others_wait() -> None:
    group, rows = serving()
    term, counter = rows[0][:2]
    group.new_term()
    assert group.settle(ALICE, acks=[[term, counter, 1, 3]]).refused == []
    assert group.judge(ALICE, nacks=[[term, counter, 4, 4, 0, "no"]]).later
    assert group.judge(ALICE, releases=[[term, counter, 4, 4]]).later
    group.subscribe(ALICE, [term, counter, 4, 10, False])
    assert group.run() == [Opened(Q)]
    judged = group.judge(ALICE, nacks=[[term, counter, 4, 4, 0, "no"]])
    assert not judged.later
    assert judged.refused == []


def test_what_is_claimed_after_its_deferral_ended_is_ready_for_nobody_else() -> None:
    """Found by the core simulator (seed 3): the nack applied, its answer was lost with the leader, and the
    delay ended while the next leader still waited for claims."""
    group, rows = serving()
    term, counter = rows[0][:2]
    group.settle(ALICE, nacks=[[term, counter, 2, 3, NS // 2, "later"]])
    group.new_term()
    group.subscribe(BOB)
    assert ranges(group.run(0.6)) == []  # a tick brought 2 and 3 back
    assert group.subscribe(ALICE, [term, counter, 1, 10, False]) == []
    assert ranges(group.run(0.1)) == []
    assert group.d.leased(Q) == (10, 2)


def test_of_two_claims_the_higher_lease_wins() -> None:
    group, old = serving()
    group.new_term()
    group.subscribe(BOB)
    new = leases(group.run(2.5), BOB)
    group.new_term()
    assert group.subscribe(ALICE, [*old[0], False]) == []
    assert group.subscribe(BOB, [*new[0], False]) == []
    lost = [action for action in group.run() if isinstance(action, LeaseLost)]
    assert [(action.session, row) for action in lost for row in action.leases] == [
        (ALICE, [*old[0][:2], 1, 10])
    ]
    assert group.subscribe(ALICE, [*old[0], False]) == [(1, 10)]
    assert group.judge(ALICE, acks=old).refused == [(1, 10)]
    assert group.settle(BOB, acks=new).refused == []


def test_many_claims_under_one_lease_are_one_record() -> None:
    """One record for each row made it quadratic: ten thousand claims held a leader for seconds."""
    group, rows = serving(messages=300)
    term, counter = rows[0][:2]
    group.new_term()
    claims = [[term, counter, seq, seq, seq < 20] for seq in range(1, 301)]
    assert group.subscribe(ALICE, *claims) == []
    group.subscribe(BOB, [term, counter + 1, 1, 300, False])
    (lost,) = [action for action in group.run() if isinstance(action, LeaseLost)]
    assert lost.leases == [[term, counter, 1, 300]]


def test_an_open_queue_of_nobody_opens_at_once() -> None:
    group = Group()
    group.publish(4)
    group.new_term()
    group.subscribe(BOB)
    assert ranges(group.run()) == [(1, 4)]


def test_sessions_that_died_with_this_node_are_not_waited_for() -> None:
    group, _rows = serving()
    group.new_term()
    group.dispatcher = Dispatcher(
        group.machine, group.term, group.limits, group.now, died=lambda session: session == ALICE
    )
    group.subscribe(BOB)
    assert ranges(group.run()) == [(1, 10)]


# -- purge, delete, timers


def test_purge_spares_what_is_leased() -> None:
    group, rows = serving(credit=3)
    command = group.d.purge(Q)
    assert command is not None
    group.d.credit(ALICE, 1, 512, 10_000)
    assert ranges(group.run()) == [], "nothing is leased while a purge is on its way"
    assert group.apply(command) == [7]
    assert ranges(group.run()) == []
    assert group.settle(ALICE, acks=rows).refused == []
    assert group.machine.queues[Q].depth == 0
    group.publish(2)
    assert ranges(group.run()) == [(11, 12)]


def test_purge_waits_for_the_opening() -> None:
    group, _rows = serving()
    group.new_term()
    assert group.d.purge(Q) is None
    assert group.run(2.1) == [Opened(Q)]
    command = group.d.purge(Q)
    assert command is not None
    assert group.apply(command) == [10]


def test_a_deleted_queue_ends_its_consumers_and_its_name_returns_empty() -> None:
    group, rows = serving()
    settings = group.machine.queues[Q].settings
    group.apply(commands.follow_directory(2, [Q], [[30, 1, "q", settings]]))
    gone, opened = group.run()
    assert isinstance(gone, ConsumerGone)
    assert (gone.session, gone.uid, gone.code) == (ALICE, Q, "not_found")
    assert opened == Opened(Q), "what waited for its opening has to hear of its end"
    assert group.run(seconds=100) == [], "its leases expire no more"
    with pytest.raises(NotFound):
        group.judge(ALICE, acks=rows)
    assert group.judge(ALICE, uid=30, acks=rows).refused == [(1, 10)]


def test_a_tick_is_proposed_when_due_and_once() -> None:
    group = Group()
    group.publish(1)
    group.d.work(group.now, BEGAN + group.now)
    group.now += ANONYMOUS_EXPIRY_NS
    assert group.work() == []
    assert group.work(1) == [Propose(commands.tick(sessions=True))]
    assert group.work() == []
    group.apply(commands.tick(sessions=True))
    assert group.work() == []
    assert group.d.next_deadline_ns(group.now, BEGAN + group.now) is None


def test_sessions_do_not_expire_in_the_grace_of_a_term() -> None:
    group = Group()
    group.publish(1)
    group.now += ANONYMOUS_EXPIRY_NS + NS
    group.new_term()
    assert group.work() == []
    assert group.d.next_deadline_ns(group.now, BEGAN + group.now) == group.now + 2 * NS
    assert group.work(2) == [Propose(commands.tick(sessions=True))]


def test_the_leaders_limits_are_proposed() -> None:
    group = Group(Limits(producer_sessions_max=7))
    assert group.work() == [Propose(commands.limits(7))]


def test_info_counts_leased_apart() -> None:
    group, rows = serving(credit=4)
    info = group.d.info(Q)
    assert (info["ready"], info["leased"], info["consumers"]) == (6, 4, 1)
    group.judge(ALICE, acks=rows)
    assert group.d.info(Q)["leased"] == 4, "being settled is not ready"
