"""Lets the faults of a plan happen, each in a task of its own that also ends it.

One rule: what a fault began it ends, whatever comes; at the end the network is whole and every node runs.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from tests.chaos.conditions import Condition, Mode, Way
from tests.chaos.damage import damage
from tests.chaos.namespaces import NOTHING, Allowed, set_loopback
from tests.chaos.plan import LEADER, Fault
from tests.chaos.processes import NodeProcess
from tests.chaos.relay import Relay
from tests.chaos.topology import Pair

CUT: Final = Condition(Way(Mode.CUT), Way(Mode.CUT))
STALL: Final = Way(Mode.STALL)
DELAY_S_MAX: Final = 0.5
LITTLE_ROOM: Final = 8 * 1024 * 1024
"""Bytes left on a disk with which a leader takes no more messages."""
PATIENCE_S: Final = 3.0
"""How long a fault waits for a victim that another one has just stopped."""


@dataclass(slots=True)
class Span:
    """What a lane of the timeline shows: a node or host was in a state, or a fault went on."""

    lane: str
    kind: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Policy:
    """``damage``: ``restore`` gives a node that refuses its damaged data the saved copy back; ``recover``
    expects it to mend itself."""

    damage: str = "restore"


class Nemesis:
    """``leader``: who leads some queue now, or None; ``crash_host``: a host of clients loses its power until
    the event. ``now``: seconds since the run began."""

    def __init__(
        self,
        nodes: Mapping[str, NodeProcess],
        relay: Relay,
        now: Callable[[], float],
        leader: Callable[[], Awaitable[str | None]],
        crash_host: Callable[[str, trio.Event], Awaitable[None]],
        policy: Policy | None = None,
        allowed: Allowed = NOTHING,
    ) -> None:
        self.nodes = nodes
        self.relay = relay
        self.spans: list[Span] = []
        self.notes: list[tuple[float, str]] = []
        self.failures: list[str] = []
        self.fired: dict[str, int] = {}
        self.missed = 0
        self._policy = policy or Policy()
        self._allowed = allowed
        self._now = now
        self._leader = leader
        self._crash_host = crash_host
        self._nursery: trio.Nursery | None = None
        self._damaging = False
        self._held: dict[str, None] = {}  # nodes that some fault stops or changes now
        self._acts: dict[str, Callable[[Fault, Sequence[NodeProcess]], Awaitable[bool]]] = {
            "kill": self._kill,
            "kill_all": self._kill,
            "restart": self._restart,
            "pause": self._pause,
            "damage": self._damage,
            "disk_full": self._disk_full,
            "outage": self._outage,
        }

    async def follow(self, plan: Sequence[Fault], processes: trio.Nursery) -> None:
        """Return once all of it happened and is over. ``processes``: outlives the plan."""
        self._nursery = processes
        async with trio.open_nursery() as nursery:
            for number, fault in enumerate(plan):
                await trio.sleep(max(0.0, fault.at_s - self._now()))
                nursery.start_soon(self._happen, number, fault)

    async def heal(self) -> None:
        """Whatever was going on: the network is whole, and all nodes run."""
        self.relay.lift_all()
        for node in self.nodes.values():
            node.relieve_disk()
            if node.state == "paused":
                node.resume()
        async with trio.open_nursery() as nursery:
            for node in self.nodes.values():
                if node.pid is None:
                    nursery.start_soon(self._start, node)

    async def _happen(self, number: int, fault: Fault) -> None:
        victims = [name for name in [await self._who(each) for each in fault.victims] if name is not None]
        if not victims:
            self.missed += 1
            return
        began_s = self._now()
        spans = [Span(name, fault.kind, began_s, began_s) for name in victims]
        self.spans.extend(spans)
        act = self._acts.get(fault.kind)
        if act is None:
            fired = await self._network(number, fault, victims)
        else:
            fired = await act(fault, [self.nodes[name] for name in victims])
        for span in spans:
            span.to_s = self._now()
            if not fired:
                self.spans.remove(span)
        if fired:
            self.fired[fault.kind] = self.fired.get(fault.kind, 0) + 1
        else:
            self.missed += 1

    async def _who(self, victim: str) -> str | None:
        return await self._leader() if victim == LEADER else victim

    def note(self, text: str) -> None:
        """For the log of the run."""
        self.notes.append((self._now(), text))

    # -- processes

    async def _take(self, nodes: Sequence[NodeProcess], *states: str) -> list[NodeProcess]:
        """Those in such a state that no other fault holds, once there is one; they are held until ``_free``.
        None after ``PATIENCE_S``."""
        with trio.move_on_after(PATIENCE_S):
            while not any(node.state in states and node.name not in self._held for node in nodes):  # noqa: ASYNC110 - a poll is enough here
                await trio.sleep(0.05)
        taken = [node for node in nodes if node.state in states and node.name not in self._held]
        self._held.update(dict.fromkeys(node.name for node in taken))
        return taken

    def _free(self, nodes: Iterable[NodeProcess]) -> None:
        for node in nodes:
            self._held.pop(node.name, None)

    async def _start(self, node: NodeProcess) -> None:
        if self._nursery is None:
            raise RuntimeError("nothing was begun")
        started = node.pid is not None or await node.start(self._nursery)
        if not started and not node.excused:
            self.failures.append(f"{node.name} did not start: {node.place.last_log_lines()}")

    async def _start_all(self, nodes: Sequence[NodeProcess]) -> None:
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(self._start, node)

    async def _kill(self, fault: Fault, victims: Sequence[NodeProcess]) -> bool:
        taken = await self._take(victims, "up", "starting", "paused")
        try:
            async with trio.open_nursery() as nursery:
                for node in taken:
                    nursery.start_soon(node.kill)
            await trio.sleep(fault.lasts_s)
            await self._start_all(taken)
        finally:
            self._free(taken)
        return bool(taken)

    async def _restart(self, fault: Fault, victims: Sequence[NodeProcess]) -> bool:
        taken = await self._take(victims, "up")
        try:
            for node in taken:
                if not await node.stop():
                    self.failures.append(f"{node.name} did not stop in order")
                await trio.sleep(fault.lasts_s)
                await self._start(node)
        finally:
            self._free(taken)
        return bool(taken)

    async def _pause(self, fault: Fault, victims: Sequence[NodeProcess]) -> bool:
        taken = await self._take(victims, "up")
        try:
            for node in taken:
                node.pause()
            await trio.sleep(fault.lasts_s)
        finally:
            for node in taken:
                node.resume()
            self._free(taken)
        return bool(taken)

    async def _damage(self, fault: Fault, victims: Sequence[NodeProcess]) -> bool:
        if self._damaging:
            return False  # two at once may be more than the cluster bears
        self._damaging = True
        taken = await self._take(victims, "up")
        try:
            for node in taken:
                await node.kill()
                done = damage(node.place.data, fault.amount)
                if done is None:
                    await self._start(node)
                    continue
                self.note(f"{node.name}: {done.text}")
                if await self._starts_damaged(node):
                    self.note(f"{node.name}: started all the same")
                elif self._policy.damage == "restore":
                    self.note(f"{node.name}: refused (exit code {node.last_exit}); its data is given back")
                    done.undo()
                    await trio.sleep(fault.lasts_s)
                    await self._start(node)
                else:
                    self.failures.append(f"{node.name} does not mend itself: {node.place.last_log_lines()}")
                    done.undo()
        finally:
            self._damaging = False
            self._free(taken)
        return bool(taken)

    async def _starts_damaged(self, node: NodeProcess) -> bool:
        """Does it run with it? If not, it has to say why."""
        if self._nursery is None:
            raise RuntimeError("nothing was begun")
        logged = node.log.stat().st_size
        await node.start(self._nursery, excused=True)
        if not await node.wait_ended(1.0):
            node.excused = False
            return True
        with node.log.open("rb") as log:
            log.seek(logged)
            said = log.read()
        if b"data_damaged" not in said:
            self.failures.append(f"{node.name} ended without a word on the damage: {said[-2000:]!r}")
        return False

    async def _disk_full(self, fault: Fault, victims: Sequence[NodeProcess]) -> bool:
        taken = await self._take(victims, "up")
        try:
            for node in taken:
                node.excused = True  # a journal that cannot make its next segment ends its node
                node.fill_disk(LITTLE_ROOM if fault.amount < 0.5 else 0)
                if await node.wait_ended(fault.lasts_s):
                    self.note(f"{node.name}: ended for want of space (exit code {node.last_exit})")
                node.relieve_disk()
                if not await node.wait_ended(0.2):
                    node.excused = False
                await self._start(node)
        finally:
            self._free(taken)
        return bool(taken)

    # -- the network

    async def _outage(self, fault: Fault, victims: Sequence[NodeProcess]) -> bool:
        """No node is started meanwhile: it could not listen."""
        if not self._allowed.network:
            return False
        with trio.move_on_after(PATIENCE_S):
            while any(node.state != "up" for node in victims):  # noqa: ASYNC110 - a poll is enough here
                await trio.sleep(0.05)
        taken = await self._take(victims, "up", "paused")
        try:
            if len(taken) < len(victims):
                return False
            set_loopback(up=False)
            await trio.sleep(fault.lasts_s)
        finally:
            set_loopback(up=True)
            self._free(taken)
        return True

    async def _network(self, number: int, fault: Fault, victims: Sequence[str]) -> bool:
        if fault.kind == "client_crash":
            over = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._crash_host, victims[0], over)
                await trio.sleep(fault.lasts_s)
                over.set()
            return True
        self.relay.impose(number, self.conditions(fault, victims))
        try:
            await trio.sleep(fault.lasts_s)
        finally:
            self.relay.lift(number)
        return True

    def conditions(self, fault: Fault, victims: Sequence[str]) -> dict[Pair, Condition]:
        """What a fault does to which links. Raises ValueError for a kind that is none of the network's."""
        name = victims[0]
        around = self.relay.topology.between(name)
        late = Way(Mode.DELAY, 0.005 + fault.amount * DELAY_S_MAX)
        match fault.kind:
            case "cut":
                return {(name, victims[1]): CUT, (victims[1], name): CUT}
            case "cut_one_way":
                return {(name, victims[1]): CUT}
            case "split":
                way = Condition(STALL, STALL) if fault.amount < 0.5 else CUT
                names = self.relay.topology.nodes
                return {
                    (source, target): way
                    for source, target in self.relay.topology.pairs
                    if source in names and (source in victims) != (target in victims)
                }
            case "isolate":
                return dict.fromkeys(around, CUT)
            case "silence":
                return dict.fromkeys(around, Condition(STALL, STALL))
            case "deafen":
                return {
                    pair: Condition(back=STALL) if pair[0] == name else Condition(STALL) for pair in around
                }
            case "mute":
                return {
                    pair: Condition(STALL) if pair[0] == name else Condition(back=STALL) for pair in around
                }
            case "stall":
                other = victims[1]
                return {(name, other): Condition(STALL), (other, name): Condition(back=STALL)}
            case "delay":
                return dict.fromkeys(around, Condition(late, late))
            case "reset":
                return dict.fromkeys(around, Condition(Way(Mode.RESET), Way(Mode.RESET)))
            case _:
                raise ValueError(f"there is no fault {fault.kind!r} of the network")
