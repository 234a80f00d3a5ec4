"""Making a connection: the knock, the answer, and the two ends.

One rule: a refusal comes only from a machine that answers and has nobody at that port; whatever else goes
wrong is silence, and the dialer's patience ends it.
"""

from typing import Final

from haqactor.sim.network.flow import Flow
from haqactor.sim.network.links import Faults, Link
from haqactor.sim.network.machine import Machine, Stack
from haqactor.sim.network.stream import DIALING, GONE, OPEN, SimStream
from haqactor.sim.world import NS

KNOCK_AGAIN_NS: Final = NS
"""After which a knock is repeated that reached a machine which did not answer."""


class Connection:
    """``number``: its own in the world. ``client``: the dialer's end, on ``stack``."""

    __slots__ = ("_faults", "_port", "_target", "client")

    def __init__(
        self, faults: Faults, number: int, stack: Stack, target: Machine, port: int, links: tuple[Link, Link]
    ) -> None:
        there, back = links
        out, into = Flow(faults, there, number), Flow(faults, back, number)
        out.back, into.back = into, out
        out.receiver = self
        self._faults = faults
        self._target = target
        self._port = port
        key = stack.key()
        self.client = SimStream(stack, key, f"{target.name}:{port}", out, into, DIALING)
        stack.streams[key] = self.client

    def knock(self) -> None:
        """Try to connect, unless the dialer has had an answer or given up."""
        client = self.client
        if client.state != DIALING or client.stack.is_dead:
            return
        link = client.out.link
        if not link.steady and link.draw(link.settings.dial_loss_share):
            self._faults.fired("dial-lost", link.source, link.target, client.out.number)
        else:
            client.out.open()

    def opened(self) -> None:
        """The knock has come to the machine."""
        target, client = self._target, self.client
        host = target.host
        stack = target.stack if target.stack is not None and not target.stack.is_dead else None
        listener = stack.listeners.get(self._port) if stack is not None else None
        alive = host is not None and host.alive
        if (alive and host is not None and host.paused) or not (alive or target.answers):
            self._again()
        elif stack is None or listener is None:
            client.into.reset()
        elif listener.is_full:
            self._again()
        else:
            key = stack.key()
            remote = f"{client.out.link.source}:{50_000 + client.key % 10_000}"
            end = SimStream(stack, key, remote, client.into, client.out, OPEN)
            stack.streams[key] = end
            end.out.open()
            listener.connected(end)

    def _again(self) -> None:
        if self.client.state != GONE:
            self._faults.world.call_after(KNOCK_AGAIN_NS, self.knock)

    def data_came(self, data: bytes) -> None:
        """No bytes come before there is an end for them."""

    def end_came(self) -> None:
        """As bytes."""

    def credit_came(self, size: int) -> None:
        """As bytes."""

    def reset_came(self) -> None:
        """The dialer has gone: nobody needs an answer."""

    def gave_up(self) -> None:
        """Nothing is sent from here."""
