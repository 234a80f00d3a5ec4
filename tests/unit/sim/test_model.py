"""The reference model against the machine: commands drawn at random, answers and holdings compared."""

from random import Random
from typing import Any

import pytest

from haqactor.config import QueueConfig
from haqactor.ids import Index, Term
from haqactor.machine import commands
from haqactor.machine.commands import Cause, Command
from haqactor.machine.machine import GroupMachine
from haqactor.sim.checkers.contracts import plain
from haqactor.sim.model import Model

NS = 1_000_000_000
WORK, DEAD, PLAIN = 10, 11, 12
PRODUCERS = [(b"anonymous".ljust(16), 0), (b"named".ljust(16), 2), (b"named".ljust(16), 1)]


class Draws:
    """Commands that are mostly sensible."""

    def __init__(self, seed: int) -> None:
        self.stream = Random(seed)
        self.now = 1000 * NS
        self.last: dict[tuple[bytes, int], int] = {}
        self.followed = 1

    def span(self) -> tuple[int, int]:
        low = self.stream.randrange(1, 30)
        return low, low + self.stream.randrange(4)

    def spans(self) -> list[tuple[int, int]]:
        return [self.span() for _ in range(self.stream.choice([0, 0, 1, 1, 2]))]

    def command(self) -> Command:
        stream = self.stream
        uid = stream.choice([WORK, WORK, PLAIN, DEAD, 99]) if stream.random() < 0.9 else WORK
        kind = stream.randrange(20)
        if kind < 7:
            return self.publish(uid)
        if kind < 11:
            delay = stream.choice([-1, 0, 3 * NS])
            nacks = [[low, high, delay, "no"] for low, high in self.spans()]
            rejects = [[low, high, "bad"] for low, high in self.spans()]
            return commands.settle(uid, self.spans(), nacks, rejects, self.spans())
        if kind < 14:
            return commands.return_(uid, Cause.EXPIRED, self.spans(), self.spans(), self.spans())
        if kind < 16:
            return commands.tick(stream.random() < 0.5)
        if kind == 16:
            return commands.purge(uid, self.spans()) if stream.random() < 0.3 else commands.tick(True)
        if kind == 17:
            producer, epoch = stream.choice(PRODUCERS[1:])
            return commands.producer_epoch(producer, epoch, stream.choice([0, uid]))
        if kind == 18:
            return commands.reserve(uid, stream.randrange(40), [])
        return self.rare(uid)

    def rare(self, uid: int) -> Command:
        kind = self.stream.randrange(4)
        if kind == 0:
            self.last.clear()
            return commands.end_session(PRODUCERS[0][0])
        if kind == 1:
            return commands.limits(self.stream.choice([1, 2, 50]))
        self.followed += self.stream.choice([0, 1])
        drops = [PLAIN] if kind == 2 else []
        return commands.follow_directory(self.followed, drops, [] if drops else [row(PLAIN, "plain", 2)])

    def publish(self, uid: int) -> Command:
        stream = self.stream
        producer, epoch = stream.choice(PRODUCERS)
        last = self.last.get((producer, uid), 0)
        first = stream.choice([last + 1, last + 1, last + 1, last + 2, max(1, last - 2), 1])
        count = stream.randrange(1, 5)
        if first == last + 1:
            self.last[producer, uid] = last + count
        below = stream.choice([0, first])
        began = self.now - stream.choice([0, 0, 0, 700 * NS])
        return commands.publish(uid, producer, epoch, first, count, stream.randrange(2), below, began, 0, 1)


def row(uid: int, name: str, attempts: int, dead: str | None = None) -> list[Any]:
    return [uid, 1, name, QueueConfig(name, max_attempts=attempts, dead_letter=dead, lease=5).settings()]


@pytest.mark.parametrize("seed", range(60))
def test_agrees_with_the_machine(seed: int) -> None:
    machine, model, draws = GroupMachine(), Model(), Draws(seed)
    rows = [row(DEAD, "dead", 0), row(WORK, "work", 3, "dead"), row(PLAIN, "plain", 2)]
    first = [commands.follow_directory(1, [], rows)]
    for index in range(1, 150):
        draws.now += draws.stream.choice([1, NS // 2, 2 * NS, 20 * NS, 300 * NS])
        given = first if index == 1 else [draws.command() for _ in range(draws.stream.randrange(4))]
        header = commands.encode(draws.now, given) if given else b""
        applied = machine.apply(Index(index), Term(1), header, 0)
        expected = model.apply(index, header)
        assert [plain(reply) for reply in applied.replies] == expected, (index, given)
        assert sorted(model.queues) == sorted(machine.queues)
        for uid, queue in model.queues.items():
            info = machine.info(uid)
            held = queue.holdings()
            told = (info["ready"], info["delayed"], info["dead"])
            # the machine counts what is parked as neither ready nor delayed
            assert held == told, (index, uid, given)
            assert (queue.first_seq, queue.next_seq) == (info["first_seq"], info["next_seq"])
            for seq in range(queue.first_seq, queue.next_seq):
                message = queue.messages[seq - 1]
                assert message.standing == bool(machine.queues[uid].standing(seq, seq)), (index, uid, seq)
                assert message.gone or message.failures == machine.queues[uid].failures.get(seq)
                assert message.gone or message.suspect == bool(machine.queues[uid].suspects.within(seq, seq))


def test_stored_moment_and_content() -> None:
    model = Model()
    model.apply(1, commands.encode(1, [commands.follow_directory(1, [], [row(WORK, "work", 0)])]))
    claim = commands.publish(WORK, b"p" * 16, 0, 1, 2, 5, 0, 1, 64, 9)
    assert model.apply(2, commands.encode(2, [claim]), 77) == [[(1, False), (2, False)]]
    second = model.queues[WORK].get(2)
    assert second is not None
    assert (second.content, second.stored_ns) == ((2, 64, 1), 77)
    assert model.queues[WORK].get(3) is None
    assert model.apply(3, b"") == []
    assert model.index == 3
