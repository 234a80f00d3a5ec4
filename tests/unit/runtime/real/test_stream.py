"""A read asks the system for as much as seems to come."""

import socket

from haqactor.runtime.real.stream import READ_BYTES_MIN, RealStream


async def test_reads_grow_with_what_comes_and_shrink_with_what_does_not() -> None:
    near, far = socket.socketpair()
    stream = RealStream(near, "far")
    with far:
        far.setblocking(False)
        sent = far.send(bytes(100_000))
        sizes: list[int] = []
        while sum(sizes) < sent:
            sizes.append(len(await stream.receive_some()))
        assert sizes[0] == READ_BYTES_MIN
        assert sizes[1] == 8 * READ_BYTES_MIN
        assert sum(sizes[2:]) == sent - 9 * READ_BYTES_MIN
        for _ in range(10):
            far.send(b"little")
            assert await stream.receive_some() == b"little"
        far.send(bytes(50_000))
        assert len(await stream.receive_some()) == READ_BYTES_MIN
    stream.abort()


async def test_no_read_is_larger_than_asked_for() -> None:
    near, far = socket.socketpair()
    stream = RealStream(near, "far")
    with far:
        far.send(b"x" * 100)
        assert [len(await stream.receive_some(10)) for _ in range(10)] == [10] * 10
    stream.abort()
