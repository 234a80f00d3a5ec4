"""Is it there? One member a protocol period, asked by oneself, then by others and over a stream (SWIM,
sections 3.1 and 4.3; Lifeguard, section IV-A).

One rule: only the member that was meant can acknowledge; another at its address is news, not an answer.
"""

from haqactor.swim import rumours
from haqactor.swim.member import Status
from haqactor.swim.messages import Ping, PingReq
from haqactor.swim.state import SwimState
from haqactor.swim.table import LIVE, Record


class _Attempt:
    """The probe of this period. ``asked``: so many others were, once they were (None before);
    ``nacks``: those who said that they tried in vain."""

    __slots__ = ("asked", "end_ns", "graced", "incarnation", "late_ns", "nacks", "seq", "target")

    def __init__(self, record: Record, seq: int, late_ns: int, end_ns: int) -> None:
        self.target = record.member.key
        self.incarnation = record.member.incarnation
        self.seq = seq
        self.late_ns = late_ns
        self.end_ns = end_ns
        self.graced = False
        self.asked: int | None = None
        self.nacks: dict[bytes, bool] = {}


class Prober:
    """Goes round all live members in an order that is drawn anew each time."""

    __slots__ = ("_at", "_attempt", "_due_ns", "_order", "_state")

    def __init__(self, state: SwimState) -> None:
        self._state = state
        self._order: list[bytes] = []
        self._at = 0
        self._attempt: _Attempt | None = None
        self._due_ns = state.now_ns + state.random.below(state.config.probe_interval_ns)

    def next_ns(self) -> int:
        """When something is due."""
        attempt = self._attempt
        if attempt is not None and attempt.asked is None:
            return min(attempt.late_ns, self._due_ns)
        return self._due_ns

    def tick(self) -> None:
        """Judge the present probe, and begin the next."""
        now_ns = self._state.now_ns
        attempt = self._attempt
        if attempt is not None:
            if attempt.asked is None and attempt.late_ns <= now_ns:
                self._ask_others(attempt)
            if attempt.end_ns <= now_ns:
                self._attempt = None
                self._failed(attempt)
        if self._due_ns <= now_ns:
            self._begin()

    def extend(self, for_ns: int, grace_ns: int) -> None:
        """This node stood still: answers may wait unread. ``grace_ns`` is given once a probe."""
        attempt = self._attempt
        self._due_ns += for_ns
        if attempt is not None:
            given_ns = for_ns + (0 if attempt.graced else grace_ns)
            attempt.graced = True
            attempt.late_ns += given_ns
            attempt.end_ns += given_ns
            self._due_ns = attempt.end_ns

    def acked(self, seq: int, answered: bytes, *, mark: str = "") -> None:
        """``answered`` did. ``mark``: by which detour, if any."""
        attempt = self._attempt
        if attempt is None or (attempt.seq, attempt.target) != (seq, answered):
            return
        self._attempt = None
        state = self._state
        state.awareness.change(-1)
        record = state.table.get(answered)
        if record is not None:
            record.heard = True
        if mark == "indirect":
            state.probe.mark("swim.indirect_saved")
        elif mark == "stream":
            state.probe.mark("swim.fallback_saved")

    def nacked(self, seq: int, by: bytes) -> None:
        """``by`` is there, and got no answer either."""
        attempt = self._attempt
        if attempt is not None and attempt.seq == seq and len(attempt.nacks) < (attempt.asked or 0):
            attempt.nacks[by] = True

    def _begin(self) -> None:
        state = self._state
        config, awareness = state.config, state.awareness
        self._due_ns = state.now_ns + awareness.stretch(config.probe_interval_ns)
        record = self._next()
        if record is None:
            return
        late_ns = state.now_ns + awareness.stretch(config.probe_timeout_ns)
        attempt = _Attempt(record, state.next_seq(), late_ns, self._due_ns)
        self._attempt = attempt
        member = record.member
        told = (state.rumour(record),) if member.status is Status.SUSPECT else ()  # the buddy system
        state.send(member.address, Ping(attempt.seq, member.key), told)

    def _next(self) -> Record | None:
        """Section 4.3: round-robin; who is new is put in at a random place of those still to come."""
        state = self._state
        for key in state.table.fresh:
            if key in self._order[self._at :]:
                continue
            place = self._at + state.random.below(len(self._order) - self._at + 1)
            self._order.insert(place, key)
        state.table.fresh.clear()
        for _ in range(2):
            while self._at < len(self._order):
                record = state.table.get(self._order[self._at])
                self._at += 1
                if record is not None and record.member.status in LIVE:
                    return record
            live = state.table.live()
            self._order = [record.member.key for record in state.some(live, len(live))]
            self._at = 0
        return None

    def _ask_others(self, attempt: _Attempt) -> None:
        state = self._state
        attempt.asked = 0
        record = state.table.get(attempt.target)
        if record is None:
            return
        ping = Ping(attempt.seq, attempt.target)
        address = record.member.address
        wait_ms = max(0, attempt.end_ns - state.now_ns) // 1_000_000
        could = [
            other
            for other in state.table.live()
            if other is not record and other.heard and other.member.status is Status.ALIVE
        ]
        for other in state.some(could, state.config.indirect_probes):
            attempt.asked += 1
            state.send(other.member.address, PingReq(attempt.seq, attempt.target, address, wait_ms))
        told = (state.rumour(record),) if record.member.status is Status.SUSPECT else ()
        state.exchange(address, state.packet(ping, told))

    def _failed(self, attempt: _Attempt) -> None:
        """No answer by any way. Helpers who did not even say that are evidence against this node itself."""
        state = self._state
        state.counts.probes_failed += 1
        record = state.table.get(attempt.target)
        if record is not None and record.member.incarnation == attempt.incarnation:
            rumours.accuse(state, record)
        asked = attempt.asked or 0
        state.awareness.change(asked - len(attempt.nacks) if asked else 1)
