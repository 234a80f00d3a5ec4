"""The way to one group: who has something to say to its leader, over which connection, and since when nobody
listens.

One rule: what is unanswered when the way changes is sent again over the new one, in the same order within
each source.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from haqactor import wire
from haqactor.client.link import Link
from haqactor.client.outcome import Outcome
from haqactor.client.routing import Routing
from haqactor.env import NullProbe, Probe
from haqactor.errors import Error, NoQuorum, OutcomeUnknown, from_wire

_NULL: Final = NullProbe()
ANY_NODE: Final = -1
"""The number of the lane whose requests any node answers."""
REDIRECTS_MAX: Final = 4
HOLD_NS: Final = 50_000_000
TRANSIENT: Final = ("not_leader", "no_quorum", "overloaded", "outcome_unknown")


class Source(Protocol):
    """A request, a producer's stream or a consumer."""

    @property
    def waits(self) -> bool:
        """Does somebody wait for this group's leader because of it?"""
        ...

    def fill(self, link: Link) -> bool:
        """Write what there is; False: more is there but the link has no room."""
        ...

    def detach(self) -> None:
        """The way changed: what is unanswered is to be sent again."""

    def expire(self, now_ns: int, patience_ns: int, error: Error) -> None:
        """There is no leader: give up on what has waited for longer than the patience."""


class Lane:
    """One group's sources and its current connection."""

    __slots__ = (
        "_looked_ns", "_poke", "avoid", "copies", "error", "group", "hold_ns", "link", "probe", "ready",
        "redirects", "since_ns", "sources",
    )  # fmt: skip

    def __init__(self, group: int, poke: Callable[[], None], probe: Probe = _NULL) -> None:
        self.probe = probe
        self.group = group
        self.link: Link | None = None
        self.avoid: Link | None = None  #: to a node that could not pass on what was asked last: others first
        self.sources: dict[Source, None] = {}
        self.ready: dict[Source, None] = {}
        self.redirects = 0
        self.hold_ns = 0
        self.copies = 0  #: of requests, sent while an earlier one may be done yet
        self.since_ns: int | None = None
        self.error: Error | None = None
        self._looked_ns = 0
        self._poke = poke

    @property
    def waits(self) -> bool:
        """Is a leader needed now?"""
        return any(source.waits for source in self.sources)

    def add(self, source: Source) -> None:
        """From now on the source's needs are this lane's."""
        self.sources[source] = None
        self.touch(source)

    def drop(self, source: Source) -> None:
        """It is done."""
        self.sources.pop(source, None)
        self.ready.pop(source, None)

    def touch(self, source: Source) -> None:
        """The source has something to write."""
        self.ready[source] = None
        if self.link is not None:
            self.link.wake()
        else:
            self._poke()

    def remind(self) -> None:
        """A source has something to do by itself, later: let the shell ask when."""
        self._poke()

    def attach(self, link: Link | None) -> None:
        """The way is now ``link`` (None: there is none)."""
        if link is self.link:
            return
        self.link = link
        self.ready = dict.fromkeys(self.sources)
        for source in list(self.sources):
            source.detach()
        if link is not None:
            link.wake()
        else:
            self._poke()

    def fill(self, link: Link) -> None:
        """Let the sources write, in turns, while the link has room."""
        while self.ready and link.has_room:
            source = next(iter(self.ready))
            del self.ready[source]
            if not source.fill(link):
                self.ready[source] = None

    def answered(self) -> None:
        """The leader did what it was asked: there is one."""
        self.redirects = 0
        self.since_ns = None
        self.error = None

    def hold(self, now_ns: int, error: Error) -> None:
        """The leader cannot now; ask again in a moment."""
        self.error = error
        self.hold_ns = now_ns + HOLD_NS
        self.attach(None)

    def tick(self, now_ns: int, patience_ns: int) -> None:
        """While there is no leader: give up on whoever has waited long enough."""
        if self.link is not None:
            return
        if self.since_ns is None or now_ns - self._looked_ns >= patience_ns:  # or there was one for so long
            self.since_ns = now_ns
        self._looked_ns = now_ns
        error = self.error if isinstance(self.error, NoQuorum) else None
        for source in list(self.sources):
            source.expire(now_ns, patience_ns, error or NoQuorum(f"no leader of group {self.group} answers"))

    def since(self, since_ns: int | None, now_ns: int) -> int:
        """Since when somebody waits without a leader, who has waited since ``since_ns`` (None: since now): a
        wait from before there was one begins anew."""
        return now_ns if since_ns is None or since_ns < (self.since_ns or 0) else since_ns


class Redirect(Protocol):
    """What a source tells the core when a node answers that it cannot."""

    def __call__(self, lane: Lane, link: Link, answer: wire.Failed) -> None: ...


class Request:
    """One request and its answer: (result, blob). Sent again to the next leader until it is answered, since
    all may be repeated. ``doubt``: sendings that nobody refused: it may be done."""

    __slots__ = (
        "_lane",
        "_link",
        "_message",
        "_mutates",
        "_redirect",
        "_rid",
        "_since_ns",
        "doubt",
        "outcome",
    )

    def __init__(self, lane: Lane, message: Any, redirect: Redirect, *, mutates: bool = False) -> None:
        self.outcome: Outcome[tuple[Any, bytes]] = Outcome()
        self._lane = lane
        self._link: Link | None = None
        self._message = message
        self._mutates = mutates
        self._redirect = redirect
        self._rid = 0
        self.doubt = 0
        self._since_ns: int | None = None
        lane.add(self)

    @property
    def waits(self) -> bool:
        """Until it is answered."""
        return True

    def fill(self, link: Link) -> bool:
        """Write it."""
        if self._link is None:
            self._link = link
            self._rid = link.ask(self, self._message)
            self._lane.copies += self.doubt > 0
            self.doubt += 1
        return True

    def detach(self) -> None:
        """Write it again."""
        self.forget()

    def forget(self) -> None:
        """No answer is awaited on the connection any more."""
        if self._link is not None:
            self._link.pending.pop(self._rid, None)
            self._link = None

    def cancel(self) -> None:
        """Nobody waits for it."""
        self.forget()
        self._lane.drop(self)

    def expire(self, now_ns: int, patience_ns: int, error: Error) -> None:
        """Nobody leads: NoQuorum, or OutcomeUnknown where it may have been done."""
        self._since_ns = self._lane.since(self._since_ns, now_ns)
        if now_ns - self._since_ns >= patience_ns:
            unknown = OutcomeUnknown(
                f"{type(self._message).__name__.lower()} was sent, and then the leader was lost"
            )
            self._lane.probe.mark("client.request_expired")
            self.outcome.fail(unknown if self._mutates and self.doubt else error)
            self.cancel()

    def replied(self, link: Link, result: Any, blob: bytes) -> None:
        """Done."""
        self._link = None
        self._lane.answered()
        self._lane.drop(self)
        self.outcome.resolve((result, blob))

    def failed(self, link: Link, answer: wire.Failed) -> None:
        """An answer of the group is final; one about leadership is not."""
        self._link = None
        if answer.code in TRANSIENT and not (
            answer.code == "outcome_unknown" and self._lane.group == ANY_NODE
        ):
            self.doubt -= answer.code != "outcome_unknown"
            self._redirect(self._lane, link, answer)
            self._lane.touch(self)
            return
        self._lane.answered()
        self._lane.drop(self)
        self.outcome.fail(from_wire(answer.code, answer.message, answer.fields))

    def lost(self, link: Link) -> None:
        """Again."""
        if self._link is link:
            self._lane.probe.mark("client.request_again")
            self._link = None
            self._lane.touch(self)


def pick_link(routing: Routing, lane: Lane, links: list[Link], proxy_only: bool, now_ns: int) -> Link | None:
    """The best connection for a group now: its leader's; any, if a node is to pass it on; else None."""
    ready = [link for link in links if link.state.value == "ready"]
    if lane.group == ANY_NODE or proxy_only:
        return _other([link for link in ready if not link.leaving] or ready, lane.avoid)
    leader = routing.leader(lane.group)
    if leader.node < 0:
        return None
    for link in ready:
        if link.node == leader.node:
            return link
    if routing.unreachable(leader.address, now_ns):
        return _other([link for link in ready if link.proxy], lane.avoid)
    return None


def _other(links: list[Link], avoid: Link | None) -> Link | None:
    """The first one, and that to avoid only where there is no other."""
    return next((link for link in links if link is not avoid), links[0] if links else None)
