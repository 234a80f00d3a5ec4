"""How news spreads besides on pings: datagrams to a few while there is any, and whole tables now and then.

One rule: gossip is quick and may miss somebody; the exchange of tables is slow and misses nobody (S10).
"""

from haqactor.swim.member import Status
from haqactor.swim.messages import Gossip, Pull
from haqactor.swim.state import SwimState
from haqactor.swim.table import LIVE, Record

_GOODBYES = 16


class Gossiper:
    """Two timers."""

    __slots__ = ("_gossip_ns", "_pull_ns", "_state")

    def __init__(self, state: SwimState) -> None:
        self._state = state
        self._gossip_ns = state.now_ns
        self._pull_ns = state.now_ns + 1 + state.random.below(state.config.push_pull_interval_ns)

    def next_ns(self) -> int:
        """When something is due."""
        return min(self._gossip_ns, self._pull_ns) if len(self._state.broadcasts) else self._pull_ns

    def tick(self) -> None:
        """Gossip where there is news; exchange tables with somebody where it is time."""
        state = self._state
        if len(state.broadcasts) and self._gossip_ns <= state.now_ns:
            self._gossip_ns = state.now_ns + state.config.gossip_interval_ns
            self._gossip(state.config.gossip_nodes)
            if not state.table.live():
                state.broadcasts.clear()
        if self._pull_ns <= state.now_ns:
            self._pull_ns = state.now_ns + state.config.push_pull_interval_ns
            alive = [record for record in state.table.live() if record.member.status is Status.ALIVE]
            if state.me.status is Status.ALIVE:
                for record in state.some(alive, 1):
                    state.exchange(record.member.address, state.table_packet(Pull()))

    def goodbye(self) -> None:
        """Tell many at once, for this node may soon be gone."""
        self._gossip(_GOODBYES)

    def _gossip(self, count: int) -> None:
        state = self._state
        for record in state.some([r for r in state.table.records() if self._listens(r)], count):
            dead = record.member.status is Status.DEAD
            state.send(record.member.address, Gossip(), (state.rumour(record),) if dead else ())

    def _listens(self, record: Record) -> bool:
        """The newly dead may be alive after all, and are told that they are held for dead."""
        if record.member.status in LIVE:
            return True
        newly_ns = self._state.now_ns - record.since_ns
        return record.member.status is Status.DEAD and newly_ns < self._state.config.push_pull_interval_ns
