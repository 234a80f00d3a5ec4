"""Which connections take deliveries now: those for which little is chosen, or on its way, already.

One rule: what is held for a connection that does not read is bounded here, by ``connection_buffer_bytes`` and
one turn's share, whatever credit it has given; and whoever was passed over is looked at again once it has
taken what it got.
"""

from typing import TYPE_CHECKING

from haqactor.machine.actions import Deliver
from haqactor.machine.dispatcher import Dispatcher

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor
    from haqactor.nodes.sessions import ClientSession


class Pressure:
    """Of one group's deliveries during one term. ``sessions``: the connections by session. ``dispatcher``:
    the one that asks, once it is made."""

    def __init__(self, actor: "GroupActor", sessions: "dict[bytes, ClientSession] | None" = None) -> None:
        self.sessions = {} if sessions is None else sessions
        self.dispatcher: Dispatcher | None = None
        self._actor = actor
        self._bound = actor.context.limits.connection_buffer_bytes
        self._chosen: dict[bytes, int] = {}
        self._passed_over: dict[bytes, bool] = {}  #: is somebody waiting for its outbox?

    def takes(self, session: bytes) -> bool:
        """Has its connection room? If not, the dispatcher hears when it has again."""
        if self._pending(session) < self._bound:
            return True
        if session not in self._passed_over:
            self._actor.context.env.probe.mark("nodes.passed_over")
            self._actor.context.count("deliveries_held")
            self._passed_over[session] = False
        return False

    def _pending(self, session: bytes) -> int:
        client = self.sessions.get(session)
        return 0 if client is None else self._chosen.get(session, 0) + client.outbox.pending_bytes

    def chose(self, deliver: Deliver) -> None:
        """It will be held until it leaves."""
        self._chosen[deliver.session] = self._chosen.get(deliver.session, 0) + _bytes(deliver)

    def dropped(self, deliver: Deliver) -> None:
        """It went to the connection's outbox, or nowhere."""
        left = self._chosen.get(deliver.session, 0) - _bytes(deliver)
        if left > 0:
            self._chosen[deliver.session] = left
        else:
            self._chosen.pop(deliver.session, None)

    def look(self) -> None:
        """Deliveries have moved on: who was passed over, and what keeps it from more?"""
        if not self._passed_over:
            return
        for session, watched in list(self._passed_over.items()):
            if not watched and self._pending(session) < self._bound:
                self._again(session)
            elif not watched and self._chosen.get(session, 0) < self._bound:
                self._watch(session)

    def _again(self, session: bytes) -> None:
        del self._passed_over[session]
        dispatcher = self.dispatcher
        if dispatcher is not None:
            self._actor.mailbox.put(lambda _now: dispatcher.room_again(session))

    def _watch(self, session: bytes) -> None:
        nursery = self._actor.applier.nursery
        if nursery is not None:
            self._passed_over[session] = True
            nursery.start_soon(self._outbox_has_room, session)

    async def _outbox_has_room(self, session: bytes) -> None:
        client = self.sessions.get(session)
        if client is not None:
            await client.outbox.wait_below(max(1, self._bound - self._chosen.get(session, 0)))
        if session in self._passed_over:  # the term goes on
            self._passed_over[session] = False
            current = self.sessions.get(session)  # perhaps another connection by now
            if current is None or not current.open:
                del self._passed_over[session]  # its consumers subscribe anew, and are looked at then
            else:
                self.look()

    def close(self) -> None:
        """The term ended."""
        self.dispatcher = None
        self._chosen.clear()
        self._passed_over.clear()


def _bytes(deliver: Deliver) -> int:
    """What holding it costs: its batches as they are stored."""
    return sum(part.body_bytes for part in deliver.parts)
