"""A soak of real processes: nodes are killed with -9 every second or two while producers and consumers go
on.

``python -m tests.soak --seconds 60 --seed 1``; not part of ``make test``. It fails (exit code 1) if a
confirmed message is lost, one is stored twice, an order is broken, a node ends by itself, or something does
not drain once all nodes run.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

import haqactor
from haqactor.cli.launcher import LocalCluster, free_base_port
from tests.builders.local_cluster import kill_all

LIMITS: Final[dict[str, float | int]] = {
    "segment_bytes": 256 * 1024,
    "snapshot_entries": 50,
    "snapshot_bytes": 64 * 1024,
    "tail_cache_bytes": 16 * 1024,
    "message_bytes_max": 65_536,
    "reserve_messages": 64,
    "grace": 1.0,
}
QUEUES: Final = ["q0", "q1", "q2", "q3", "q4", "q5"]
DRAIN_S: Final = 60.0
RETRIED: Final = (haqactor.NoQuorum, haqactor.OutcomeUnknown, haqactor.Overloaded, haqactor.ConnectionLost)


@dataclass(slots=True)
class Book:
    """What one queue's producer and consumer saw. ``places``: a message's number to its place in the queue;
    ``unknown``: messages whose acknowledgement had no certain outcome."""

    published: int = 0
    confirmed: int = 0
    places: dict[int, int] = field(default_factory=dict[int, int])
    acknowledged: dict[int, int] = field(default_factory=dict[int, int])
    unknown: dict[int, str] = field(default_factory=dict[int, str])
    retries: int = 0
    nacked: int = 0


class Soak:
    """One run."""

    def __init__(self, cluster: LocalCluster, seed: int, seconds: float) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.seconds = seconds
        self.books = {queue: Book() for queue in QUEUES}
        self.problems: list[str] = []
        self.over = False
        self.kills = 0

    def problem(self, text: str) -> None:
        """A promise was broken."""
        self.problems.append(text)
        print("PROBLEM", text, file=sys.stderr, flush=True)

    async def produce(self, broker: haqactor.Broker, queue: str) -> None:
        """Numbered batches in a named session, each repeated by number until it is confirmed."""
        book, number, draws = self.books[queue], 1, random.Random(queue)
        async with broker.producer(f"soak-{queue}") as producer:
            while not self.over:
                count = draws.choice([1, 3, 10, 40])
                bodies = [
                    b"%d " % each + draws.randbytes(draws.choice([10, 300]))
                    for each in range(number, number + count)
                ]
                book.published += count
                while True:
                    try:
                        receipts = await producer.publish_many(queue, bodies, seq=number)
                    except RETRIED:
                        book.retries += 1
                        await trio.sleep(0.05)
                    else:
                        break
                for offset, receipt in enumerate(receipts):
                    self.place(queue, number + offset, receipt.seq)
                number += count
                book.confirmed = number - 1
                await trio.sleep(draws.choice([0.0, 0.01, 0.05]))

    def place(self, queue: str, number: int, seq: int) -> None:
        """Message ``number`` lies at ``seq``."""
        known = self.books[queue].places.setdefault(number, seq)
        if known != seq:
            self.problem(f"{queue}: message {number} is stored at {known} and at {seq}")

    async def consume(self, broker: haqactor.Broker, queue: str) -> None:
        """Acknowledge most, return some, keep a few for the end."""
        book, draws = self.books[queue], random.Random(queue + "c")
        while True:
            try:
                if self.over or draws.random() < 0.5:
                    await self.consume_batches(broker, queue, book, draws)
                    continue
                async with broker.queue(queue).consume(credit=draws.choice([1, 7, 64, 512])) as deliveries:
                    for _ in range(draws.choice([20, 100, 200])):
                        message = await deliveries.receive()
                        await self.handle(queue, book, message, draws)
            except haqactor.Error as error:
                book.retries += 1
                print(queue, "consume:", repr(error)[:150], file=sys.stderr, flush=True)
                await trio.sleep(0.05)

    async def consume_batches(
        self, broker: haqactor.Broker, queue: str, book: Book, draws: random.Random
    ) -> None:
        """Acknowledge what came together, together."""
        async with broker.queue(queue).consume_batches(credit=draws.choice([16, 1000])) as batches:
            for _ in range(draws.choice([10, 100])):
                batch = await batches.receive()
                for message in batch.messages:
                    self.look(queue, book, message)
                try:
                    await batch.ack()
                except haqactor.Error as error:
                    self.not_acknowledged(book, batch.messages, error)
                else:
                    book.acknowledged.update((self.number(each), each.seq) for each in batch.messages)

    def not_acknowledged(
        self, book: Book, messages: Sequence[haqactor.Message], error: haqactor.Error
    ) -> None:
        """A refused one has to come again; of any other nobody knows."""
        book.retries += 1
        for message in messages:
            if isinstance(error, haqactor.LeaseLost) and len(messages) == 1:
                book.unknown.pop(self.number(message), None)
            else:
                book.unknown[self.number(message)] = error.code

    def number(self, message: haqactor.Message) -> int:
        """The producer's number of a message."""
        return int(message.body.split(b" ", 1)[0])

    def look(self, queue: str, book: Book, message: haqactor.Message) -> int:
        """Is this delivery as promised?"""
        number = self.number(message)
        self.place(queue, number, message.seq)
        if number in book.acknowledged:
            self.problem(f"{queue}: message {number} came again after its confirmed acknowledgement")
        return number

    async def handle(self, queue: str, book: Book, message: haqactor.Message, draws: random.Random) -> None:
        """One delivery."""
        number = self.look(queue, book, message)
        try:
            if not self.over and draws.random() < 0.05:
                book.nacked += 1
                await message.nack(delay=draws.choice([0.0, 0.5]))
            elif not self.over and draws.random() < 0.02:
                await message.release()
            else:
                await message.ack()
                book.acknowledged[number] = message.seq
        except haqactor.Error as error:
            self.not_acknowledged(book, [message], error)

    async def churn(self, broker: haqactor.Broker) -> None:
        """Queues with dead letters that come, hold messages and leases, and go."""
        number = 0
        while not self.over:
            number += 1
            name = f"passing-{number % 7}"
            try:
                queue = await broker.declare(
                    name, max_attempts=1, dead_letter=f"{name}.dead", lease=1.0, backoff=0.0
                )
                await broker.publish(name, b"a")
                await broker.publish(name, b"b")
                async with queue.consume(credit=4) as deliveries:
                    with trio.move_on_after(5):
                        await (await deliveries.receive()).nack(reason="soak")
                        await deliveries.receive()
                    if number % 2:
                        await broker.delete_queue(name)
                    else:
                        await queue.purge()
            except haqactor.Error:
                await trio.sleep(0.05)
            await trio.sleep(0.05)

    async def disturb(self) -> None:
        """Kill a node, start it again; sometimes two or all at once."""
        end = trio.current_time() + self.seconds
        nodes = range(len(self.cluster.nodes))
        while trio.current_time() < end:
            await trio.sleep(self.random.uniform(0.5, 1.5))
            victims = self.random.sample(nodes, self.random.choice([1, 1, 1, 1, 2, 3]))
            for victim in victims:
                process = self.cluster.node(victim).process()
                if process is None:
                    self.problem(f"node {victim} had ended by itself")
                    continue
                self.kills += 1
                if self.random.random() < 0.8:
                    process.send(9)
                    await trio.to_thread.run_sync(process.wait, 5.0)
                else:  # in order: leaderships move, the journal ends with its mark
                    process.send(15)
                    if not await trio.to_thread.run_sync(process.wait, 20.0):
                        self.problem(f"node {victim} does not stop")
            await trio.sleep(self.random.choice([0.0, 0.3, 2.0, 8.0]))
            for victim in victims:
                await self.cluster.restart(victim)

    async def run(self) -> None:
        """Founding, disturbance, drain, judgement."""
        await self.cluster.start()
        async with haqactor.connect(self.cluster.url) as broker:
            for queue in QUEUES:
                await broker.declare(queue, lease=5.0, backoff=0.1)
            async with trio.open_nursery() as consumers:
                for queue in QUEUES:
                    consumers.start_soon(self.consume, broker, queue)
                async with trio.open_nursery() as producers:
                    for queue in QUEUES:
                        producers.start_soon(self.produce, broker, queue)
                    producers.start_soon(self.churn, broker)
                    await self.disturb()
                    self.over = True
                    producers.cancel_scope.deadline = trio.current_time() + DRAIN_S
                if producers.cancel_scope.cancelled_caught:
                    self.problem("producers did not come to an end")
                with trio.move_on_after(DRAIN_S) as scope:
                    while not self.drained():  # noqa: ASYNC110 - books have no event
                        await trio.sleep(0.1)
                    await trio.sleep(6.0)  # whatever was leased by then comes again, if at all
                if scope.cancelled_caught:
                    self.problem("not drained: " + await self.rest(broker))
                consumers.cancel_scope.cancel()
            print("node counters:", (await broker.status())["counters"])
            for queue in QUEUES:
                info = await broker.queue(queue).info()
                if info.next_seq - 1 != self.books[queue].confirmed:
                    self.problem(
                        f"{queue}: {info.next_seq - 1} stored, {self.books[queue].confirmed} confirmed"
                    )
                if info.ready or info.leased or info.delayed or info.dead:
                    self.problem(f"{queue}: left {info}")
        self.judge()

    def drained(self) -> bool:
        """Is everything confirmed also acknowledged, as far as anybody knows?"""
        return all(
            len({**book.acknowledged, **book.unknown}) >= book.confirmed for book in self.books.values()
        )

    async def rest(self, broker: haqactor.Broker) -> str:
        """What did not drain."""
        parts: list[str] = []
        for queue, book in self.books.items():
            missing = [
                number
                for number in range(1, book.confirmed + 1)
                if number not in book.acknowledged and number not in book.unknown
            ]
            if missing:
                with trio.move_on_after(5):
                    info = await broker.queue(queue).info()
                    parts.append(f"{queue} misses {len(missing)} from {missing[:5]}: {info}")
        return "; ".join(parts)

    def judge(self) -> None:
        """Places in order, and nothing logged that should not be."""
        for queue, book in self.books.items():
            seqs = [book.places[number] for number in sorted(book.places)]
            if seqs != sorted(set(seqs)):
                self.problem(f"{queue}: places are out of order or shared")
        for node in self.cluster.nodes:
            text = node.log.read_text(encoding="utf-8")
            if "Traceback" in text or "InvariantViolation" in text:
                at = max(text.find("Traceback"), text.find("InvariantViolation"))
                self.problem(f"node {node.number} logged: {text[max(at - 1500, 0) : at + 3000]}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=None, help="kept afterwards; default: a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory: Path = given.dir or Path(temporary)

        async def soak() -> Soak:
            settings = {"groups": 4, "limits": LIMITS}
            cluster = LocalCluster.found(directory / "cluster", 3, await free_base_port(3), settings)
            run = Soak(cluster, given.seed, given.seconds)
            try:
                with trio.fail_after(given.seconds + 4 * DRAIN_S):
                    await run.run()
            finally:
                kill_all(cluster)
            return run

        run = trio.run(soak)
    for queue, book in run.books.items():
        print(
            f"{queue}: confirmed {book.confirmed}, acknowledged {len(book.acknowledged)}, "
            f"unknown {len(book.unknown)}, returned {book.nacked}, retries {book.retries}"
        )
    print(f"kills {run.kills}, problems {len(run.problems)}")
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
