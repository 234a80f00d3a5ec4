"""Finding back: who is not reached is tried again, less and less often, and for ever (S8).

One rule: nothing that was once named is given up while it may still be there: seeds and known members never,
others until they are forgotten. So a partition heals by itself, however long it took.
"""

from typing import Final

from haqactor.swim.member import Status
from haqactor.swim.messages import Pull
from haqactor.swim.state import SwimState
from haqactor.swim.table import LIVE

AT_ONCE_MAX: Final = 4
SPACE_NS: Final = 250_000_000
"""So many are tried together, and no others within this time."""


class _Wait:
    __slots__ = ("delay_ns", "next_ns")

    def __init__(self, next_ns: int, delay_ns: int) -> None:
        self.next_ns = next_ns
        self.delay_ns = delay_ns


class Rejoiner:
    """One wait for each address that nobody is known to answer at. ``_look_ns``: when to look for others, if
    the table has changed since."""

    __slots__ = ("_due_ns", "_look_ns", "_seeds", "_state", "_version", "_waits")

    def __init__(self, state: SwimState, seeds: tuple[str, ...]) -> None:
        self._state = state
        self._seeds = seeds
        self._due_ns = self._look_ns = state.now_ns
        self._version = state.table.version
        first = self._missing()
        self._waits = {address: _Wait(state.now_ns, state.config.rejoin_min_ns) for address in first}

    def next_ns(self) -> int:
        """When somebody is due, or has to be looked for."""
        changed = self._version != self._state.table.version
        return min(self._due_ns, self._look_ns) if changed else self._due_ns

    def tick(self) -> None:
        """Try those whose time has come."""
        state = self._state
        now_ns, config = state.now_ns, state.config
        if now_ns < self.next_ns():
            return
        waits: dict[str, _Wait] = {}
        for address in self._missing():
            known = self._waits.get(address)
            waits[address] = known or _Wait(
                now_ns + self._jitter_ns(config.rejoin_min_ns), config.rejoin_min_ns
            )
        self._waits = waits
        due = [(wait.next_ns, address) for address, wait in waits.items() if wait.next_ns <= now_ns]
        for _, address in sorted(due)[:AT_ONCE_MAX]:
            wait = waits[address]
            wait.next_ns = now_ns + self._jitter_ns(wait.delay_ns)
            wait.delay_ns = min(2 * wait.delay_ns, config.rejoin_max_ns)
            state.exchange(address, state.table_packet(Pull()))
        soonest_ns = min([wait.next_ns for wait in waits.values()], default=now_ns + config.rejoin_max_ns)
        self._due_ns = max(now_ns + SPACE_NS, soonest_ns)
        self._look_ns = now_ns + config.rejoin_min_ns
        self._version = state.table.version

    def _jitter_ns(self, delay_ns: int) -> int:
        shortest_ns = max(self._state.config.rejoin_min_ns, delay_ns * 3 // 4)
        return shortest_ns + self._state.random.below(max(1, delay_ns - shortest_ns + 1))

    def _missing(self) -> list[str]:
        """Addresses that were named, and at which nobody live was heard. Those who left are not missed, but
        for members that are known for good: they come back, and may hold this one for gone as well."""
        state = self._state
        reached = {state.me.address: True}
        missing: dict[str, bool] = {}
        for record in state.table.records():
            member = record.member
            if member.status in LIVE and record.heard:
                reached[member.address] = True
            elif member.status is Status.DEAD and state.probe.bug("swim.never_rejoins"):
                continue
            elif record.known or member.status is not Status.LEFT:
                missing[member.address] = True
        missing.update(dict.fromkeys(self._seeds, True))
        return [address for address in missing if address not in reached]
