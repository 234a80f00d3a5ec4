"""Each peer that is installed: three real nodes, its clients, a failover; skipped where it is not."""

from pathlib import Path

import pytest

from benchmarks.clusters import OUT
from benchmarks.peers.jobs import Bodies, random_file
from benchmarks.peers.registry import PEERS, Peer
from benchmarks.peers.rows import measure, running
from benchmarks.result import BenchmarkWrong

pytestmark = pytest.mark.slow
_LOOK = 0.002


def installed(*names: str) -> list[object]:
    """The peers by name, each skipped where something of it is missing."""
    return [
        pytest.param(
            PEERS[name],
            id=name,
            marks=pytest.mark.skipif(
                bool(PEERS[name].missing()), reason=f"make bench-peers-install: {PEERS[name].missing()}"
            ),
        )
        for name in names
    ]


def left_behind() -> set[Path]:
    return {path for pattern in ("peer-*", "bodies-*") for path in OUT.glob(pattern)}


@pytest.mark.parametrize(
    "peer",
    installed(
        "rabbitmq-quorum",
        "nats-r3",
        "nats-r3-always",
        "redis-wait1-always",
        "redis-wait1-everysec",
        "pysyncobj",
    ),
)
async def test_moves_every_message(peer: Peer) -> None:
    before = left_behind()
    found = await measure(peer.name, "end-to-end", scale=_LOOK)
    assert found is not None
    figures = {result.name: result.value for result in found}
    assert figures["end_to_end_100B"] > 0
    assert figures["broker_cpu_s_per_1M"] >= 0  # counted in hundredths of a second: so few may cost none
    assert left_behind() == before


@pytest.mark.parametrize("peer", installed("aio-pika", "nats-py", "redis-py"))
async def test_python_clients_move_every_message(peer: Peer) -> None:
    found = await measure(peer.name, "consume-each", scale=0.01)
    assert found is not None
    assert found[0].value > 0


@pytest.mark.parametrize("peer", installed("redis-wait1-everysec"))
async def test_a_client_knows_what_was_not_sent(peer: Peer) -> None:
    async with random_file(300, 100) as sent, random_file(300, 64) as others, running(peer) as driver:
        await driver.declare("q")
        await driver.run("publish", "q", Bodies(sent.path, 200, 100))
        audit = await driver.run("consume", "q", sent, audit=1)
        assert (audit["count"], audit["lost"], audit["duplicates"]) == (200, 100, 0)
        await driver.run("publish", "q", sent)
        with pytest.raises(BenchmarkWrong, match="100 bytes arrived, 64 were sent"):
            await driver.run("consume", "q", others)


@pytest.mark.parametrize("peer", installed("pysyncobj"))
async def test_a_killed_leader_loses_nothing(peer: Peer) -> None:
    found = await measure(peer.name, "failover", scale=0.1)
    assert found is not None
    figures = {result.name: result.value for result in found}
    assert figures["failover_ms_median"] > 0
    assert figures["failover_lost"] == 0
