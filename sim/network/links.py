"""A directed link between two hosts: how long bytes take on it, and what may go wrong with them.

One rule: every draw comes from the link's own stream, so that what happens on one link leaves all others as
they were.
"""

from dataclasses import dataclass
from math import log
from typing import Final, Protocol

from haqactor.sim.trace import NO_CAUSE
from haqactor.sim.world import NS, World

CLOGS_MAX_NS: Final = 60 * NS
"""The longest clog that is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How a link behaves. Times in nanoseconds, shares from 0 to 1.

    ``delay_min_ns`` and the exponential ``delay_mean_ns`` on top of it: one way. ``bandwidth``: bytes a
    second of all its streams together; 0: no bound. ``window_bytes``: what a stream may have in flight or
    unread, ``buffer_bytes``: what may wait at the sender beyond that. ``split_share``: of reads that give
    only a part of what has come; ``chop_share``: of writes that travel in two parts. ``clog_share``: of
    writes that clog the link for ``clog_mean_ns`` (exponential). ``dial_loss_share``: of dials that nobody
    answers. ``reset_share``: of writes that break their stream; ``half_open_share``: of breaks and of resets
    that one end does not hear of. ``late_share``: of breaks whose bytes still under way come ``late_mean_ns``
    late, when the next stream is at work already. ``discard_share``: of resets that take unread bytes from
    the reader. ``retransmit_max_ns``: how long after a partition lost bytes may take at most to be sent
    again; as long as it lasted, since who repeats them waits twice as long each time (RFC 6298, 5.5).

    Of datagrams, each of which has a delay of its own, so that they may overtake each other:
    ``datagram_loss_share`` of them are lost, ``datagram_duplicate_share`` come twice,
    ``datagram_reorder_share`` come ``datagram_reorder_mean_ns`` (exponential) later than others,
    ``datagram_corrupt_share`` come with one bit flipped.
    """

    delay_min_ns: int = 200_000
    delay_mean_ns: int = 300_000
    bandwidth: int = 125_000_000
    window_bytes: int = 262_144
    buffer_bytes: int = 262_144
    split_share: float = 0.1
    chop_share: float = 0.05
    clog_share: float = 0.0
    clog_mean_ns: int = NS
    dial_loss_share: float = 0.0
    reset_share: float = 0.0
    half_open_share: float = 0.0
    late_share: float = 0.0
    late_mean_ns: int = NS // 2
    discard_share: float = 0.5
    retransmit_max_ns: int = 120 * NS
    datagram_loss_share: float = 0.0
    datagram_duplicate_share: float = 0.0
    datagram_reorder_share: float = 0.0
    datagram_reorder_mean_ns: int = 10_000_000
    datagram_corrupt_share: float = 0.0


LOOPBACK: Final = LinkSettings(delay_min_ns=20_000, delay_mean_ns=20_000, bandwidth=0)
"""Of a host to itself."""

STEADY: Final = LinkSettings(delay_min_ns=500_000, delay_mean_ns=0, split_share=0.0, chop_share=0.0)
"""Everything takes equally long, and comes as it was sent."""


class Faults:
    """What went wrong, counted by name. ``counts``: name to how often it fired."""

    __slots__ = ("counts", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self.counts: dict[str, int] = {}

    def fired(self, name: str, source: str, target: str, number: int = 0) -> None:
        """It went wrong on the way from ``source`` to ``target``; ``number``: of the stream."""
        self.counts[name] = self.counts.get(name, 0) + 1
        self.world.trace.add("fault", source, name, source, target, number)

    def drop(
        self, name: str, source: str, target: str, size: int, number: int, cause: int = NO_CAUSE
    ) -> None:
        """``size`` bytes did not get through."""
        self.counts[name] = self.counts.get(name, 0) + 1
        self.lost(name, source, target, size, number, cause)

    def lost(
        self, name: str, source: str, target: str, size: int, number: int, cause: int = NO_CAUSE
    ) -> None:
        """As ``drop``, where that is nobody's fault."""
        self.world.trace.add("drop", source, source, target, size, number, name, cause=cause)


class Held(Protocol):
    """A flow, or the datagrams of a link, that wait for it."""

    def release(self) -> None:
        """Try again to deliver."""
        ...


class Link:
    """From ``source`` to ``target``, host names. ``steady``: partitions and clogs do not touch it.
    ``is_blocked``: nothing passes just now. ``sent``: how many messages of streams, and datagrams, were sent
    over it. ``packets``: its datagrams, once there was one."""

    __slots__ = (
        "_chance",
        "_cuts",
        "_faults",
        "_free_ns",
        "_held",
        "_random",
        "_world",
        "clogged_until_ns",
        "is_blocked",
        "packets",
        "sent",
        "settings",
        "source",
        "steady",
        "target",
    )

    def __init__(self, faults: Faults, source: str, target: str, settings: LinkSettings) -> None:
        self.source = source
        self.target = target
        self.settings = settings
        self.steady = False
        self.is_blocked = False
        self.sent = 0
        self.packets: Held | None = None
        self.clogged_until_ns = 0
        self._faults = faults
        self._world = faults.world
        self._random = faults.world.random("link", source, target)
        self._chance = self._random.random
        self._free_ns = 0
        self._cuts: dict[int, int] = {}
        self._held: dict[Held, None] = {}

    # -- passing

    def schedule(self, size: int) -> tuple[int, int]:
        """When ``size`` bytes that are sent now have left, and when they arrive."""
        settings = self.settings
        departs = self.depart(size)
        mean = settings.delay_mean_ns
        delay = (
            settings.delay_min_ns + int(-log(1.0 - self._chance()) * mean) if mean else settings.delay_min_ns
        )
        return departs, departs + delay

    def depart(self, size: int) -> int:
        """When ``size`` bytes that are sent now have left."""
        departs, bandwidth = self._world.now_ns, self.settings.bandwidth
        if bandwidth:
            departs = max(departs, self._free_ns)
            if size:
                departs += size * NS // bandwidth
                self._free_ns = departs
        return departs

    def draw(self, share: float) -> bool:
        """True with that probability; a share of 0 draws nothing."""
        return share > 0.0 and self._chance() < share

    def below(self, bound: int) -> int:
        """An integer in [0, bound)."""
        return int(self._chance() * bound)

    def exponential(self, mean: int) -> int:
        """An integer with that mean."""
        return int(self._random.expovariate(1.0) * mean)

    # -- standing still

    @property
    def is_cut(self) -> bool:
        """What is sent is lost."""
        return bool(self._cuts)

    def hold(self, flow: Held) -> None:
        """Let ``flow`` try again once the link is free."""
        self._held[flow] = None

    def cut(self, number: int) -> None:
        """Lose everything until this cut is healed."""
        if not self.steady:
            self._cuts[number] = self._world.now_ns
            self.is_blocked = True

    def heal(self, number: int) -> None:
        """This cut is over. What was lost is sent again, each stream's at its own time."""
        since = self._cuts.pop(number, None)
        if since is None or self._cuts:
            return
        self.is_blocked = self.clogged_until_ns > self._world.now_ns
        wait_ns = min(self._world.now_ns - since, self.settings.retransmit_max_ns)
        held, self._held = self._held, {}
        for flow in held:
            self._world.call_after(self.below(wait_ns + 1), flow.release)

    def clog(self, for_ns: int) -> None:
        """Hold everything back for so long; nothing is lost."""
        if self.steady:
            return
        self.clogged_until_ns = max(self.clogged_until_ns, self._world.now_ns + for_ns)
        self.is_blocked = True
        self._faults.fired("clog", self.source, self.target)
        self._world.call_at(self.clogged_until_ns, self._unclogged)

    def unclog(self) -> None:
        """Hold back no longer."""
        self.clogged_until_ns = 0
        self._world.call_after(0, self._unclogged)

    @property
    def is_clogged(self) -> bool:
        """What comes is held back."""
        return self.clogged_until_ns > self._world.now_ns

    def _unclogged(self) -> None:
        if self.packets is not None and not self.is_clogged:
            self.packets.release()
        self.is_blocked = bool(self._cuts) or self.is_clogged
        if not self.is_blocked:
            held, self._held = self._held, {}
            for flow in held:
                flow.release()

    def clog_by_chance(self) -> None:
        """As the settings say."""
        settings = self.settings
        if self.draw(settings.clog_share):
            self.clog(min(self.exponential(settings.clog_mean_ns), CLOGS_MAX_NS))

    def calm(self, settings: LinkSettings) -> None:
        """Nothing goes wrong here any more."""
        self.settings = settings
        self.steady = True
        for number in list(self._cuts):
            self.heal(number)
        self.unclog()
