"""Two of three nodes are gone: what is left refuses clearly, and guesses nothing."""

from typing import Any

import pytest
import trio

import haqactor
from haqactor import NoQuorum, OutcomeUnknown
from haqactor.cli.launcher import LocalCluster
from tests.builders.local_cluster import leader_of, no_tracebacks

PATIENCE_S = 5.0


@pytest.mark.slow
async def test_a_minority_refuses(small: LocalCluster) -> None:
    """Sent to a leader that is alone: unknown, and ``retry`` finds out. Not sent: refused, and not stored."""
    unknown: list[OutcomeUnknown] = []
    async with haqactor.connect(small.url) as broker, haqactor.connect(small.url) as other:
        queue = await broker.declare("minority")
        await other.publish("minority", b"1")
        leader = await leader_of(broker, "minority")
        async with broker.producer("minority") as producer:
            await producer.publish("minority", b"2", seq=1)

            async def send() -> None:
                with pytest.raises(OutcomeUnknown) as caught:
                    await producer.publish("minority", b"3", seq=2)
                unknown.append(caught.value)

            async def refuse() -> None:
                await trio.sleep(2.0)  # by now it leads no more: nothing is sent
                start = trio.current_time()
                with pytest.raises(NoQuorum):
                    await other.publish("minority", b"never")
                assert trio.current_time() - start < PATIENCE_S + 2

            others = [number for number in range(3) if number != leader]
            for number in others:
                small.kill(number)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                nursery.start_soon(refuse)
            (error,) = unknown
            assert (error.queue, error.producer_seq, error.code) == ("minority", 2, "outcome_unknown")
            assert [(each.producer_seq, each.count) for each in producer.outstanding()] == [(2, 1)]
            for number in others:
                await small.restart(number)
            with trio.fail_after(10):
                told: Any = error  # its public type names no retry; what a publish raises has one
                receipt = await told.retry()
                assert (receipt.queue, receipt.seq, receipt.producer_seq) == ("minority", 3, 2)
                again = await producer.publish("minority", b"3", seq=2)
                assert (again, again.duplicate) == (receipt, True)
                assert producer.outstanding() == []
        with trio.fail_after(10):
            assert [message.body for message in await queue.peek()] == [b"1", b"2", b"3"]
            assert (await queue.info()).next_seq == 4
    no_tracebacks(small)
