"""No wait of a client hangs where its only node is gone, or lives and says nothing."""

import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
import trio

import haqactor
from haqactor import Error
from tests.builders.local_cluster import running

PATIENCE_S: Final = 5.0
GRACE_S: Final = 2.0
SLACK_S: Final = 4.0
"""1.2 s until a silent node is left, the grace of a consumer that could not begin, and a slow machine."""
UNANSWERED: Final = ("no_quorum", "outcome_unknown")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "silent"])
async def test_every_call_ends(tmp_path: Path, number: signal.Signals) -> None:
    """All of them under way at once: each in an error within the patience, or with its caller's scope."""
    ended: dict[str, str] = {}
    async with running(tmp_path, nodes=1, groups=2) as cluster:
        async with haqactor.connect(cluster.url) as broker, broker.producer("p") as producer:
            queue = await broker.declare("q", lease=60.0)
            await producer.publish_many("q", [b"%d" % each for each in range(8)])
            messages = [await queue.get() for _ in range(5)]

            async def consume() -> None:
                async with queue.consume():
                    pass

            async def named() -> None:
                async with broker.producer("late"):
                    pass

            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "declare": lambda: broker.declare("q", lease=5.0),
                "declare another": lambda: broker.declare("other"),
                "delete_queue": lambda: broker.delete_queue("q"),
                "queues": broker.queues,
                "status": broker.status,
                "publish": lambda: broker.publish("q", b"x"),
                "publish elsewhere": lambda: broker.publish("other", b"x"),
                "producer": named,
                "producer.publish": lambda: producer.publish("q", b"x"),
                "producer.publish_many": lambda: producer.publish_many("q", [b"x"] * 3000),
                "producer.last_seq": lambda: producer.last_seq("q"),
                "consume": consume,
                "poll": queue.poll,
                "info": queue.info,
                "peek": queue.peek,
                "purge": queue.purge,
                "ack": messages[0].ack,
                "nack": messages[1].nack,
                "reject": messages[2].reject,
                "release": messages[3].release,
                "extend": lambda: messages[4].extend(60.0),
            }

            async def end(name: str) -> None:
                try:
                    await calls[name]()
                except Error as error:
                    ended[name] = error.code

            cluster.kill(0, number)
            with trio.fail_after(PATIENCE_S + SLACK_S):
                async with trio.open_nursery() as nursery:
                    for name in calls:
                        nursery.start_soon(end, name)
            assert {name: code for name, code in ended.items() if code not in UNANSWERED} == {}
            assert list(calls) == [name for name in calls if name in ended]
            with trio.move_on_after(0.5) as scope:
                await queue.get()
            assert scope.cancelled_caught
            leaving = trio.current_time()
        assert trio.current_time() - leaving < PATIENCE_S + GRACE_S + 1.0
