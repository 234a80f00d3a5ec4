"""What a power loss leaves at the journals' ends is cured without anybody's help (any other damage: see
``test_damage``)."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

import haqactor
from haqactor import Broker, NoQuorum
from haqactor.cli.launcher import LocalCluster
from tests.builders.journal_damage import tear_header, tear_payload, tear_unfinished
from tests.builders.ledger import Ledger, publish_batches
from tests.builders.local_cluster import events, kill_all, no_tracebacks, until

CUT = "the journal's last block was bad after an unclean stop; it was cut"


class Load:
    """Producers of six queues, whose books are kept from life to life."""

    def __init__(self, prefix: str) -> None:
        self.queues = [f"{prefix}-{number}" for number in range(6)]
        self.books = {queue: Ledger() for queue in self.queues}
        self.life = 0

    async def until_killed(self, cluster: LocalCluster) -> None:
        """At work; then every node is killed in the middle of it."""
        self.life += 1
        async with haqactor.connect(cluster.url) as broker, trio.open_nursery() as nursery:
            for queue in self.queues:
                await broker.declare(queue)
                nursery.start_soon(self._publish, broker, queue)
            before = {queue: len(book.confirmed) for queue, book in self.books.items()}
            await until(lambda: all(len(self.books[q].confirmed) > before[q] + 150 for q in self.queues))
            kill_all(cluster)
            nursery.cancel_scope.cancel()

    async def _publish(self, broker: Broker, queue: str) -> None:
        name = f"life{self.life}"
        async with broker.producer(f"{queue}-{name}") as producer:
            await publish_batches(producer, queue, name, self.books[queue], lambda: True)

    async def check(self, cluster: LocalCluster) -> None:
        """Everything that was confirmed is there, at its place."""
        async with haqactor.connect(cluster.url) as broker:
            for queue, book in self.books.items():
                async with broker.queue(queue).consume_batches() as batches:
                    while book.missing:
                        async with await batches.receive() as batch:
                            for message in batch.messages:
                                book.arrive(message.body, message.seq)
                book.check()


@pytest.mark.slow
async def test_every_tail_is_torn(small: LocalCluster) -> None:
    """What was confirmed stands whole in two of the three journals, before the tear."""
    load = Load("all")
    await load.until_killed(small)
    for node, tear in zip(small.nodes, (tear_payload, tear_unfinished, tear_unfinished), strict=True):
        tear(node.data)
    await small.start()
    assert [events(small, number).count(CUT) for number in range(3)] == [1, 1, 1]
    await load.check(small)
    no_tracebacks(small)


@pytest.mark.slow
async def test_one_torn_tail_is_cured_and_counts_again(small: LocalCluster) -> None:
    """Cured by the others; then a majority that needs it confirms and elects."""
    load = Load("one")
    await load.until_killed(small)
    tear_header(small.node(1).data)
    await small.start()
    small.kill(2)
    async with haqactor.connect(small.url) as broker:
        for queue, book in load.books.items():
            body = b"last 1"
            book.confirm(body, await broker.publish(queue, body))
        small.kill(0)
        await small.restart(2)
        await small.wait_ready()
        await load.check(small)
    await small.restart(0)
    no_tracebacks(small)


@pytest.mark.slow
@pytest.mark.parametrize("route", ["", "?route=proxy"])
async def test_a_cure_that_waits_for_a_voter_names_it(small: LocalCluster, route: str) -> None:
    """Two tails are torn and the third node, which may know more, is down: nobody may lead before it."""
    load = Load(f"awaited{bool(route):d}")
    await load.until_killed(small)
    for number in (0, 1):
        tear_header(small.node(number).data)
        await small.restart(number)
    async with haqactor.connect(small.url + route) as broker:
        with trio.fail_after(15), pytest.raises(NoQuorum, match="start node 2 ") as caught:
            await broker.publish(load.queues[0], b"x")
        assert caught.value.reason == "damaged"
        await small.restart(2)
        with trio.fail_after(15):
            body = b"cured 1"
            load.books[load.queues[0]].confirm(body, await broker.publish(load.queues[0], body))
    await load.check(small)
    no_tracebacks(small)


@pytest.mark.slow
async def test_a_cluster_of_one_comes_back(tmp_path: Path) -> None:
    """An embedded broker's process is killed; whatever its last block was, the directory opens again."""
    data = tmp_path / "data"
    confirmed = 0
    for tear in (tear_unfinished, tear_header):
        with subprocess.Popen(  # noqa: ASYNC220 - starting it takes a moment only
            [sys.executable, "-m", "tests.builders.embedded_publisher", str(data), "orders"],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        ) as process:
            assert process.stdout is not None
            line = b""
            for _ in range(20):
                line = await trio.to_thread.run_sync(process.stdout.readline)
                assert line, "it ended"
            process.kill()
        place = tear(data)
        with trio.fail_after(10):
            async with haqactor.open_broker(data) as broker:
                info = await broker.queue("orders").info()
                if tear is tear_unfinished:
                    assert info.next_seq > int(line)
                assert info.next_seq > confirmed, place
                bodies = [message.body for message in await broker.queue("orders").peek(limit=10_000)]
                assert bodies == [b"%d" % number for number in range(1, info.next_seq)]
                confirmed = (await broker.publish("orders", b"%d" % info.next_seq)).seq
    async with haqactor.open_broker(data) as broker:  # left in order: nothing is cut any more
        assert (await broker.queue("orders").info()).next_seq == confirmed + 1
