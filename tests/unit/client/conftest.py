"""A fake cluster and a broker connected to it."""

from collections.abc import AsyncGenerator

import pytest
import trio

from haqactor.client.broker import Broker, open_session
from tests.builders.fake_node import FakeCluster
from tests.builders.fake_world import fake_environment


@pytest.fixture
async def cluster(nursery: trio.Nursery) -> FakeCluster:
    cluster = FakeCluster()
    cluster.start(nursery)
    return cluster


@pytest.fixture
async def broker(cluster: FakeCluster) -> AsyncGenerator[Broker]:
    async with open_session(cluster, fake_environment()) as broker:
        yield broker
