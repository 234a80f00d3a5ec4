"""One request, one reply; lengths are bounded before anything is kept."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from haqactor.env import ConnectFailed
from haqactor.errors import ProtocolError
from haqactor.nodes.gossip_streams import answer, ask
from haqactor.nodes.memory_stream import memory_stream_pair
from haqactor.swim.packet import STREAM_BYTES_MAX
from tests.builders.memory_environment import MemoryNetwork

AT = "n0:7002"


async def exchange(data: bytes, reply_to: Callable[[bytes], bytes]) -> bytes:
    network = MemoryNetwork()
    listener = await network.listen(AT)

    async def serve() -> None:
        await answer(await listener.accept(), reply_to)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        return await ask(network, AT, data)


@pytest.mark.parametrize("size", [1, 70_000, STREAM_BYTES_MAX])
async def test_there_and_back(size: int) -> None:
    """Of any size that is allowed."""
    assert await exchange(bytes(size), lambda data: data[::-1] + b"") == bytes(size)


@pytest.mark.parametrize("length", [0, STREAM_BYTES_MAX + 1, 0xFFFFFFFF])
async def test_a_length_out_of_bounds(length: int) -> None:
    """Nothing behind it is read."""
    near, far = memory_stream_pair("asks", AT)
    await near.send_all(length.to_bytes(4, "little"))
    with pytest.raises(ProtocolError, match="at most"):
        await answer(far, lambda data: data)


async def test_half_a_request() -> None:
    """Its end is no end of a packet."""
    near, far = memory_stream_pair("asks", AT)
    await near.send_all(b"\x05\0\0\0hel")
    await near.aclose()
    with pytest.raises(ProtocolError, match="early"):
        await answer(far, lambda data: data)


async def test_no_address(autojump_clock: MockClock) -> None:
    with pytest.raises(ConnectFailed):
        await ask(MemoryNetwork(), "", b"data")
