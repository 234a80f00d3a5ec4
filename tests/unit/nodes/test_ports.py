"""All ports of a node are open, or none."""

from typing import Any, cast

import pytest

from haqactor.config import NodeConfig
from haqactor.env import AddressInUse, ConnectFailed, Listener, Network
from haqactor.errors import Conflict
from haqactor.nodes.ports import listen
from tests.builders.memory_environment import MemoryNetwork

CONFIG = NodeConfig(data_dir="d", listen="127.0.0.1:7000")


class Broken(MemoryNetwork):
    """A network that has no second port."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    async def listen(self, address: str) -> Listener:
        if self.listeners:
            raise self.error
        return await super().listen(address)


async def test_all_and_closed_together() -> None:
    """The peers' is the next one, and that of gossip the one after it, for streams and datagrams."""
    network = MemoryNetwork()
    ports = await listen(CONFIG, network)
    assert list(network.listeners) == ["127.0.0.1:7000", "127.0.0.1:7001", "127.0.0.1:7002"]
    assert list(network.datagram_ports) == ["127.0.0.1:7002"]
    await ports.aclose()
    assert not network.listeners
    assert not network.datagram_ports


async def test_a_node_of_its_own_opens_none() -> None:
    """And closes none."""
    network = MemoryNetwork()
    ports = await listen(NodeConfig(data_dir="d"), network)
    assert (ports.clients, ports.peers, ports.gossip) == (None, None, None)
    await ports.aclose()
    assert not network.listeners


@pytest.mark.parametrize("error", [AddressInUse("taken"), ConnectFailed("no such interface")])
async def test_the_peers_port_fails(error: Exception) -> None:
    """Whatever the reason, the clients' port is free again."""
    network = Broken(error)
    with pytest.raises(Conflict, match=r"peers on 127\.0\.0\.1:7001"):
        await listen(CONFIG, cast(Network, network))
    assert not network.listeners


async def test_anything_else_leaves_nothing_open_either() -> None:
    """And is not dressed up as a conflict."""
    network: Any = Broken(KeyError("a bug"))
    with pytest.raises(KeyError):
        await listen(CONFIG, network)
    assert not network.listeners


async def test_the_clients_port_is_taken() -> None:
    """It says which."""
    network = MemoryNetwork()
    await network.listen("127.0.0.1:7000")
    with pytest.raises(Conflict, match=r"clients on 127\.0\.0\.1:7000"):
        await listen(CONFIG, network)


async def test_the_gossip_port_is_taken() -> None:
    """For datagrams only, as by another program: a conflict like any other."""
    network = MemoryNetwork()
    await network.datagrams("127.0.0.1:7002")
    with pytest.raises(Conflict, match=r"gossip on 127\.0\.0\.1:7002"):
        await listen(CONFIG, network)
    assert not network.listeners
