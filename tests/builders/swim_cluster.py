"""Members of SWIM in a small world of their own: one heap, whole packets, and a network that does what a test
wants.

One rule: time moves only in ``run``; everything is drawn from one seed.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from haqactor.swim.config import MILLISECOND_NS, SECOND_NS, SwimConfig
from haqactor.swim.core import SwimCore
from haqactor.swim.effects import Changed, Effect, Exchange, Send
from haqactor.swim.member import Member, Status, first_incarnation, supersedes
from haqactor.swim.messages import SwimPacketError
from haqactor.swim.packet import STREAM_BYTES_MAX

CLUSTER = bytes(range(16))
REFUSED_NS = MILLISECOND_NS
SILENT_NS = 3 * SECOND_NS


class Chance:
    """``env.Random`` over a seeded generator."""

    def __init__(self, seed: object) -> None:
        self._random = random.Random(str(seed))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def below(self, bound: int) -> int:
        return int(self._random.random() * bound)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)


class Switches:
    """A probe: which planted bugs are on, which marks were taken."""

    def __init__(self, bugs: Iterable[str] = ()) -> None:
        self.bugs = tuple(bugs)
        self.marks: dict[str, int] = {}

    def mark(self, name: str) -> None:
        self.marks[name] = self.marks.get(name, 0) + 1

    def buggify(self, name: str) -> bool:
        return False

    def bug(self, name: str) -> bool:
        return name in self.bugs


def key_of(number: int) -> bytes:
    """The nonce of disk ``number``."""
    return bytes((number % 256, number // 256)) + b"nonce of a dsk"


def address_of(number: int) -> str:
    return f"10.0.{number // 256}.{number % 256}:7420"


def member(number: int, incarnation: int = 0, status: Status = Status.ALIVE, meta: bytes = b"") -> Member:
    return Member(key_of(number), number, address_of(number), incarnation, status, meta)


class Host:
    """A node as far as membership is concerned. ``behind``: what waits while its loop stands still."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.key = key_of(number)
        self.address = address_of(number)
        self.cluster = CLUSTER
        self.boot = 0
        self.core: SwimCore | None = None
        self.tick_ns = 0
        self.still_until_ns = 0
        self.changes: list[Changed] = []


class World:
    """``count`` nodes; ``known``: does each have the founding list? ``seeds``: numbers whose addresses each
    tries. ``false_deaths``: who was held for dead by whom though it was up and not cut off, (who holds, of
    whom). ``spoken``: the highest incarnation in which each disk's node has spoken."""

    def __init__(
        self,
        count: int,
        seed: int,
        *,
        config: SwimConfig | None = None,
        bugs: Sequence[str] = (),
        known: bool = True,
        seeds: Sequence[int] = (),
        start: bool = True,
    ) -> None:
        self.config = config or SwimConfig()
        self.chance = random.Random(seed)
        self.seed = seed
        self.probe = Switches(bugs)
        self.now_ns = 0
        self.known = [member(number) for number in range(count)] if known else []
        self.seeds = [address_of(number) for number in seeds]
        self.loss = self.repeats = 0.0
        self.delay_ns: tuple[int, int] = (MILLISECOND_NS, 5 * MILLISECOND_NS)
        self.cut: dict[tuple[int, int], bool] = {}
        self.hosts = {number: Host(number) for number in range(count)}
        self.places = {host.address: host for host in self.hosts.values()}
        self.spoken: dict[bytes, int] = {}
        self.false_deaths: list[tuple[int, int]] = []
        self.bad = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        if start:
            for number in self.hosts:
                self.start(number)

    # -- what happens to nodes

    def start(self, number: int) -> SwimCore:
        """Start, or start again: a new boot of the same disk."""
        host = self.hosts[number]
        host.boot += 1
        me = Member(
            host.key,
            number,
            host.address,
            first_incarnation(host.boot, self.probe),
            Status.ALIVE,
            b"%d" % host.boot,
        )
        assert me.incarnation > self.spoken.get(host.key, 0), f"{number} starts with what it said before"
        host.core = SwimCore(
            self.config,
            host.cluster,
            me,
            self.known,
            self.seeds,
            random=Chance((self.seed, number, host.boot)),
            probe=self.probe,
            now_ns=self.now_ns,
        )
        host.still_until_ns = 0
        host.tick_ns = self.now_ns
        self._at(self.now_ns, lambda: self._tick(host, host.boot))
        return host.core

    def crash(self, number: int) -> None:
        self.hosts[number].core = None

    def wipe(self, number: int) -> None:
        """The node is down and loses its disk: at its next start another member is at its address."""
        self.crash(number)
        self.hosts[number].key = key_of(number + 1_000)

    def core(self, number: int) -> SwimCore:
        core = self.hosts[number].core
        assert core is not None, f"{number} is down"
        return core

    def stall(self, number: int, for_ns: int) -> None:
        """The node's loop stands still; what comes meanwhile waits."""
        self.hosts[number].still_until_ns = self.now_ns + for_ns

    def update(self, number: int, meta: bytes) -> None:
        """The node says something else of itself."""
        self.core(number).update(meta=meta, now_ns=self.now_ns)
        self._after(self.hosts[number])

    def part(self, *sides: Sequence[int]) -> None:
        """Nothing goes between these sides."""
        self.cut = {
            (a, b): True
            for mine in sides
            for other in sides
            if mine is not other
            for a in mine
            for b in other
        }

    def heal(self) -> None:
        """No more faults, except of nodes that are down."""
        self.cut = {}
        self.loss = self.repeats = 0.0
        self.delay_ns = (MILLISECOND_NS, 5 * MILLISECOND_NS)

    # -- time

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end_ns = self.now_ns + round(seconds * SECOND_NS)
        while self._heap and self._heap[0][0] <= end_ns:
            at_ns, _, action = heappop(self._heap)
            self.now_ns = max(self.now_ns, at_ns)
            action()
        self.now_ns = end_ns

    def settle(self, within: float) -> float:
        """Seconds until all views are the truth, looked at twice a second. At most ``within``."""
        begin_ns = self.now_ns
        while not self.agreed():
            assert self.now_ns - begin_ns < within * SECOND_NS, "\n".join(self.differences())
            self.run(0.5)
        return (self.now_ns - begin_ns) / SECOND_NS

    def agreed(self) -> bool:
        return not self.differences()

    def differences(self) -> list[str]:
        """Where a view is not the truth."""
        found: list[str] = []
        up = {host.key: host.core.me for host in self.hosts.values() if host.core is not None}
        for host in self.hosts.values():
            if host.core is None:
                continue
            view = {seen.key: seen for seen in host.core.members()}
            for key, truth in up.items():
                if truth.status is Status.ALIVE and view.get(key) != truth:
                    found.append(f"{host.number} believes {view.get(key)}, the truth is {truth}")
            for key, seen in view.items():
                if key not in up and seen.status in (Status.ALIVE, Status.SUSPECT):
                    found.append(f"{host.number} believes {seen}, which is down")
        return found

    # -- the network

    def _at(self, at_ns: int, action: Callable[[], None]) -> None:
        self._order += 1
        heappush(self._heap, (at_ns, self._order, action))

    def _later_ns(self) -> int:
        low, high = self.delay_ns
        return self.now_ns + low + int(self.chance.random() * (high - low))

    def _awake(self, host: Host, boot: int, action: Callable[[SwimCore], None]) -> None:
        """Do it when the node's loop runs, if it is the same process then."""
        if host.still_until_ns > self.now_ns:
            self._at(host.still_until_ns, lambda: self._awake(host, boot, action))
        elif host.core is not None and host.boot == boot:
            action(host.core)
            self._after(host)

    def _tick(self, host: Host, boot: int) -> None:
        if host.boot == boot and host.tick_ns <= self.now_ns:

            def tick(core: SwimCore) -> None:
                host.tick_ns = 1 << 62
                core.tick(self.now_ns)

            self._awake(host, boot, tick)

    def _after(self, host: Host) -> None:
        """Perform what the core wants, and look when it is due."""
        core, boot = host.core, host.boot
        if core is None:
            return
        me = core.me
        self.spoken[me.key] = max(me.incarnation, self.spoken.get(me.key, 0))
        for effect in core.take():
            self._perform(host, effect)
        due_ns = core.next_ns()
        if due_ns < host.tick_ns:
            host.tick_ns = due_ns
            self._at(max(due_ns, self.now_ns), lambda: self._tick(host, boot))

    def _perform(self, host: Host, effect: Effect) -> None:
        match effect:
            case Send(to, data):
                assert len(data) <= self.config.packet_bytes_max
                for _ in range(1 + (self.chance.random() < self.repeats)):
                    self._datagram(host, to, data)
            case Exchange(to, data):
                assert len(data) <= STREAM_BYTES_MAX
                self._stream(host, to, data)
            case Changed(new, was):
                host.changes.append(effect)
                assert was is None or supersedes(new, was), f"{host.number}: {was} became {new}"
                assert new.incarnation <= self.spoken.get(new.key, 0), "only the member itself raises it"
                other = self.places.get(new.address)
                up = other is not None and other.core is not None and other.key == new.key
                if new.status is Status.DEAD and other and up and (host.number, other.number) not in self.cut:
                    self.false_deaths.append((host.number, other.number))

    def _datagram(self, host: Host, to: str, data: bytes) -> None:
        other = self.places.get(to)
        if other is None or (host.number, other.number) in self.cut or self.chance.random() < self.loss:
            return
        boot = other.boot

        def arrive(core: SwimCore) -> None:
            try:
                core.received(data, host.address, self.now_ns)
            except SwimPacketError:
                self.bad += 1

        self._at(self._later_ns(), lambda: self._awake(other, boot, arrive))

    def _stream(self, host: Host, to: str, data: bytes) -> None:
        """Both ways have to be open; streams lose nothing, but a stream to nobody fails at once."""
        other, boot = self.places.get(to), host.boot

        def failed(core: SwimCore) -> None:
            core.exchange_failed(to, self.now_ns)

        def reply_to(answer: bytes) -> Callable[[SwimCore], None]:
            return lambda core: core.exchanged(to, answer, self.now_ns)

        def arrive(core: SwimCore) -> None:
            try:
                answer = core.asked(data, self.now_ns)
            except SwimPacketError:
                self.bad += 1
                self._at(self._later_ns(), lambda: self._awake(host, boot, failed))
            else:
                self._at(self._later_ns(), lambda: self._awake(host, boot, reply_to(answer)))

        if other is None or other.core is None:
            self._at(self.now_ns + REFUSED_NS, lambda: self._awake(host, boot, failed))
        elif (host.number, other.number) in self.cut or (other.number, host.number) in self.cut:
            self._at(self.now_ns + SILENT_NS, lambda: self._awake(host, boot, failed))
        else:
            there = other.boot
            self._at(self._later_ns(), lambda: self._awake(other, there, arrive))
