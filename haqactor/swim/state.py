"""Everything that one member knows, and the box in which its effects collect.

One rule: the other modules are functions and small machines over this state; only this module makes packets.
"""

from collections.abc import Sequence

from haqactor.env import Probe, Random
from haqactor.swim.awareness import Awareness
from haqactor.swim.broadcast import Broadcasts, rumour_of, size_of, transmissions
from haqactor.swim.config import SwimConfig
from haqactor.swim.effects import Effect, Exchange, Send
from haqactor.swim.member import NEVER_HEARD, Member
from haqactor.swim.messages import RUMOURS_MAX, Message, Packet, Pull, Rumour, Table
from haqactor.swim.packet import STREAM_BYTES_MAX, encode
from haqactor.swim.statistics import Counts
from haqactor.swim.table import Record
from haqactor.swim.table import Table as Members

_LIST_BYTES = 2  # what the head of a list of rumours may grow by


class SwimState:
    """``suspects``: records with a suspicion that runs. ``now_ns``: the latest that the caller handed in."""

    __slots__ = (
        "_page",
        "_seq",
        "awareness",
        "broadcasts",
        "cluster",
        "config",
        "counts",
        "effects",
        "me",
        "now_ns",
        "probe",
        "random",
        "suspects",
        "table",
    )

    def __init__(
        self, config: SwimConfig, cluster: bytes, me: Member, *, random: Random, probe: Probe, now_ns: int
    ) -> None:
        self.config = config
        self.cluster = cluster
        self.me = me
        self.random = random
        self.probe = probe
        self.now_ns = now_ns
        self.table = Members()
        self.broadcasts = Broadcasts()
        self.awareness = Awareness(config.awareness_max)
        self.counts = Counts()
        self.effects: list[Effect] = []
        self.suspects: dict[bytes, Record] = {}
        self._seq = random.below(1 << 32)  # so that no answer to an earlier start fits
        self._page = 0

    @property
    def size(self) -> int:
        """Members that are alive or suspected, oneself among them."""
        return len(self.table.live()) + 1

    def next_seq(self) -> int:
        """A number for a ping."""
        self._seq += 1
        return self._seq

    def some(self, of: Sequence[Record], count: int) -> list[Record]:
        """``count`` of them by chance, or as many as there are."""
        left = list(of)
        return [left.pop(self.random.below(len(left))) for _ in range(min(count, len(left)))]

    def rumour(self, record: Record) -> Rumour:
        """What is believed of a member, to be said to others."""
        by = record.suspicion.by if record.suspicion is not None else b""
        return rumour_of(record.member, by, record.since_ns, self.now_ns)

    # -- packets

    def packet(self, message: Message, first: Sequence[Rumour] = ()) -> bytes:
        """The bytes of a datagram: the message, what must be said ``first`` as far as there is room, and news
        in what room is left."""
        me = self.me
        data = encode(Packet(me.key, me.address, message), self.cluster)
        if not first and not len(self.broadcasts):
            return data
        room = self.config.packet_bytes_max - len(data) - _LIST_BYTES
        told: list[Rumour] = []
        for rumour in first:
            size = size_of(rumour)
            if size <= room and rumour.member.incarnation > NEVER_HEARD:
                room -= size
                told.append(rumour)
        limit = transmissions(self.config.retransmit_mult, self.size)
        skip = tuple([rumour.member.key for rumour in told])
        told += self.broadcasts.take(room, limit, self.now_ns, skip)
        return encode(Packet(me.key, me.address, message, tuple(told)), self.cluster) if told else data

    def send(self, to: str, message: Message, first: Sequence[Rumour] = ()) -> None:
        """A datagram."""
        self.effects.append(Send(to, self.packet(message, first)))
        self.counts.packets_out += 1

    def exchange(self, to: str, data: bytes) -> None:
        """A request on a stream."""
        self.effects.append(Exchange(to, data))
        self.counts.packets_out += 1

    def table_packet(self, message: Pull | Table) -> bytes:
        """Oneself, and as much of the table as one packet on a stream takes; the next one goes on behind."""
        me = self.me
        rumours = [Rumour(me)]
        room = STREAM_BYTES_MAX - 1024 - size_of(rumours[0])
        records = [record for record in self.table.records() if record.member.incarnation > NEVER_HEARD]
        begin = self._page if self._page < len(records) else 0
        for record in records[begin:] + records[:begin]:
            rumour = self.rumour(record)
            room -= size_of(rumour)
            if room < 0 or len(rumours) >= RUMOURS_MAX:
                break
            rumours.append(rumour)
        self._page = (begin + len(rumours) - 1) % max(1, len(records))
        return encode(Packet(me.key, me.address, message, tuple(rumours)), self.cluster)
