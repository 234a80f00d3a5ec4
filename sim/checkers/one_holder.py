"""S8: a message has one holder in a lease epoch.

One rule: a lease id belongs to one consumer for ever, and a message that is leased in a term is leased again
in that term only after its lease has ended; one whose holder is there and stays silent ends when its time is
over, not before. Terms are not compared with each other: a leader that was overtaken may still choose. But
nothing that it chose since its successor was elected may ever be delivered.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.history import Op
from haqactor.sim.watch.observed import Chosen, Event, Freed, Leader

_FAST = 0.9
"""Of its time a lease has at least so much: drawn clocks run fast by less than a tenth."""


class OneHolder(Rule):
    """O(1) a message."""

    name = "one holder per lease epoch"
    invariant = "S8"
    by_place = True
    ops = ("deliver",)
    events = (Chosen, Freed, Leader)

    def __init__(self) -> None:
        super().__init__()
        self._leases: dict[tuple[int, int, int, int], Chosen] = {}  # group, uid, term, counter
        self._held: dict[tuple[int, int, int, int], Chosen] = {}  # group, uid, term, seq
        self._delivered: dict[tuple[str, int, int, int, int], Op] = {}
        self._chosen: dict[tuple[int, int, int], Chosen] = {}  # uid, term, counter
        self._leaders: dict[int, list[Leader]] = {}  # of a group; each of a higher term than those before

    def on_op(self, op: Op) -> None:
        """A delivery: one lease of a message is seen by one client."""
        out = op.out
        if "counter" in out:
            key = (op.queue, out.get("uid", 0), out["term"], out["counter"], out["seq"])
            first = self._delivered.setdefault(key, op)
            if (first.client, first.out.get("consumer")) != (op.client, out.get("consumer")):
                raise self.broken("one lease was given to two consumers", first, op)
            chosen = self._chosen.get((key[1], key[2], key[3]))
            successor = None if chosen is None else self._successor(chosen)
            if chosen is not None and successor is not None:
                text = f"message {out['seq']} was delivered, chosen by a leader that had a successor"
                raise self.broken(text, successor, chosen, op)

    def on_event(self, event: Event) -> None:
        """A lease begins or ends."""
        if isinstance(event, Chosen):
            group, uid, term = event.group, event.uid, event.term
            self._chosen.setdefault((uid, term, event.counter), event)
            lease = self._leases.setdefault((group, uid, term, event.counter), event)
            if lease.holder != event.holder or lease.host != event.host:
                raise self.broken("one lease id has two holders", lease, event)
            for low, high in event.ranges:
                for seq in range(low, high + 1):
                    key = (group, uid, term, seq)
                    holds = self._held.get(key)
                    if holds is not None:
                        raise self.broken(f"message {seq} was leased while it was leased", holds, event)
                    self._held[key] = event
        elif isinstance(event, Leader):
            leaders = self._leaders.setdefault(event.group, [])
            if not leaders or event.term > leaders[-1].term:
                leaders.append(event)
        elif isinstance(event, Freed):
            for low, high in event.ranges:
                for seq in range(low, high + 1):
                    held = self._held.pop((event.group, event.uid, event.term, seq), None)
                    if event.expired and held is not None:
                        self._expired(seq, held, event)

    def _expired(self, seq: int, held: Chosen, freed: Freed) -> None:
        """Nobody here asks for less time than a lease has; a clock may run somewhat fast."""
        after_ns = freed.at_ns - held.at_ns
        if after_ns < held.lease_ns * _FAST:
            text = f"the lease of message {seq} expired after {after_ns / 1e9:.3f} s"
            raise self.broken(f"{text}, and was to last {held.lease_ns / 1e9:.3f}", held, freed)

    def _successor(self, chosen: Chosen) -> Leader | None:
        """Who led in a later term before that was chosen."""
        leaders = self._leaders.get(chosen.group, [])
        later = (leader for leader in leaders if leader.term > chosen.term)
        return next((leader for leader in later if leader.at_ns < chosen.at_ns), None)
