"""One member of SWIM among others for whom the test speaks.

One rule: nothing happens between two calls; what the core wanted is read as packets.
"""

from collections.abc import Sequence
from typing import NamedTuple

from haqactor.swim.config import SECOND_NS, SwimConfig
from haqactor.swim.core import SwimCore
from haqactor.swim.effects import Changed, Exchange, Send
from haqactor.swim.member import Member, Status
from haqactor.swim.messages import Ack, Gossip, Message, Packet, Ping, Rumour
from haqactor.swim.packet import STREAM_BYTES_MAX, decode, encode
from tests.builders.swim_cluster import CLUSTER, Chance, Switches, address_of, key_of, member

ME = 0
FIRST = 1 << 20


class Sent(NamedTuple):
    """A packet that the core wanted sent. ``stream``: by an Exchange."""

    at_ns: int
    to: str
    packet: Packet
    stream: bool

    @property
    def message(self) -> Message:
        return self.packet.message


class Solo:
    """Member 0 knows 1 to ``others`` and has heard of them all, unless ``heard`` is False."""

    def __init__(
        self,
        others: int = 3,
        *,
        config: SwimConfig | None = None,
        bugs: Sequence[str] = (),
        heard: bool = True,
        seeds: Sequence[str] = (),
        seed: int = 0,
        me: Member | None = None,
    ) -> None:
        self.probe = Switches(bugs)
        self.now_ns = 0
        self.config = config or SwimConfig()
        self.changes: list[Changed] = []
        self.sent: list[Sent] = []
        known = [member(number) for number in range(1, others + 1)]
        me = me or member(ME, FIRST)
        self.core = SwimCore(
            self.config, CLUSTER, me, known, seeds, random=Chance(seed), probe=self.probe, now_ns=0
        )
        if heard:
            for number in range(1, others + 1):
                self.hear(number, Gossip(), Rumour(member(number, FIRST)))
        self.clear()

    def clear(self) -> None:
        """Forget what the core wanted so far."""
        self.collect()
        self.changes.clear()
        self.sent.clear()

    def collect(self) -> None:
        for effect in self.core.take():
            match effect:
                case Changed():
                    self.changes.append(effect)
                case Send(to, data):
                    packet = decode(data, CLUSTER, self.probe, bytes_max=self.config.packet_bytes_max)
                    self.sent.append(Sent(self.now_ns, to, packet, False))
                case Exchange(to, data):
                    packet = decode(data, CLUSTER, self.probe, bytes_max=STREAM_BYTES_MAX)
                    self.sent.append(Sent(self.now_ns, to, packet, True))

    def hear(self, number: int, message: Message, *rumours: Rumour) -> None:
        """A datagram from member ``number``."""
        packet = Packet(key_of(number), address_of(number), message, rumours)
        self.core.received(encode(packet, CLUSTER), "socket", self.now_ns)
        self.collect()

    def reply(self, number: int, message: Message, *rumours: Rumour) -> None:
        """The reply to an Exchange with member ``number``."""
        packet = Packet(key_of(number), address_of(number), message, rumours)
        self.core.exchanged(address_of(number), encode(packet, CLUSTER), self.now_ns)
        self.collect()

    def ask(self, number: int, message: Message, *rumours: Rumour) -> Packet:
        """A request on a stream from member ``number``, and what is answered."""
        packet = Packet(key_of(number), address_of(number), message, rumours)
        data = self.core.asked(encode(packet, CLUSTER), self.now_ns)
        self.collect()
        return decode(data, CLUSTER, self.probe, bytes_max=STREAM_BYTES_MAX)

    def run(self, seconds: float) -> None:
        """Tick whenever it is due."""
        end_ns = self.now_ns + round(seconds * SECOND_NS)
        while self.core.next_ns() <= end_ns:
            self.now_ns = max(self.now_ns, self.core.next_ns())
            self.core.tick(self.now_ns)
            self.collect()
        self.now_ns = end_ns

    def until_ping(self, *, of: int | None = None) -> Sent:
        """Run to the next direct ping (of member ``of``), which is the last of what was sent. Pings of others
        are answered."""
        for _ in range(2_000):
            before = len(self.sent)
            self.now_ns = max(self.now_ns, self.core.next_ns())
            self.core.tick(self.now_ns)
            self.collect()
            for sent in self.sent[before:]:
                if isinstance(sent.message, Ping) and not sent.stream:
                    if of is None or sent.to == address_of(of):
                        return sent
                    self.answer(sent)
        raise AssertionError("no such ping")

    def answer(self, sent: Sent) -> None:
        """The pinged member answers."""
        assert isinstance(sent.message, Ping)
        key = sent.message.target
        packet = Packet(key, sent.to, Ack(sent.message.seq, key))
        self.core.received(encode(packet, CLUSTER), "socket", self.now_ns)
        self.collect()

    def of(self, kind: type[Message]) -> list[Sent]:
        """What was sent of this kind."""
        return [sent for sent in self.sent if isinstance(sent.message, kind)]

    def view(self, number: int) -> Member:
        """What is believed of a member."""
        return next(seen for seen in self.core.members() if seen.key == key_of(number))

    def status(self, number: int) -> Status:
        return self.view(number).status
