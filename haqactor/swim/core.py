"""One member: packets, replies and time in, effects out.

One rule: nothing here waits, reads a clock or touches a socket; the same calls with the same chance give the
same effects.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from haqactor.env import Probe, Random
from haqactor.errors import InvalidArgument
from haqactor.swim import rumours
from haqactor.swim.config import SwimConfig
from haqactor.swim.effects import Effect
from haqactor.swim.gossiping import Gossiper
from haqactor.swim.member import INCARNATION_MAX, NEVER_HEARD, Member, Status, checked, is_address, rank
from haqactor.swim.messages import (
    OVER_STREAMS,
    Ack,
    Nack,
    Packet,
    Ping,
    PingReq,
    Pull,
    Rumour,
    SwimPacketError,
    Table,
)
from haqactor.swim.packet import CLUSTER_BYTES, DATAGRAM_BYTES_MAX, STREAM_BYTES_MAX, ForeignCluster, decode
from haqactor.swim.probing import Prober
from haqactor.swim.rejoining import Rejoiner
from haqactor.swim.relays import Relays
from haqactor.swim.state import SwimState
from haqactor.swim.statistics import SwimStatistics
from haqactor.swim.table import LIVE, Record

_LATE = 4  # a tick that comes by this part of the probe timeout too late tells of a stall


class SwimCore:
    """The member ``me`` of ``cluster`` (16 bytes). ``known``: members from the founding list or the disk,
    never forgotten; incarnation 0 says that nothing was heard of one yet. ``seeds``: addresses to try for
    ever while nobody is reached at them. Raises InvalidArgument for values that could not travel."""

    __slots__ = (
        "_credited_ns",
        "_forget_ns",
        "_gossiper",
        "_prober",
        "_promised_ns",
        "_rejoiner",
        "_relays",
        "_state",
    )

    def __init__(
        self,
        config: SwimConfig,
        cluster: bytes,
        me: Member,
        known: Sequence[Member],
        seeds: Sequence[str],
        *,
        random: Random,
        probe: Probe,
        now_ns: int,
    ) -> None:
        if len(cluster) != CLUSTER_BYTES or checked(me).incarnation <= NEVER_HEARD:
            raise InvalidArgument("a cluster has 16 bytes, and its members begin above incarnation 0")
        if not all(is_address(seed) for seed in seeds):
            raise InvalidArgument("a seed is no printable address")
        state = SwimState(config, cluster, me, random=random, probe=probe, now_ns=now_ns)
        self._state = state
        for member in sorted([checked(member) for member in known], key=rank, reverse=True):
            if member.key == me.key:
                rumours.about_me(state, member)
            elif state.table.get(member.key) is None:
                judged_anew = replace(member, status=Status.ALIVE)
                held = judged_anew if member.status is Status.SUSPECT else member
                state.table.add(Record(held, now_ns, known=True))
        rumours.say(state, state.me)
        self._prober = Prober(state)
        self._relays = Relays(state)
        self._gossiper = Gossiper(state)
        self._rejoiner = Rejoiner(state, tuple(seeds))
        self._forget_ns = now_ns + config.push_pull_interval_ns
        self._promised_ns: int | None = None  # before the first tick nothing can be late
        self._credited_ns = now_ns

    # -- what may be asked

    @property
    def me(self) -> Member:
        """This member, as it speaks of itself."""
        return self._state.me

    @property
    def health(self) -> int:
        """The awareness score: 0 is well."""
        return self._state.awareness.score

    def members(self) -> tuple[Member, ...]:
        """All that are known, oneself and the dead among them, by key."""
        state = self._state
        others = [record.member for record in state.table.records()]
        return tuple(sorted([*others, state.me], key=lambda member: member.key))

    def statistics(self) -> SwimStatistics:
        """A picture of now."""
        state = self._state
        return state.counts.statistics(health=state.awareness.score, members=len(state.table) + 1)

    def next_ns(self) -> int:
        """When ``tick`` is due at the latest."""
        return self._state.now_ns if self._promised_ns is None else self._promised_ns

    def take(self) -> list[Effect]:
        """What has come up since the last time."""
        effects = self._state.effects
        self._state.effects = []
        return effects

    # -- what happens to it

    def received(self, data: bytes, sender: str, now_ns: int) -> None:
        """A datagram came. Answers go to the address that it states, for ``sender`` is that of a socket.
        Raises SwimPacketError, once it is counted; packets of other clusters are counted and ignored."""
        with self._call(now_ns):
            try:
                packet = self._read(data, DATAGRAM_BYTES_MAX)
            except ForeignCluster:
                return
            if isinstance(packet.message, OVER_STREAMS):
                raise self._bad("tables travel on streams, not in datagrams")
            self._take_in(packet)
            match packet.message:
                case Ping(seq, target):
                    self._state.send(packet.address, Ack(seq, self.me.key), self._first(packet.key, target))
                case PingReq():
                    self._relays.ask(packet, packet.message)
                case Ack(seq, answered):
                    if not self._relays.acked(seq, answered):
                        self._prober.acked(seq, answered, mark="" if packet.key == answered else "indirect")
                case Nack(seq):
                    self._prober.nacked(seq, packet.key)
                case _:
                    pass  # rumours are all there is to it

    def asked(self, data: bytes, now_ns: int) -> bytes:
        """A request came on a stream: the reply. Raises SwimPacketError, once it is counted."""
        with self._call(now_ns):
            packet = self._read(data, STREAM_BYTES_MAX)
            match packet.message:
                case Ping(seq, target):
                    self._take_in(packet)
                    reply = self._state.packet(Ack(seq, self.me.key), self._first(packet.key, target))
                case Pull():
                    self._take_in(packet, second_hand=True)
                    reply = self._state.table_packet(Table())
                case _:
                    raise self._bad("a stream begins with a ping or a pull")
            self._state.counts.packets_out += 1
            return reply

    def exchanged(self, to: str, data: bytes, now_ns: int) -> None:
        """The reply to an ``Exchange``. A bad one is counted, and as good as none."""
        with self._call(now_ns):
            state = self._state
            try:
                packet = self._read(data, STREAM_BYTES_MAX)
            except SwimPacketError:
                state.counts.exchanges_failed += 1
                return
            match packet.message:
                case Ack(seq, answered):
                    self._take_in(packet)
                    self._prober.acked(seq, answered, mark="stream")
                case Table():
                    if any(r.member.address == to for r in state.table.records() if _is_dead(r)):
                        state.probe.mark("swim.rejoins")
                        state.counts.rejoins += 1
                    self._take_in(packet, second_hand=True)
                case _:
                    state.counts.bad += 1

    def exchange_failed(self, to: str, now_ns: int) -> None:
        """An ``Exchange`` had no reply. The next attempt has its time already."""
        with self._call(now_ns):
            self._state.counts.exchanges_failed += 1

    def tick(self, now_ns: int) -> None:
        """Time went on. One that comes much later than ``next_ns`` said tells of a stall."""
        with self._call(now_ns):
            state = self._state
            self._relays.tick()
            if state.me.status is Status.ALIVE:
                self._prober.tick()
                rumours.bury(state)
                self._rejoiner.tick()
            self._gossiper.tick()
            if self._forget_ns <= state.now_ns:
                self._forget_ns = state.now_ns + state.config.push_pull_interval_ns
                rumours.forget(state)
            if self._promised_ns is None:
                self._promised_ns = state.now_ns

    def stalled(self, for_ns: int, now_ns: int) -> None:
        """The loop stood still for so long until now: nobody is accused for it, and this node doubts itself.
        What was noticed already is not counted twice."""
        with self._call(now_ns):
            self._forgive(for_ns)

    # -- what it does by itself

    def update(self, *, address: str | None = None, meta: bytes | None = None, now_ns: int) -> None:
        """Something about this member is different: a new incarnation says so. Raises InvalidArgument."""
        me = self.me
        changed = replace(
            me,
            address=me.address if address is None else address,
            meta=me.meta if meta is None else meta,
            incarnation=min(me.incarnation + 1, INCARNATION_MAX),
        )
        with self._call(now_ns):
            rumours.say(self._state, checked(changed))

    def leave(self, now_ns: int) -> None:
        """Say goodbye. Tick on for a second or so, that it gets round; nobody is probed any more."""
        with self._call(now_ns):
            rumours.say(self._state, replace(self.me, status=Status.LEFT))
            self._gossiper.goodbye()

    # -- inside

    @contextmanager
    def _call(self, now_ns: int) -> Generator[None, None, None]:
        """Around every call: has the node stood still, and what is promised for ``tick`` now?"""
        self._enter(now_ns)
        try:
            yield
        finally:
            self._promise()

    def _enter(self, now_ns: int) -> None:
        state = self._state
        state.now_ns = max(state.now_ns, now_ns)
        if self._promised_ns is not None:
            late_ns = state.now_ns - max(self._promised_ns, self._credited_ns)
            if late_ns > state.config.probe_timeout_ns // _LATE:
                self._forgive(late_ns)

    def _promise(self) -> None:
        if self._promised_ns is None:
            return
        times = [self._forget_ns, self._gossiper.next_ns(), self._relays.next_ns()]
        if self._state.me.status is Status.ALIVE:
            times += [self._prober.next_ns(), self._rejoiner.next_ns(), rumours.next_burial_ns(self._state)]
        self._promised_ns = max(self._state.now_ns, min([time for time in times if time is not None]))

    def _forgive(self, for_ns: int) -> None:
        state = self._state
        for_ns = min(for_ns, state.now_ns - self._credited_ns)
        if for_ns <= 0 or state.config.awareness_max == 0:
            return
        self._credited_ns = state.now_ns
        state.probe.mark("swim.stall_forgiven")
        state.counts.stalls += 1
        state.awareness.change(1 + for_ns // state.config.probe_interval_ns)
        grace_ns = state.config.probe_timeout_ns // 2
        self._prober.extend(for_ns, grace_ns)
        self._relays.extend(for_ns)
        rumours.extend(state, for_ns, grace_ns)

    def _bad(self, text: str) -> SwimPacketError:
        self._state.counts.bad += 1
        return SwimPacketError(text)

    def _read(self, data: bytes, bytes_max: int) -> Packet:
        state = self._state
        state.counts.packets_in += 1
        try:
            return decode(data, state.cluster, state.probe, bytes_max=bytes_max)
        except ForeignCluster:
            state.counts.foreign += 1
            raise
        except SwimPacketError:
            state.counts.bad += 1
            raise

    def _take_in(self, packet: Packet, *, second_hand: bool = False) -> None:
        for rumour in packet.rumours:
            rumours.take_in(self._state, rumour, packet.key, second_hand=second_hand)

    def _first(self, pinger: bytes, target: bytes) -> tuple[Rumour, ...]:
        """What an ack must say first: who is here, if another was meant; and to one that is suspected or held
        for dead, that it is."""
        state = self._state
        news = [] if target == state.me.key else [Rumour(state.me)]
        record = state.table.get(pinger)
        if record is not None and (record.suspicion is not None or record.member.status not in LIVE):
            news.append(state.rumour(record))
        return tuple(news)


def _is_dead(record: Record) -> bool:
    return record.member.status is Status.DEAD
