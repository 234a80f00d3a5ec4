"""What is kept when nodes stop, in order or not: queues, messages, attempts, windows, epochs, incarnations,
and the leases of clients that stay.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

import haqactor
from haqactor import Broker, Conflict, Fenced, LeaseLost, Message, NotFound, SequenceConflict
from haqactor.cli.launcher import LocalCluster
from tests.builders.journal_damage import last_block
from tests.builders.ledger import Ledger, consume_into, publish_batches, publish_single
from tests.builders.local_cluster import events, kill_all, leader_of, log_rows, no_tracebacks, until

QUICK_S = 8.0
CUT = "the journal's last block was bad after an unclean stop; it was cut"
END_KIND = 1


def stop_all(cluster: LocalCluster) -> None:
    assert cluster.stop() == {0: "stopped", 1: "stopped", 2: "stopped"}


def ends_in_order(data: Path) -> bool:
    """Is the journal's last block an end block?"""
    last = last_block(data)
    return last.file.read_bytes()[last.offset + 10] == END_KIND


async def in_every_state(broker: Broker, name: str) -> Message:
    """Of seven messages: 1 is done, 2 dead, 3 failed twice, 4 deferred, 5 leased (it is returned), 6 and 7
    ready."""
    queue = await broker.declare(name, lease=60.0, max_attempts=4, dead_letter=f"{name}.dead")
    async with broker.producer(name) as producer:
        for number in range(1, 8):
            body = b"%d" % number
            receipt = await producer.publish(name, body, key=f"k{number}", headers={"n": number}, seq=number)
            assert receipt.seq == number
    await (await queue.get()).ack()
    await (await queue.get()).reject(reason="no use")
    for attempt in (1, 2):
        message = await queue.get()
        assert (message.body, message.attempt) == (b"3", attempt)
        await message.nack(delay=0.0)
    third, fourth, fifth = await queue.get(), await queue.get(), await queue.get()
    await third.release()
    await fourth.nack(delay=3600.0)
    return fifth


async def check_every_state(broker: Broker, name: str, fifth: Message) -> None:
    """As ``in_every_state`` left it."""
    queue = broker.queue(name)
    info = await queue.info()
    assert (info.delayed, info.dead, info.next_seq) == (1, 1, 8)
    assert (info.ready, info.leased) == (3, 1)
    assert (info.config.max_attempts, info.config.dead_letter, info.config.lease) == (4, f"{name}.dead", 60.0)
    await fifth.ack()
    found = [await queue.get() for _ in range(3)]
    assert [message.body for message in found] == [b"3", b"6", b"7"]
    assert [message.attempt for message in found] == [3, 1, 1]
    assert [(message.key, message.headers["n"]) for message in found] == [("k3", 3), ("k6", 6), ("k7", 7)]
    for message in found:
        await message.ack()
    assert await queue.poll() is None
    dead = await broker.queue(f"{name}.dead").get()
    assert (dead.body, dead.key) == (b"2", "k2")
    await dead.ack()


async def check_windows(broker: Broker, name: str) -> None:
    """First receipts for numbers that were used; the next number is the next place."""
    async with broker.producer(name) as producer:
        assert await producer.last_seq(name) == 7
        again = await producer.publish(name, b"4", key="k4", headers={"n": 4}, seq=4)
        assert (again.seq, again.duplicate) == (4, True)
        with pytest.raises(SequenceConflict):
            await producer.publish(name, b"other", seq=4)
        following = await producer.publish(name, b"8", seq=8)
        assert (following.seq, following.duplicate) == (8, False)


async def change_queues(broker: Broker, name: str) -> Message:
    """One purged, one deleted, one declared anew while a message of its first life is leased (returned)."""
    purged = await broker.declare(f"{name}.purged")
    for _ in range(5):
        await broker.publish(purged.name, b"x")
    assert await purged.purge() == 5
    await broker.publish(purged.name, b"after")
    await broker.declare(f"{name}.deleted")
    await broker.delete_queue(f"{name}.deleted")
    anew = await broker.declare(f"{name}.anew", lease=60.0)
    await broker.publish(anew.name, b"of the first life")
    old = await anew.get()
    await broker.delete_queue(anew.name)
    await broker.declare(anew.name, lease=70.0)
    await broker.publish(anew.name, b"of the second life")
    return old


async def check_queues(broker: Broker, name: str, old: Message) -> None:
    """As ``change_queues`` left them; what was leased in the first life touches nothing of the second."""
    for settle in (old.ack, old.reject):
        with pytest.raises((LeaseLost, NotFound)):
            await settle()
    anew = broker.queue(f"{name}.anew")
    info = await anew.info()
    assert (info.ready, info.next_seq, info.config.lease) == (1, 2, 70.0)
    message = await anew.get()
    assert (message.body, message.attempt) == (b"of the second life", 1)
    await message.ack()
    purged = await broker.queue(f"{name}.purged").info()
    assert (purged.ready, purged.next_seq) == (1, 7)
    with pytest.raises(NotFound):
        await broker.queue(f"{name}.deleted").info()
    with pytest.raises(Conflict):
        await broker.delete_queue(f"{name}.dead")


@pytest.mark.parametrize("end", [stop_all, kill_all])
async def test_the_whole_cluster_is_started_again(
    small: LocalCluster, end: Callable[[LocalCluster], None]
) -> None:
    name = end.__name__
    with trio.fail_after(30):
        async with haqactor.connect(small.url) as staying:
            fifth = await in_every_state(staying, name)
            old = await change_queues(staying, name)
            async with haqactor.connect(small.url) as second:
                async with staying.producer(f"{name}.p") as older, second.producer(f"{name}.p") as newer:
                    assert await newer.last_seq(name) == 0  # the queue's group knows of it from now on
                    end(small)
                    assert [ends_in_order(node.data) for node in small.nodes] == [end is stop_all] * 3
                    await small.start()
                    with pytest.raises(Fenced):
                        await older.publish(name, b"zombie")
            await check_every_state(staying, name, fifth)
            await check_queues(staying, name, old)
        async with haqactor.connect(small.url) as broker:
            await check_windows(broker, name)
    assert all(CUT not in events(small, number) for number in range(3))
    no_tracebacks(small)


async def terminate(cluster: LocalCluster, number: int) -> int:
    """SIGTERM; returns the exit code."""
    pid = cluster.kill(number, signal.SIGTERM)
    _pid, status = await trio.to_thread.run_sync(os.waitpid, pid, 0)
    return os.waitstatus_to_exitcode(status)


async def test_a_node_is_drained_under_load(small: LocalCluster) -> None:
    """Its leaderships move, no confirm is lost, it ends quickly and well, and its next start is a clean
    one."""
    ledger = Ledger()
    publishing = True
    async with haqactor.connect(small.url) as broker:
        queue = await broker.declare("drained")
        async with broker.producer("drained") as named, trio.open_nursery() as consumers:
            consumers.start_soon(consume_into, broker, "drained", ledger)
            async with trio.open_nursery() as producers:
                producers.start_soon(publish_single, broker, "drained", "one", ledger, lambda: publishing)
                producers.start_soon(publish_batches, named, "drained", "many", ledger, lambda: publishing)
                for _ in range(2):
                    await until(lambda: len(ledger.arrived) > 200)
                    leader = await leader_of(broker, "drained")
                    start = trio.current_time()
                    assert await terminate(small, leader) == 0
                    assert trio.current_time() - start < QUICK_S
                    assert ends_in_order(small.node(leader).data)
                    drained = [row for row in log_rows(small, leader) if row.get("event") == "drained"]
                    assert drained[-1]["leads_still"] == 0
                    assert await leader_of(broker, "drained") != leader
                    confirmed = len(ledger.confirmed)
                    await until(lambda: len(ledger.confirmed) > confirmed + 200)  # noqa: B023 - awaited here
                    await small.restart(leader)
                publishing = False
            await until(lambda: not ledger.missing)
            consumers.cancel_scope.cancel()
        ledger.check()
        assert (await queue.info()).next_seq - 1 == len(ledger.confirmed)
    no_tracebacks(small)
