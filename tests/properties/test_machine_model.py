"""The machine and its dispatcher against a reference model, under every order of events that Hypothesis
finds.

Checked: the machine equals the model after each entry, also after snapshots taken at any time and read while
it went on; nothing settled is delivered again; nothing is leased twice at once; first deliveries keep their
order; what is delivered is the content that was published; in the end everything is delivered.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from haqactor import wire
from haqactor.config import Limits, QueueConfig
from haqactor.errors import SequenceConflict, SequenceExpired, SequenceGap
from haqactor.ids import Index, Term
from haqactor.machine import commands
from haqactor.machine.actions import Deliver, LeaseLost, Opened, PollAnswered, Propose
from haqactor.machine.commands import Command
from haqactor.machine.dispatcher import Dispatcher
from haqactor.machine.machine import GroupMachine
from tests.builders.consumers import TestConsumer, runs, sequences
from tests.builders.queue_model import Model

NS = 1_000_000_000
BEGAN = 1_700_000_000 * NS
WORK, DEAD, PLAIN = 10, 11, 12
QUEUES = st.sampled_from([WORK, PLAIN])
PRODUCERS = [(b"anonymous-1".ljust(16), 0), (b"named-1".ljust(16), 1)]
SESSIONS = [b"session-1".ljust(16), b"session-2".ljust(16), b"session-3".ljust(16)]


class MachineAgainstModel(RuleBasedStateMachine):
    """One group with three queues; entries are committed one at a time, and lost with their leader."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = GroupMachine()
        self.replica = GroupMachine()
        self.model = Model()
        self.log: list[tuple[int, int, bytes]] = []
        self.index = 0
        self.term = 1
        self.now = 50 * NS
        self.draft: list[Command] = []
        self.acked_on_commit: list[tuple[int, int]] = []
        self.confirmed: dict[tuple[int, int], bool] = {}
        self.consumers: dict[tuple[bytes, int], TestConsumer] = {}
        self.first_delivered: dict[int, int] = {}
        self.ever: dict[tuple[int, int], bool] = {}
        self.frozen_view: tuple[int, Any, list[bytes]] | None = None
        self.limits = Limits(reserve_messages=7, producer_sessions_max=50)

    @initialize()
    def found(self) -> None:
        """The queues: one with a dead-letter queue, and one that parks."""
        rows = [
            [DEAD, 1, "dead", QueueConfig("dead").settings()],
            [WORK, 1, "work", QueueConfig("work", max_attempts=3, dead_letter="dead", lease=5).settings()],
            [PLAIN, 1, "plain", QueueConfig("plain", max_attempts=2, lease=5).settings()],
        ]
        self.draft = [commands.follow_directory(1, [], rows)]
        self.commit()
        self.dispatcher = Dispatcher(self.machine, self.term, self.limits, self.now)
        for uid in (WORK, PLAIN):
            for _ in range(3):
                self.publish(uid, PRODUCERS[1], 4, "new", 0, True)
            self.subscribe(SESSIONS[0], uid - WORK, uid, 20, True)
        self.turn(0.001, 2)

    # -- the log --

    @rule()
    def commit(self) -> None:
        """The draft becomes an entry; both replicas and the model apply it."""
        self.replies: list[Any] = []
        if not self.draft:
            return
        self.index += 1
        header = commands.encode(BEGAN + self.now, self.draft)
        self.log.append((self.index, self.term, header))
        applied = self.machine.apply(Index(self.index), Term(self.term), header, 0)
        self.replica.apply(Index(self.index), Term(self.term), header, 0)
        stored = [type(reply) is list and not reply[0][2] for reply in applied.replies]
        self.model.apply(self.index, BEGAN + self.now, self.draft, stored)
        for seq in self.acked_on_commit:
            self.confirmed[seq] = True
        self.draft, self.acked_on_commit = [], []
        if hasattr(self, "dispatcher"):
            self.dispatcher.on_applied(applied)
        self.replies = applied.replies

    @rule(seconds=st.sampled_from([0.001, 0.001, 0.4, 1.0, 3.0, 6.0]), commits=st.integers(0, 3))
    def turn(self, seconds: float, commits: int) -> None:
        """Time passes; the dispatcher works, and some of what it proposes is committed."""
        self.now += int(seconds * NS)
        self.work()
        for _ in range(commits):
            self.commit()
            self.work()

    def work(self) -> None:
        """One turn of the shell."""
        firsts: dict[int, list[int]] = {}
        for action in self.dispatcher.work(self.now, BEGAN + self.now):
            if isinstance(action, Propose):
                self.draft.append(action.command)
            elif isinstance(action, Deliver):
                self.delivered(action, firsts)
            elif isinstance(action, LeaseLost):
                consumer = self.consumers[(action.session, action.consumer)]
                for term, counter, low, high in action.leases:
                    gone = [seq for seq in range(low, high + 1) if consumer.held.get(seq) == (term, counter)]
                    consumer.drop(gone)
            else:
                assert isinstance(action, Opened | PollAnswered)
        for uid, seqs in firsts.items():
            assert min(seqs) > self.first_delivered.get(uid, 0), "a later message overtook a first delivery"
            self.first_delivered[uid] = max(seqs)

    def delivered(self, action: Deliver, firsts: dict[int, list[int]]) -> None:
        """Check a delivery against the model."""
        consumer = self.consumers[(action.session, action.consumer)]
        assert consumer.attached
        assert action.uid == consumer.uid
        assert consumer.key in self.machine.queues[action.uid].holders, "leased to a stranger"
        queue = self.model.queues[action.uid]
        for part in action.parts:
            failures = dict(part.attempts)
            for seq, row in sequences(part).items():
                message = queue.messages[seq]
                assert (action.uid, seq) not in self.confirmed, "settled, and delivered again"
                assert (action.uid, seq) not in self.acked_on_commit, "delivered while being settled"
                assert seq < self.machine.queues[action.uid].reserve, "leased beyond the reserve mark"
                assert not message.gone
                assert not message.until
                assert message.content == (part.entry_index, part.body_at, row)
                assert failures.get(seq, 0) == message.failures
                for other in self.consumers.values():
                    if other.attached and other.uid == action.uid:
                        assert seq not in other.held, "leased twice"
                        if other is consumer and message.suspect:
                            assert not other.held, "a suspect is delivered alone"
                consumer.held[seq] = (part.term, part.counter)
                if (action.uid, seq) not in self.ever:
                    self.ever[(action.uid, seq)] = True
                    firsts.setdefault(action.uid, []).append(seq)

    # -- producers --

    @rule(
        uid=QUEUES,
        who=st.sampled_from(PRODUCERS),
        count=st.integers(1, 6),
        kind=st.sampled_from(["new", "new", "new", "retry", "gap", "conflict", "reach"]),
        at=st.integers(0, 1000),
        holds=st.booleans(),
    )
    def publish(self, uid: int, who: tuple[bytes, int], count: int, kind: str, at: int, holds: bool) -> None:
        """A claim of some kind, committed at once; its answer is checked against what the model knows."""
        self.commit()
        producer, epoch = who
        numbers = self.model.numbers.get((producer, uid), [])
        last = len(numbers)
        first, crc = last + 1, last + 1
        if kind == "gap":
            first = last + 2
        elif kind != "new" and last:
            first = 1 + at % last
            count = min(count, last - first + 1) if kind != "reach" else last - first + 2
            crc = numbers[first - 1][0]
            if kind == "conflict":
                crc += 1000
        below = first if holds and kind == "new" else 0
        began = BEGAN + self.now
        self.draft.append(
            commands.publish(uid, producer, epoch, first, count, crc, below, began, 0, 10 * count + 3)
        )
        before = len(self.model.queues[uid].messages)
        self.commit()
        reply = self.replies[-1]
        stored = len(self.model.queues[uid].messages) - before
        if first > last + 1:
            assert isinstance(reply, SequenceGap)
        elif first == last + 1:
            assert reply == [[before + 1, count, False]]
            assert stored == count
            return
        elif first + count - 1 > last:
            assert isinstance(reply, SequenceConflict)
        elif not isinstance(reply, SequenceExpired | SequenceConflict):
            assert kind != "conflict" or self.cut_otherwise(numbers, first, count), (
                "other content was let pass"
            )
            assert self.expand(reply) == [place for _crc, place in numbers[first - 1 : first - 1 + count]]
            assert all(duplicate for _seq, _count, duplicate in reply)
        elif isinstance(reply, SequenceConflict):
            assert kind == "conflict"
        else:
            assert not epoch, "a named producer's rows were forgotten"
        assert stored == 0

    def cut_otherwise(self, numbers: list[tuple[int, int]], first: int, count: int) -> bool:
        """Was the claim not stored as one batch? Then content is not compared."""
        batch = [crc for crc, _place in numbers].count(numbers[first - 1][0])
        return numbers[first - 1][0] != first or batch != count

    @staticmethod
    def expand(reply: list[list[int]]) -> list[int]:
        """Runs as queue sequences."""
        return [seq for first, count, _duplicate in reply for seq in range(first, first + count)]

    # -- consumers --

    @rule(
        session=st.sampled_from(SESSIONS),
        number=st.integers(0, 2),
        uid=st.sampled_from([WORK, PLAIN, DEAD]),
        credit=st.sampled_from([1, 3, 20]),
        honest=st.booleans(),
    )
    def subscribe(self, session: bytes, number: int, uid: int, credit: int, honest: bool) -> None:
        """A consumer comes (back), with its claims, or having forgotten them."""
        consumer = self.consumers.get((session, number))
        if consumer is None or consumer.uid != uid:
            if consumer is not None:
                self.unsubscribe(session, number)
            consumer = self.consumers[(session, number)] = TestConsumer((session, number), uid, credit)
        if not honest:
            consumer.drop(list(consumer.held))
        consumer.attached = True
        started = dict.fromkeys(consumer.started)
        claims = [
            [*consumer.held[seq], seq, seq, seq in started] for seq in sorted(consumer.held)
        ]  # one by one: the hardest case
        free = max(0, consumer.credit - len(consumer.held))
        lost = self.dispatcher.subscribe(session, number, uid, free, free * 10, claims, self.now)
        consumer.drop([seq for low, high in lost for seq in range(low, high + 1)])
        for seq in consumer.held:
            for other in self.consumers.values():
                if other is not consumer and other.attached and other.uid == uid and seq in other.held:
                    assert other.held[seq] < consumer.held[seq], "the lower claim won"
        self.work()

    @rule(session=st.sampled_from(SESSIONS), number=st.integers(0, 2))
    def unsubscribe(self, session: bytes, number: int) -> None:
        """A consumer goes."""
        consumer = self.consumers.pop((session, number), None)
        if consumer is not None:
            self.dispatcher.unsubscribe(session, number)

    @rule(session=st.sampled_from(SESSIONS))
    def lose_session(self, session: bytes) -> None:
        """A connection breaks."""
        self.dispatcher.session_lost(session, self.now)
        for consumer in self.consumers.values():
            if consumer.key[0] == session:
                consumer.attached = False

    @rule(
        kind=st.sampled_from(["ack", "ack", "ack", "nack", "later", "reject", "release"]),
        which=st.integers(0, 5),
        mask=st.integers(0, 255),
        start=st.booleans(),
        commits=st.integers(0, 2),
    )
    def settle(self, kind: str, which: int, mask: int, start: bool, commits: int) -> None:
        """A consumer settles some of what it holds, and perhaps says that it started the rest."""
        holders = [consumer for consumer in self.consumers.values() if consumer.held]
        if not holders:
            return
        consumer = holders[which % len(holders)]
        chosen = [seq for at, seq in enumerate(sorted(consumer.held)) if mask >> (at % 8) & 1]
        rows = consumer.rows(chosen)
        acks = rows if kind == "ack" else []
        delay = -1 if kind == "nack" else NS
        nacks = [[*row, delay, "no"] for row in rows] if kind in {"nack", "later"} else []
        rejects = [[*row, "bad"] for row in rows] if kind == "reject" else []
        releases = rows if kind == "release" else []
        rest = [seq for seq in consumer.held if seq not in chosen]
        consumer.started = rest if start else []
        settle = wire.Settle(
            rid=1,
            group=1,
            uid=consumer.uid,
            consumer=consumer.key[1],
            acks=acks,
            nacks=nacks,
            rejects=rejects,
            releases=releases,
            started=runs(consumer.started),
            credit_messages=len(chosen),
            credit_bytes=10 * len(chosen),
        )
        judged = self.dispatcher.judge(consumer.key[0], settle)
        if judged.later:
            return
        if judged.command is not None:
            self.draft.append(judged.command)
        refused = [seq for low, high in judged.refused for seq in range(low, high + 1)]
        if kind == "ack":
            self.acked_on_commit += [(consumer.uid, seq) for seq in chosen if seq not in refused]
            for seq in refused:
                others = [c for c in self.consumers.values() if c.uid == consumer.uid and c is not consumer]
                assert any(seq in c.held for c in others) or not consumer.attached, "refused for nobody"
        consumer.drop(chosen)
        if commits:
            self.turn(1.0, commits)

    @rule(which=st.integers(0, 5))
    def extend(self, which: int) -> None:
        """A consumer renews half of what it holds."""
        holders = [consumer for consumer in self.consumers.values() if consumer.held and consumer.attached]
        if holders:
            consumer = holders[which % len(holders)]
            chosen = sorted(consumer.held)[::2]
            rows = consumer.rows(chosen)
            lost = self.dispatcher.extend(*consumer.key, consumer.uid, rows, 5 * NS, self.now)
            consumer.drop([seq for low, high in lost for seq in range(low, high + 1)])

    @rule(which=st.integers(0, 5))
    def poll(self, which: int) -> None:
        """A consumer asks for one message."""
        attached = [consumer for consumer in self.consumers.values() if consumer.attached]
        if attached:
            consumer = attached[which % len(attached)]
            self.dispatcher.poll_one(*consumer.key, consumer.uid)

    @rule(uid=QUEUES)
    @precondition(lambda self: self.index > 20)
    def purge(self, uid: int) -> None:
        """Everything goes but what is leased."""
        command = self.dispatcher.purge(uid)
        if command is not None:
            self.draft.append(command)
            attached = [c for c in self.consumers.values() if c.uid == uid and c.attached]
            messages = self.model.queues[uid].messages
            # One that an earlier purge took may be claimed late; it is held in vain, and no news to anybody.
            held = [(each, seq) for each in attached for seq in each.held if not messages[seq].gone]
            self.work()
            self.commit()
            for consumer, seq in held:
                if seq in consumer.held:
                    message = messages[seq]
                    assert not message.gone or (uid, seq) in self.confirmed, "a leased message was purged"

    # -- faults --

    @rule(keep=st.booleans())
    def change_leader(self, keep: bool) -> None:
        """The draft is committed or lost, then another node leads, with nothing but the machine's state."""
        if keep:
            self.commit()
        self.draft, self.acked_on_commit = [], []
        self.machine, self.replica = self.replica, self.machine
        self.term += 1
        self.index += 1
        for machine in (self.machine, self.replica):
            machine.apply(Index(self.index), Term(self.term), b"", 0)
        self.log.append((self.index, self.term, b""))
        self.dispatcher = Dispatcher(self.machine, self.term, self.limits, self.now)
        for consumer in self.consumers.values():
            consumer.attached = False

    @rule()
    def begin_snapshot(self) -> None:
        """A view is frozen and read in part."""
        chunks = self.replica.snapshot_chunks()
        self.frozen_view = (self.index, chunks, [next(chunks)])

    @rule()
    @precondition(lambda self: self.frozen_view is not None)
    def end_snapshot(self) -> None:
        """The rest is read; a replica starts from it and replays what came since."""
        assert self.frozen_view is not None
        index, chunks, read = self.frozen_view
        self.frozen_view = None
        whole = b"".join([*read, *chunks])
        fresh = GroupMachine()
        fresh.restore(whole[at : at + 100] for at in range(0, len(whole), 100))
        assert fresh.index == index
        for entry, term, header in self.log:
            if entry > index:
                fresh.apply(Index(entry), Term(term), header, 0)
        assert fresh.digest() == self.machine.digest()
        self.replica = fresh

    # -- what always holds --

    @invariant()
    def replicas_agree(self) -> None:
        """Same entries, same digest."""
        assert self.machine.digest() == self.replica.digest()
        for machine in (self.machine, self.replica):
            queues = machine.queues.values()
            assert machine.held.messages == sum(queue.depth for queue in queues)
            assert machine.held.bytes == sum(queue.bytes for queue in queues)

    @invariant()
    def machine_is_model(self) -> None:
        """Every message is where the model says."""
        for uid, queue in self.model.queues.items():
            real = self.machine.queues[uid]
            assert real.next_seq == len(queue.messages) + 1
            assert real.bytes == self.model.bytes_of(queue)
            for seq, message in queue.messages.items():
                assert (seq < real.low or seq in real.gone) == message.gone
                if not message.gone:
                    assert (seq in real.deferred) == (message.until > 0)
                    assert (seq in real.parked) == (message.until < 0)
                    assert (seq in real.suspects) == message.suspect
                    assert real.failures.get(seq) == message.failures
            assert real.dead == queue.died + sum(
                not message.gone and message.until < 0 for message in queue.messages.values()
            )

    def teardown(self) -> None:
        """Faults heal: one consumer a queue gets everything that is not parked, in bounded time."""
        if not hasattr(self, "dispatcher"):
            return
        for session in SESSIONS:
            self.dispatcher.session_closed(session)
        self.consumers.clear()
        self.commit()
        for number, uid in enumerate((WORK, PLAIN, DEAD)):
            key = (b"healed".ljust(16), number)
            self.consumers[key] = TestConsumer(key, uid, 100, attached=True)
            self.dispatcher.subscribe(*key, uid, 100, 10_000, [], self.now)
        for _ in range(3000):
            self.now += NS // 10
            self.work()
            for consumer in self.consumers.values():
                chosen = list(consumer.held)
                if chosen:
                    rows = consumer.rows(chosen)
                    credit = len(chosen)
                    settle = wire.Settle(
                        1, 1, consumer.uid, consumer.key[1], rows, [], [], [], [], credit, 1000
                    )
                    judged = self.dispatcher.judge(consumer.key[0], settle)
                    assert judged.refused == []
                    assert judged.command is not None
                    self.draft.append(judged.command)
                    consumer.drop(chosen)
            self.commit()
            if all(queue.depth == queue.parked.total for queue in self.machine.queues.values()):
                break
            due = self.dispatcher.next_deadline_ns(self.now, BEGAN + self.now)
            if due is not None and due > self.now:
                self.now = due
        else:
            raise AssertionError("messages were not delivered though nothing is in their way")


TestMachineAgainstModel = MachineAgainstModel.TestCase
TestMachineAgainstModel.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
