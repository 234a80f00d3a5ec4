"""The clients' port: accepts connections, one session each, within the bound.

One rule: no connection, whatever it does, ends the listener or another connection.
"""

import trio

from haqactor import wire
from haqactor.env import Listener, NetworkError, Stream
from haqactor.nodes.context import Context
from haqactor.nodes.sessions import ClientSession, Services, refuse_too_many


class ClientListener:
    """The sessions of one node."""

    def __init__(self, context: Context, services: Services) -> None:
        self._context = context
        self._services = services
        self.sessions: dict[int, ClientSession] = {}
        self._next = 0
        self._idle = trio.Event()

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
            await self._refuse(stream, limit)
            return
        key = self._next
        self._next += 1
        session = self.sessions[key] = ClientSession(self._context, self._services, stream)
        try:
            await session.run()
        finally:
            del self.sessions[key]

    async def _refuse(self, stream: Stream, limit: int) -> None:
        error = refuse_too_many(limit)
        try:
            with trio.move_on_after(1):
                await stream.send_all(wire.pack(wire.Refused(error.code, str(error), error.fields())))
                await stream.aclose()
        except NetworkError:
            self._context.count("refused_lost")
        finally:
            stream.abort()

    def goodbye(self, reason: str) -> None:
        """Tell every client that this node stops."""
        for session in self.sessions.values():
            session.send(wire.Goodbye(reason))
