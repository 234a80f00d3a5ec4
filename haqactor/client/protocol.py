"""The sans-IO core of a client: connections, lanes to groups, and what arrives; synchronous, with the time
handed in.

One rule: nothing here waits or reads a clock. The shell feeds bytes and time, writes what ``output`` returns,
and dials what ``wanted`` names.
"""

from collections.abc import Callable
from typing import Any, Final

from haqactor import wire
from haqactor.batch import Packer
from haqactor.client.consuming import Subscription
from haqactor.client.lane import ANY_NODE, REDIRECTS_MAX, Lane, Request, pick_link
from haqactor.client.link import Link, LinkState
from haqactor.client.options import Options
from haqactor.client.outcome import Outcome
from haqactor.client.producing import Identity, Stream
from haqactor.client.routing import Routing
from haqactor.env import NullProbe, Probe
from haqactor.errors import Error, NoQuorum, ProtocolError, from_wire

LINKS_MIN: Final = 2
GUESS_NS: Final = 200_000_000
HURRY_NS: Final = 100_000_000
"""How often a lane without a way looks at its patience, and whether to be proxied; the end of a hold and the
next guess are met to the moment."""
CALM_NS: Final = 1_000_000_000
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
_HOLD_CODES: Final = ("no_quorum", "overloaded", "outcome_unknown")


def _no_poke() -> None:
    """Until a shell has set its own."""


class Core:
    """One client session. ``poke`` is called when the shell should ask ``wanted`` and ``tick`` again soon;
    ``rouse`` when an answer is awaited where none was: ``tick`` within PING_NS then, and it returns the time.
    ``make_subscription``: what makes a consumer's subscription; who records a session puts its own kind
    here."""

    def __init__(
        self, session: bytes, seeds: list[str], options: Options, rotation: int, now_ns: int
    ) -> None:
        self.session = session
        self.options = options
        self.routing = Routing(seeds, rotation)
        self.links: list[Link] = []
        self.lanes: dict[int, Lane] = {}
        self.now_ns = now_ns
        self.poke: Callable[[], None] = _no_poke
        self.rouse: Callable[[], int] = self.time_ns
        self.welcomed: Outcome[None] = Outcome()
        self.message_bytes_max = options.message_bytes_max
        self.credit_messages, self.credit_bytes = options.credit_messages, options.credit_bytes
        self.cluster: bytes = options.cluster
        self.packer = Packer()
        self.probe: Probe = NullProbe()
        self.make_subscription: Callable[..., Subscription] = Subscription
        self._subscriptions: dict[int, Subscription] = {}
        self._consumers = 0
        self._guess_ns: dict[int, int] = {}
        self._refusing: dict[str, None] = {}

    # -- what the shell's objects ask for

    def lane(self, group: int) -> Lane:
        """The way to a group."""
        lane = self.lanes.get(group)
        if lane is None:
            lane = self.lanes[group] = Lane(group, self._wants, self.probe)
            self._route(lane)
        return lane

    def _wants(self) -> None:
        self.poke()

    def request(self, group: int, message: Any, *, mutates: bool = False) -> Request:
        """Ask a group's leader (ANY_NODE: any node)."""
        return Request(self.lane(group), message, self.redirect, mutates=mutates)

    def stream(self, group: int, queue: str, uid: int, identity: Identity) -> Stream:
        """A producer's stream to a queue."""
        patience_ns = self.options.patience_ns
        return Stream(
            self.lane(group), queue, uid, identity, self.packer, self.redirect, self.time_ns, patience_ns
        )

    def subscribe(self, group: int, uid: int, credit: tuple[int, int]) -> Subscription:
        """A consumer; ``credit``: messages (0: they are asked for one by one) and bytes."""
        self._consumers += 1
        number = self._consumers
        found = self.make_subscription(self.lane(group), uid, number, credit, self.redirect, self.time_ns)
        found.watchdog.watch(self.options.stall_ns)
        self._subscriptions[found.consumer] = found
        return found

    def forget(self, subscription: Subscription) -> None:
        """A consumer is over."""
        subscription.lane.drop(subscription)
        self._subscriptions.pop(subscription.consumer, None)

    def unsubscribe(self, subscription: Subscription) -> Request:
        """Forget a consumer, and tell its leader so."""
        self.forget(subscription)
        group = subscription.lane.group
        return self.request(group, wire.Unsubscribe(0, group, subscription.consumer))

    def time_ns(self) -> int:
        """The time of the last input."""
        return self.now_ns

    # -- connections

    def wanted(self) -> list[tuple[str, bool]]:
        """Connections to have: (address, proxy). The shell keeps those that it has, and dials the missing
        ones."""
        now_ns, routing, proxy_only = self.now_ns, self.routing, self.options.proxy
        found: dict[tuple[str, bool], None] = {}
        troubled = False
        if not proxy_only:
            for lane in self.lanes.values():
                leader = routing.leader(lane.group)
                if not lane.waits or leader.node < 0:
                    continue
                for address in [leader.address] if leader.address else routing.strangers():
                    found[(address, False)] = None
                    troubled = troubled or routing.unreachable(address, now_ns)
        known = routing.known_addresses()
        for calm in (True, False):
            for address in known if calm else sorted(known, key=routing.next_dial_ns):
                if len({name for name, _proxy in found}) >= LINKS_MIN:
                    break
                if calm and (routing.in_trouble(address) or self._is_leaving(address)):
                    continue
                found.setdefault((address, proxy_only), None)
        if troubled:
            standby = [link.address for link in self.links if link.state is LinkState.READY]
            found.update(dict.fromkeys((address, True) for address in standby[:1]))
        return list(found)

    def _is_leaving(self, address: str) -> bool:
        return any(link.leaving and address in (link.address, link.advertised) for link in self.links)

    def has_link(self, address: str, proxy: bool) -> bool:
        """Is there a connection to that address (or to the node that advertises it)?"""
        return any(address in (link.address, link.advertised) and link.proxy >= proxy for link in self.links)

    def connected(self, address: str, proxy: bool, now_ns: int) -> Link:
        """A new connection; it begins with our Hello."""
        self.now_ns = now_ns
        hello = wire.Hello(
            wire.VERSION_MIN,
            wire.VERSION_MAX,
            list(wire.AUTH_METHODS),
            self.options.client,
            self.session,
            self.cluster,
            proxy,
        )
        link = Link(address, proxy, hello, FRAME_BYTES_MAX, now_ns)
        link.rouse = self.rouse
        self.links.append(link)
        return link

    def dial_failed(self, address: str, now_ns: int, jitter: float) -> None:
        """Nobody there."""
        self.now_ns = now_ns
        self.routing.dial_failed(address, now_ns, jitter)
        self.reroute()

    def turned_away(self, link: Link) -> bool:
        """A node refused us for good; True: so did every other one that is known, since one welcomed us."""
        if link.state is LinkState.GREETING:
            self._refusing[link.address] = None
        return all(address in self._refusing for address in self.routing.known_addresses())

    def disconnected(self, link: Link, now_ns: int, jitter: float) -> None:
        """A connection ended: what waited on it goes elsewhere, at once where that is known."""
        self.now_ns = now_ns
        if link not in self.links:
            return
        self.links.remove(link)
        if link.state is not LinkState.READY:
            self.routing.dial_failed(link.address, now_ns, jitter)
        for lane in self.lanes.values():
            if lane.link is link:
                lane.attach(None)
        link.end()
        self.reroute()
        self.poke()

    def _route(self, lane: Lane) -> None:
        if lane.hold_ns <= self.now_ns:
            lane.attach(pick_link(self.routing, lane, self.links, self.options.proxy, self.now_ns))

    def reroute(self) -> None:
        """Something changed: every lane takes the best connection."""
        for lane in self.lanes.values():
            self._route(lane)

    def redirect(self, lane: Lane, link: Link, answer: wire.Failed) -> None:
        """A node cannot do what was asked: another may."""
        if link is not lane.link:
            return
        lane.redirects += 1
        if answer.code != "overloaded":  # that says the leader, whoever passes it on
            lane.avoid = link
        self.probe.mark("client.redirected")
        error = from_wire(answer.code, answer.message, answer.fields)
        if reason := getattr(error, "reason", ""):  # why nobody leads, for whoever gives up waiting
            lane.error = error = NoQuorum(answer.message, reason=str(reason))
        if answer.code in _HOLD_CODES or lane.group == ANY_NODE:
            lane.hold(self.now_ns, error)
            return
        leader, term = answer.fields.get("leader", -1), answer.fields.get("term", 0)
        self.routing.refused(
            lane.group, link.node, leader if type(leader) is int else -1, term if type(term) is int else 0
        )
        if lane.redirects > REDIRECTS_MAX or link.proxy:
            lane.redirects = 0
            lane.hold(self.now_ns, error)
            return
        lane.attach(None)
        self._route(lane)
        self.poke()

    # -- bytes

    def output(self, link: Link) -> bytes:
        """What to write now; empty: nothing, until ``link.wake`` is called."""
        if link.state is LinkState.READY:
            last = None
            for group, lane in self.lanes.items():
                if lane.link is link and lane.ready:
                    lane.fill(link)
                    if not link.has_room:
                        last = group
                        break
            if last is not None:  # next time the others come first
                self.lanes[last] = self.lanes.pop(last)
        return link.take()

    def receive(self, link: Link, data: bytes, now_ns: int) -> None:
        """Bytes arrived. Raises ProtocolError, or what the node refused us with: end the connection then."""
        self.now_ns = now_ns
        for frame in link.feed(data, now_ns):
            self._message(link, wire.parse(frame), frame.blob)

    def _message(self, link: Link, message: wire.Message, blob: bytes) -> None:
        match message:
            case wire.Reply():
                entry = link.pending.pop(message.rid, None)
                if entry is not None:
                    entry.replied(link, message.result, blob)
            case wire.Failed():
                entry = link.pending.pop(message.rid, None)
                if entry is not None:
                    entry.failed(link, message)
            case wire.Deliver():
                subscription = self._subscriptions.get(message.consumer)
                if subscription is not None:
                    subscription.delivered(link, message.lease_ns, message.parts, blob)
            case wire.LeaseLost():
                subscription = self._subscriptions.get(message.consumer)
                if subscription is not None:
                    subscription.lease_lost(message.leases)
            case wire.ConsumerGone():
                subscription = self._subscriptions.get(message.consumer)
                if subscription is not None:
                    subscription.gone(link, message.code, message.message)
            case wire.Leaders():
                self._learn(message.leaders)
            case wire.Welcome():
                self._welcome(link, message)
            case wire.Pong():
                pass
            case wire.Goodbye():
                self.probe.mark("client.goodbye")
                link.leaving = True
                self.reroute()
                self.poke()
            case wire.Refused():
                raise from_wire(message.code, message.message, message.fields)
            case _:
                raise ProtocolError(f"a node sent {type(message).__name__}, which only clients send")

    def _learn(self, rows: wire.Rows) -> None:
        """What every node tells is new once."""
        try:
            new = self.routing.learn(rows)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a row of leaders is malformed: {error}") from error
        if new:
            self.reroute()
            self.poke()

    def _welcome(self, link: Link, message: wire.Welcome) -> None:
        if self.cluster and message.cluster != self.cluster:
            raise ProtocolError(f"{link.address} belongs to another cluster")
        link.node, link.state = message.node, LinkState.READY
        link.advertised = message.address or link.address
        self.cluster = message.cluster
        self._refusing.clear()
        self.routing.dial_worked(link.address)
        self.routing.learn_node(message.node, message.address)
        self.message_bytes_max = _bound(message, "message_bytes_max", self.message_bytes_max)
        self.credit_messages = _bound(message, "consumer_credit_messages", self.credit_messages)
        self.credit_bytes = _bound(message, "consumer_credit_bytes", self.credit_bytes)
        self._learn(message.leaders)
        self.reroute()
        self.poke()
        self.welcomed.resolve(None)

    # -- time

    def tick(self, now_ns: int) -> tuple[int, list[Link]]:
        """Time passed: (when to come again, connections that are silent for too long and must be ended)."""
        self.now_ns = now_ns
        silent = [link for link in self.links if not link.tick(now_ns)]
        for link in silent:
            self.probe.mark("client.link_silent")
            self.routing.silent(link.address, now_ns)
            self.routing.silent(link.advertised, now_ns)
        next_ns = now_ns + CALM_NS
        for link in self.links:
            link.calm = not link.is_awaited
            if not link.calm:
                next_ns = min(next_ns, link.due_ns())
        for lane in list(self.lanes.values()):
            if lane.link is None and lane.waits:
                self._route(lane)
                if lane.link is None:
                    self._guess(lane)
                lane.tick(now_ns, self.options.patience_ns)
                next_ns = min(next_ns, self._again_ns(lane))
            for source in list(lane.sources):
                if isinstance(source, Stream) and (resume_ns := source.tick(now_ns)) is not None:
                    next_ns = min(next_ns, resume_ns)
        for subscription in list(self._subscriptions.values()):
            subscription.watchdog.tick(now_ns)
            renew_ns = subscription.renewals.tick(now_ns)
            if renew_ns is not None:
                next_ns = min(next_ns, renew_ns)
        return next_ns, silent

    def _again_ns(self, lane: Lane) -> int:
        """When a lane without a way is to be looked at again, if nothing is heard before."""
        again_ns = self.now_ns + HURRY_NS
        if lane.link is not None:
            return again_ns
        if lane.hold_ns > self.now_ns:
            again_ns = min(again_ns, lane.hold_ns)
        last = self._guess_ns.get(lane.group)
        if last is not None and last + GUESS_NS > self.now_ns:
            again_ns = min(again_ns, last + GUESS_NS)
        return again_ns

    def _guess(self, lane: Lane) -> None:
        """Nobody says who leads: now and then ask the next node by asking it to."""
        if self.routing.leader(lane.group).node >= 0 or lane.hold_ns > self.now_ns:
            return
        last = self._guess_ns.get(lane.group)
        if last is None:
            self._guess_ns[lane.group] = self.now_ns
        elif self.now_ns - last >= GUESS_NS:
            self._guess_ns[lane.group] = self.now_ns
            ready = [link for link in self.links if link.state is LinkState.READY]
            if ready:
                self.probe.mark("client.guesses")
                turn = self.now_ns // GUESS_NS % len(ready)
                self.routing.guess(lane.group, ready[turn].node)
                self._route(lane)

    def close(self, error: Error) -> None:
        """It is over: everything that waits hears ``error``."""
        for lane in self.lanes.values():
            for source in list(lane.sources):
                if isinstance(source, Request):
                    source.outcome.fail(error)
                    source.cancel()
                elif isinstance(source, Stream | Subscription):
                    source.end(error)


def _bound(message: wire.Welcome, name: str, known: int) -> int:
    """A bound that the node told, or the one known so far."""
    told = message.limits.get(name)
    return told if type(told) is int and told > 0 else known
