"""A fake cluster and a broker connected to it."""

from collections.abc import AsyncGenerator

import pytest
import trio
from trio.testing import MockClock

from haqactor.client.broker import Broker, open_session
from tests.builders.fake_node import FakeCluster
from tests.builders.fake_world import fake_environment


@pytest.fixture(autouse=True)
def jumping(autojump_clock: MockClock) -> MockClock:
    """No test waits for real time: the clock jumps once all tasks wait."""
    return autojump_clock


@pytest.fixture
async def cluster(nursery: trio.Nursery) -> FakeCluster:
    cluster = FakeCluster()
    cluster.start(nursery)
    return cluster


@pytest.fixture
async def broker(cluster: FakeCluster) -> AsyncGenerator[Broker]:
    async with open_session(cluster, fake_environment()) as broker:
        yield broker
