"""A small network to test on: hosts by name, a listener that writes down all that it hears.

One rule: delays are the same for all unless a test asks otherwise, so that times can be told exactly.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from haqactor.env import Stream, StreamReset
from haqactor.sim.network import Fabric, LinkSettings, SimNetwork
from haqactor.sim.trace import Event
from haqactor.sim.world import World

MS = 1_000_000
S = 1_000_000_000
PLAIN = LinkSettings(
    delay_min_ns=MS, delay_mean_ns=0, bandwidth=0, split_share=0.0, chop_share=0.0, discard_share=0.0
)
"""Each way takes a millisecond, whatever is sent."""


@dataclass(frozen=True, slots=True)
class Heard:
    """``what``: bytes, or "open", "end", "reset". ``stream``: the listener's number of it."""

    at_ms: float
    stream: int
    what: bytes | str


class Net:
    """Hosts ``names``; use as a context manager. ``heard``: by all listeners."""

    def __init__(
        self,
        *names: str,
        seed: int = 1,
        settings: LinkSettings = PLAIN,
        dial_timeout_ns: int = 10 * S,
        silence_share: float = 0.0,
    ) -> None:
        self.world = World(seed, recording=True)
        self.fabric = Fabric(
            self.world, settings, dial_timeout_ns=dial_timeout_ns, end_share=0.0, silence_share=silence_share
        )
        self.heard: list[Heard] = []
        self.ended: list[str] = []
        for name in names:
            self.world.host(name)

    def __enter__(self) -> "Net":
        return self

    def __exit__(self, kind: object, *_exception: object) -> None:
        self.world.close()
        for host in self.world.hosts.values():
            assert kind or host.error is None, host.error

    @property
    def now_ms(self) -> float:
        """World time."""
        return self.world.now_ns / MS

    def start(self, name: str, main: Callable[[SimNetwork], Awaitable[object]]) -> None:
        """Switch a host on; ``ended`` tells when its program is through."""
        network = SimNetwork(self.fabric, self.world.hosts[name])

        async def program() -> None:
            await main(network)
            self.ended.append(name)
            await trio.sleep_forever()

        self.world.hosts[name].start(program)

    def run(self, for_ms: float) -> None:
        """Let time pass; an error of a program is raised here."""
        self.world.run(self.world.now_ns + int(for_ms * MS))
        for host in self.world.hosts.values():
            if host.error is not None:
                raise host.error

    def listen(self, name: str = "b", greeting: bytes = b"") -> None:
        """Switch a host on that hears all on port 1, and greets if asked to."""

        async def main(network: SimNetwork) -> None:
            listener = await network.listen(f"{name}:1")
            number = 0
            async with trio.open_nursery() as nursery:
                while True:
                    stream = await listener.accept()
                    nursery.start_soon(self.hear, stream, number, greeting)
                    number += 1

        self.start(name, main)

    async def hear(self, stream: Stream, number: int = 0, greeting: bytes = b"") -> None:
        """Write down all that comes."""
        self.put(number, "open")
        try:
            if greeting:
                await stream.send_all(greeting)
            while data := await stream.receive_some():
                self.put(number, data)
            self.put(number, "end")
            await stream.aclose()
        except StreamReset:
            self.put(number, "reset")

    def put(self, number: int, what: bytes | str) -> None:
        """It was heard now."""
        self.heard.append(Heard(self.now_ms, number, what))

    @property
    def said(self) -> list[tuple[int, bytes | str]]:
        """What was heard, without times and without what opened."""
        return [(heard.stream, heard.what) for heard in self.heard if heard.what != "open"]

    def bytes_of(self, number: int) -> bytes:
        """All that was heard on one stream."""
        return b"".join(
            heard.what for heard in self.heard if heard.stream == number and isinstance(heard.what, bytes)
        )

    def events(self, kind: str) -> list[Event]:
        """Of the trace."""
        return [event for event in self.world.trace.events if event.kind == kind]


async def read(stream: Stream, size: int) -> bytes:
    """So many bytes."""
    got = b""
    while len(got) < size:
        part = await stream.receive_some(size - len(got))
        assert part, "the peer closed early"
        got += part
    return got


def pattern(size: int) -> bytes:
    """Bytes in which a swapped or a lost piece shows."""
    return b"".join(number.to_bytes(4, "big") for number in range(-(-size // 4)))[:size]
