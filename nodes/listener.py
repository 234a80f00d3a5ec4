"""The clients' port: accepts connections, one session each, within the bound.

One rule: no connection, whatever it does, ends the listener or another connection.
"""

from typing import Final

import trio

from haqactor import wire
from haqactor.env import Listener, NetworkError, Stream
from haqactor.errors import Error
from haqactor.nodes.context import Context
from haqactor.nodes.sessions import ClientSession, Services, refuse_too_many, refuse_without_descriptors

_SAID_EVERY_NS: Final = 10_000_000_000
_REFUSED_AT_ONCE: Final = 16
"""That many are told why; beyond them a connection is closed without a word, for it has a descriptor."""


class ClientListener:
    """The sessions of one node."""

    def __init__(self, context: Context, services: Services) -> None:
        self._context = context
        self._services = services
        self.sessions: dict[int, ClientSession] = {}
        self._next = 0
        self._idle = trio.Event()
        self._refusing = 0
        self._say_ns = 0

    async def run(self, listener: Listener) -> None:
        """Accept until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                stream = await listener.accept()
                nursery.start_soon(self.serve, stream)

    async def serve(self, stream: Stream) -> None:
        """One connection, from wherever it comes."""
        limit = self._context.limits.connections_max
        if len(self.sessions) >= limit:
            await self._refuse(stream, refuse_too_many(limit))
            return
        if stream.is_among_last(self._context.descriptors_reserved):
            await self._refuse(stream, refuse_without_descriptors())
            return
        key = self._next
        self._next += 1
        session = self.sessions[key] = ClientSession(self._context, self._services, stream)
        try:
            await session.run()
        finally:
            del self.sessions[key]

    async def _refuse(self, stream: Stream, error: Error) -> None:
        context = self._context
        context.count("connections_refused")
        now = context.now()
        if now >= self._say_ns:
            self._say_ns = now + _SAID_EVERY_NS
            context.log.warning(
                "connections are refused", clients=len(self.sessions), remote=stream.remote, reason=str(error)
            )
        self._refusing += 1
        try:
            if self._refusing <= _REFUSED_AT_ONCE:
                with trio.move_on_after(1):
                    await stream.send_all(wire.pack(wire.Refused(error.code, str(error), error.fields())))
                    await stream.aclose()
        except NetworkError:
            context.count("refused_lost")
        finally:
            self._refusing -= 1
            stream.abort()

    def goodbye(self, reason: str) -> None:
        """Tell every client that this node stops."""
        for session in self.sessions.values():
            session.send(wire.Goodbye(reason))
