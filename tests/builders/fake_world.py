"""In-memory streams, trio's clock and a fixed source of chance: all of the world that a client needs.

One rule: nothing here knows the protocol.
"""

from typing import Any

import trio

from haqactor.env import Buffer, Environment, NullProbe, StreamReset


class FakeStream:
    """One end of an in-memory connection."""

    def __init__(
        self, remote: str, send: trio.MemorySendChannel[bytes], receive: trio.MemoryReceiveChannel[bytes]
    ) -> None:
        self.remote = remote
        self._send = send
        self._receive = receive
        self.broken = False
        self.peer: FakeStream | None = None
        self.among_last = False

    def is_among_last(self, reserve: int) -> bool:
        return self.among_last

    def give_up_after(self, seconds: float) -> None:
        """Nothing is ever on its way."""

    def send_now(self, data: Buffer) -> int:
        try:
            self._send.send_nowait(bytes(data))
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return 0
        return len(memoryview(data))

    async def send_all(self, data: Buffer) -> None:
        try:
            await self._send.send(bytes(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise StreamReset("reset") from error

    async def receive_some(self, max_bytes: int = 262_144) -> bytes:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel as error:
            if self.broken:
                raise StreamReset("reset") from error
            return b""
        except trio.ClosedResourceError as error:
            raise StreamReset("reset") from error

    async def aclose(self) -> None:
        self._send.close()
        self._receive.close()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        if self.peer is not None:
            self.peer.broken = True
        self._send.close()
        self._receive.close()


def stream_pair(client: str, node: str) -> tuple[FakeStream, FakeStream]:
    """(the client's end, the node's end)."""
    up_send, up_receive = trio.open_memory_channel[bytes](64)
    down_send, down_receive = trio.open_memory_channel[bytes](64)
    ours, theirs = FakeStream(node, up_send, down_receive), FakeStream(client, down_send, up_receive)
    ours.peer, theirs.peer = theirs, ours
    return ours, theirs


class FakeClock:
    """Trio's own time, so that autojump moves it."""

    def monotonic_ns(self) -> int:
        return round(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000 + self.monotonic_ns()


class FakeRandom:
    """Always the same."""

    def __init__(self) -> None:
        self._tokens = 0

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2

    def below(self, bound: int) -> int:
        return 0

    def token(self, size: int) -> bytes:
        self._tokens += 1
        return self._tokens.to_bytes(size, "big")


def fake_environment() -> Environment:
    """A client needs a clock and chance only."""
    nothing: Any = None
    return Environment(
        clock=FakeClock(),
        network=nothing,
        disk=nothing,
        random=FakeRandom(),
        offload=nothing,
        probe=NullProbe(),
    )
