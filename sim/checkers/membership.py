"""S23 and L5: what members believe of each other goes forward, and ends in the truth.

One rule: a belief is judged against what was ever said, by anybody, anywhere in the run; never against what a
node could not have heard.
"""

from dataclasses import dataclass, field
from math import log2
from typing import Final as Constant

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Final
from haqactor.sim.watch.observed import Event, Membership

ALIVE, SUSPECT, DEAD, LEFT = "alive", "suspect", "dead", "left"
_ORDER: Constant = {ALIVE: 0, SUSPECT: 1, DEAD: 2, LEFT: 3}
_SHOWN: Constant = 3
_PERIODS: Constant = 40
"""Of probes, beside 10 log2 n: the longest suspicion, and news that goes round."""
_RETRIES: Constant = 2
"""Waits of the longest kind between two attempts to reach somebody."""

Belief = tuple[int, str]
"""Incarnation and status."""


class ForwardOnly(Rule):
    """S23: incarnations never go back, neither in a view nor over restarts; only a member itself raises its
    own, and does so whenever it says something of itself; nobody is dead that was not suspected in that
    incarnation, or gone that did not say so; and nobody appears who never spoke in this cluster."""

    name = "membership goes forward"
    invariant = "S23"
    events = (Membership,)

    def __init__(self) -> None:
        super().__init__()
        self._spoken: dict[str, Membership] = {}
        self._left: dict[tuple[str, int], None] = {}
        self._suspected: dict[tuple[str, int], None] = {}
        self._views: dict[str, dict[str, Membership]] = {}

    def on_event(self, event: Event) -> None:
        """Somebody believes something else, or says something of itself."""
        if not isinstance(event, Membership):
            return
        if event.own:
            self._speaks(event)
        else:
            self._believes(event)

    def _speaks(self, event: Membership) -> None:
        last = self._spoken.get(event.member)
        if event.begins:
            self._views[event.host] = {}
        if last is not None and last.host != event.host:
            raise self.broken("two hosts speak for one member", last, event)
        if last is not None and event.incarnation < last.incarnation + event.begins:
            what = "starts with" if event.begins else "goes back to"
            raise self.broken(f"{event.host} {what} an incarnation that it has left behind", last, event)
        if last is not None and (event.incarnation, event.status) == (last.incarnation, last.status):
            raise self.broken(f"{event.host} says something new of itself in an old incarnation", last, event)
        self._spoken[event.member] = event
        if event.status == LEFT:
            self._left[event.member, event.incarnation] = None

    def _believes(self, event: Membership) -> None:
        member, incarnation = event.member, event.incarnation
        spoken = self._spoken.get(member)
        if incarnation and (spoken is None or incarnation > spoken.incarnation):
            what = (
                "a member of another cluster"
                if spoken is None
                else "an incarnation that its owner never said"
            )
            raise self.broken(f"{event.host} believes in {what}", *([spoken] if spoken else []), event)
        view = self._views.setdefault(event.host, {})
        was = view.get(member)
        if was is not None and _place(event) < _place(was):
            raise self.broken(f"{event.host} goes back to what was superseded", was, event)
        view[member] = event
        if event.status == SUSPECT:
            self._suspected[member, incarnation] = None
        elif event.status == DEAD and (member, incarnation) not in self._suspected:
            raise self.broken(f"{event.host} holds for dead whom nobody suspected", event)
        elif event.status == LEFT and (member, incarnation) not in self._left:
            raise self.broken(f"{event.host} holds for gone who never said so", event)


def _place(event: Membership) -> tuple[int, int]:
    return event.incarnation, _ORDER[event.status]


@dataclass(slots=True)
class _Views:
    """What everybody believes at one moment."""

    own: dict[str, tuple[str, Belief]] = field(default_factory=dict[str, tuple[str, Belief]])
    of: dict[str, dict[str, Belief]] = field(default_factory=dict[str, dict[str, Belief]])

    def hear(self, event: Membership) -> None:
        belief = event.incarnation, event.status
        if event.own:
            self.own[event.host] = event.member, belief
            if event.begins:
                self.of[event.host] = {}
        else:
            self.of.setdefault(event.host, {})[event.member] = belief

    def differences(self, hosts: tuple[str, ...]) -> list[str]:
        """Where the views of these are not what each of them says of itself."""
        found: list[str] = []
        for host in hosts:
            for other in hosts:
                member, truth = self.own.get(other, ("", (0, "")))
                seen = truth if other == host else self.of.get(host, {}).get(member)
                if truth[1] != ALIVE or seen != truth:
                    found.append(f"{host} believes {seen} of {other}, which says {truth}")
        return found


class ViewsAgree(Rule):
    """L5: after the healing the views of the core agree, and are the truth, within so many protocol periods
    of it, or of the last start of one of them, or of whatever made them differ again."""

    name = "membership converges"
    invariant = "L5"
    events = (Membership,)

    def __init__(self) -> None:
        super().__init__()
        self._events: list[Membership] = []

    def on_event(self, event: Event) -> None:
        """Looked at again at the end."""
        if isinstance(event, Membership):
            self._events.append(event)

    def finish(self, final: Final) -> None:
        """They never differ for longer, and agree at some time after the last start."""
        if final.healed_ns is None or not final.gossiping:
            return
        views, hosts = _Views(), final.gossiping
        bound_ns = agreement_ns(final.probe_ns, final.rejoin_ns, len(hosts))
        begun = [event.at_ns for event in self._events if event.begins and event.host in hosts]
        begun_ns = since_ns = max([final.healed_ns, *begun])
        agreed, now_ns = False, final.now_ns
        for event in [*self._events, None]:
            now_ns = final.now_ns if event is None else event.at_ns
            if now_ns >= begun_ns and not views.differences(hosts):
                agreed, since_ns = True, now_ns
            elif now_ns - since_ns > bound_ns:
                break
            if event is not None:
                views.hear(event)
        left = views.differences(hosts)
        if left and now_ns - since_ns > bound_ns:
            text = f"members have not agreed {bound_ns / 1e9:.3f} s after {since_ns / 1e9:.3f}"
            raise self.broken(f"{text}: {'; '.join(left[:_SHOWN])}")
        if not agreed:
            self.unknown = "the run ended before members had to agree"


def agreement_ns(probe_ns: int, rejoin_ns: int, members: int) -> int:
    """How long views may differ in a healed cluster."""
    return round((10 * log2(max(2, members)) + _PERIODS) * probe_ns) + _RETRIES * rejoin_ns
