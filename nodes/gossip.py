"""Membership at work: the SWIM core of a node, its gossip port, and what the core wants done.

One rule: the core is called by this actor only, and never waits: its tasks read, send, dial and sleep, and
nothing that comes over the port, or fails there, ends anything.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Final

import trio

from haqactor.config import gossip_address
from haqactor.env import NetworkError, Stream
from haqactor.errors import ConfigError, ProtocolError
from haqactor.nodes.context import Context
from haqactor.nodes.founding import own_address
from haqactor.nodes.gossip_streams import answer, ask
from haqactor.nodes.load import differs, meta_of, own_load
from haqactor.nodes.ports import GossipPorts
from haqactor.nodes.timers import Timers
from haqactor.swim.config import SwimConfig
from haqactor.swim.core import SwimCore
from haqactor.swim.effects import Changed, Exchange, Send
from haqactor.swim.member import NEVER_HEARD, Member, Status, first_incarnation
from haqactor.swim.messages import SwimPacketError
from haqactor.swim.table import LIVE

OUTBOX_PACKETS_MAX: Final = 256
"""Datagrams that wait to be sent; later ones are dropped, and others will tell the same."""
EXCHANGES_MAX: Final = 16
SERVED_MAX: Final = 32
"""Streams under way, out and in; what is beyond fails at once."""
_LATE_PART: Final = 4
_LINGER_ROUNDS: Final = 3
_TOLD_EVERY_NS: Final = 60_000_000_000
_TICK: Final = 0
_NS: Final = 1_000_000_000

OnChanged = Callable[[Member, Member | None], None]


def swim_config(context: Context) -> SwimConfig:
    """The core's times, in proportion to the probe interval; its retries end at ``rejoin_max``."""
    probe_ns = round(context.limits.probe_interval * _NS)
    return SwimConfig(
        probe_interval_ns=probe_ns,
        probe_timeout_ns=probe_ns // 2,
        gossip_interval_ns=probe_ns // 5,
        push_pull_interval_ns=round(context.limits.rejoin_max * _NS),
        rejoin_min_ns=probe_ns,
        rejoin_max_ns=round(context.limits.rejoin_max * _NS),
    )


class Gossip:
    """One node's membership. ``on_changed`` hears what is believed of others now, and was before.
    ``clients``: how many there are."""

    def __init__(
        self, context: Context, ports: GossipPorts, on_changed: OnChanged, clients: Callable[[], int]
    ) -> None:
        self._context = context
        self._ports = ports
        self._on_changed = on_changed
        self._clients = clients
        self._config = swim_config(context)
        self._timers = Timers(context.env.clock)
        self._timers.add(_TICK, self._tick)
        self._due_ns = 0
        self._send_soon, self._unsent = trio.open_memory_channel[tuple[str, bytes]](OUTBOX_PACKETS_MAX)
        self._places: dict[str, str] = {}
        self._exchanging = 0
        self._serving = 0
        self._nursery: trio.Nursery | None = None
        self._told_ns: int | None = None
        self._has_run = False
        self.core = self._new_core(None)

    def _new_core(self, before: Member | None) -> SwimCore:
        """``before``: what an earlier core of this very start said of itself."""
        context = self._context
        identity, probe = context.identity, context.env.probe
        incarnation = first_incarnation(context.boot, probe) if before is None else before.incarnation + 1
        me = Member(
            identity.nonce, context.node, own_address(context.config), incarnation, Status.ALIVE, self._meta()
        )
        known = [
            Member(nonce, node, address, NEVER_HEARD, Status.ALIVE, b"")
            for node, address, nonce in identity.members
            if nonce != identity.nonce
        ]
        return SwimCore(
            self._config,
            identity.cluster_id or b"",
            me,
            known,
            tuple(context.config.seeds),
            random=context.env.random,
            probe=probe,
            now_ns=context.now(),
        )

    # -- life

    async def run(self) -> None:
        """Gossip until cancelled. What is run again speaks above all that it has said."""
        if self._has_run:
            self.core = self._new_core(self.core.me)
        self._has_run = True
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._timers.run)
                nursery.start_soon(self._receive)
                nursery.start_soon(self._send)
                nursery.start_soon(self._listen)
                nursery.start_soon(self._look)
                self._due_ns = self._context.now()
                self._tick()
        finally:
            self._nursery = None

    async def leave(self) -> None:
        """Say goodbye, and stay a moment so that it gets round."""
        core = self.core
        if self._nursery is None:
            return
        core.leave(self._context.now())
        self._perform()
        if any(member.status in LIVE for member in core.members() if member.key != core.me.key):
            await trio.sleep(_LINGER_ROUNDS * self._config.gossip_interval_ns / _NS)

    def status(self) -> dict[str, Any]:
        """Counters of the core and of the port; plain values."""
        counted = asdict(self.core.statistics())
        own = {name: value for name, value in self._context.gauges.items() if name.startswith("gossip_")}
        return {**counted, **dict(sorted(own.items()))}

    # -- the core

    def _tick(self) -> None:
        core, now = self.core, self._context.now()
        late_ns = now - self._due_ns
        if late_ns > self._config.probe_timeout_ns // _LATE_PART:
            core.stalled(late_ns, now)
        core.tick(now)
        self._perform()

    def _perform(self) -> None:
        core = self.core
        for effect in core.take():
            match effect:
                case Send(to, data):
                    try:
                        self._send_soon.send_nowait((to, data))
                    except trio.WouldBlock:
                        self._context.count("gossip_dropped")
                case Exchange():
                    self._exchange_soon(effect)
                case Changed(member, was):
                    self._on_changed(member, was)
        self._due_ns = core.next_ns()
        self._timers.wake_by(_TICK, self._due_ns)

    def _exchange_soon(self, exchange: Exchange) -> None:
        if self._nursery is None or self._exchanging >= EXCHANGES_MAX:
            self._context.count("gossip_exchanges_dropped")
            self.core.exchange_failed(exchange.to, self._context.now())
            return
        self._exchanging += 1
        self._nursery.start_soon(self._exchange, exchange)

    # -- its tasks

    async def _receive(self) -> None:
        datagrams, context, core = self._ports.datagrams, self._context, self.core
        while True:
            data, sender = await datagrams.receive()
            try:
                core.received(data, sender, context.now())
            except SwimPacketError as error:
                self._bad(sender, error)
            self._perform()

    async def _send(self) -> None:
        datagrams = self._ports.datagrams
        while True:
            to, data = await self._unsent.receive()
            place = self._place(to)
            if place:
                await datagrams.send(data, place)

    def _place(self, address: str) -> str:
        """The gossip port of a node; "" for what is no address."""
        place = self._places.get(address)
        if place is None:
            if len(self._places) > self._config.members_max:
                self._places.clear()
            try:
                place = gossip_address(address)
            except ConfigError:
                place = ""
            self._places[address] = place
        return place

    async def _exchange(self, exchange: Exchange) -> None:
        context, core, reply = self._context, self.core, b""
        try:
            with trio.move_on_after(2 * context.limits.probe_interval):
                reply = await ask(context.env.network, self._place(exchange.to), exchange.data)
        except (NetworkError, ProtocolError):
            pass
        finally:
            self._exchanging -= 1
        if reply:
            core.exchanged(exchange.to, reply, context.now())
        else:
            core.exchange_failed(exchange.to, context.now())
        self._perform()

    async def _listen(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                stream = await self._ports.streams.accept()
                if self._serving >= SERVED_MAX:
                    self._context.count("gossip_streams_refused")
                    stream.abort()
                else:
                    self._serving += 1
                    nursery.start_soon(self._serve, stream)

    async def _serve(self, stream: Stream) -> None:
        context = self._context

        def reply_to(data: bytes) -> bytes:
            try:
                return self.core.asked(data, context.now())
            finally:
                self._perform()

        try:
            with trio.move_on_after(context.limits.handshake):
                await answer(stream, reply_to)
        except NetworkError:
            pass
        except ProtocolError as error:
            self._bad(stream.remote, error)
        finally:
            self._serving -= 1
            stream.abort()

    def _bad(self, sender: str, error: ProtocolError) -> None:
        """Something came that is no gossip. Told once in a while; all of it is counted."""
        now = self._context.now()
        self._context.count("gossip_bad")
        if self._told_ns is None or now - self._told_ns > _TOLD_EVERY_NS:
            self._told_ns = now
            self._context.log.warning("bad gossip is ignored", remote=sender, reason=str(error))

    # -- what it says of itself

    def _meta(self) -> bytes:
        return meta_of(own_load(self._context, self._clients()), self._context.versions)

    async def _look(self) -> None:
        """Tell of this node's load where it is noticeably different; and of strangers."""
        context, every_s = self._context, 10 * self._context.limits.probe_interval
        told, foreign = own_load(context, self._clients()), 0
        while True:
            await trio.sleep(every_s)
            load = replace(own_load(context, self._clients()), health=self.core.health)
            if differs(load, told) and self.core.me.status is Status.ALIVE:
                told = load
                self.core.update(meta=meta_of(load, context.versions), now_ns=context.now())
                self._perform()
            counted = self.core.statistics().foreign
            if counted > foreign:
                context.log.warning("packets of another cluster are ignored", packets=counted - foreign)
                foreign = counted
