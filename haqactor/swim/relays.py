"""Pings for others: an ack is passed on; where there is none, a nack says that this node at least is there.

One rule: a relay judges nobody; it only says what it saw, and while the one who asked still waits.
"""

from typing import Final

from haqactor.swim.messages import Ack, Nack, Packet, Ping, PingReq
from haqactor.swim.state import SwimState

RELAYS_MAX: Final = 128
"""Pings under way for others; more are not taken on."""


class _Relay:
    __slots__ = ("address", "end_ns", "nack_ns", "seq", "target")

    def __init__(self, address: str, seq: int, target: bytes, nack_ns: int, end_ns: int) -> None:
        self.address = address
        self.seq = seq
        self.target = target
        self.nack_ns: int | None = nack_ns
        self.end_ns = end_ns


class Relays:
    """By the number of this node's own ping."""

    __slots__ = ("_relays", "_state")

    def __init__(self, state: SwimState) -> None:
        self._state = state
        self._relays: dict[int, _Relay] = {}

    def __len__(self) -> int:
        return len(self._relays)

    def ask(self, packet: Packet, request: PingReq) -> None:
        """Ping for the sender of ``packet``; say by four fifths of its wait that nothing came (Lifeguard)."""
        if len(self._relays) >= RELAYS_MAX:
            return
        state = self._state
        wait_ns = request.wait_ms * 1_000_000
        seq = state.next_seq()
        self._relays[seq] = _Relay(
            packet.address,
            request.seq,
            request.target,
            state.now_ns + wait_ns * 4 // 5,
            state.now_ns + wait_ns,
        )
        state.send(request.address, Ping(seq, request.target))

    def acked(self, seq: int, answered: bytes) -> bool:
        """Was this an answer to such a ping? Then it is passed on."""
        relay = self._relays.get(seq)
        if relay is None or relay.target != answered:
            return False
        del self._relays[seq]
        self._state.send(relay.address, Ack(relay.seq, answered))
        return True

    def next_ns(self) -> int | None:
        """When a nack or an end is due."""
        times = [relay.end_ns if relay.nack_ns is None else relay.nack_ns for relay in self._relays.values()]
        return min(times, default=None)

    def tick(self) -> None:
        """Send nacks, and let go of those that nobody waits for."""
        now_ns = self._state.now_ns
        for seq, relay in list(self._relays.items()):
            if relay.nack_ns is not None and relay.nack_ns <= now_ns:
                relay.nack_ns = None
                self._state.send(relay.address, Nack(relay.seq))
            if relay.end_ns <= now_ns:
                del self._relays[seq]

    def extend(self, for_ns: int) -> None:
        """This node stood still."""
        for relay in self._relays.values():
            relay.end_ns += for_ns
            if relay.nack_ns is not None:
                relay.nack_ns += for_ns
