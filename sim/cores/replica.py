"""One replica: a Raft core, a queue machine and, while it leads, a dispatcher, performed as a node performs
them.

One rule: a turn takes all that has arrived, steps the cores, and performs every ``Ready`` in the order of
``haqactor.raft.ready``; nothing else changes a core.
"""

from collections.abc import Callable, Sequence
from heapq import heappush
from typing import TYPE_CHECKING, Any, Final

from haqactor.entry import Entry, Kind
from haqactor.errors import Error, InvariantViolation, NotLeader
from haqactor.ids import GroupId, Index, NodeId
from haqactor.machine.machine import GroupMachine
from haqactor.raft.core import RaftCore
from haqactor.raft.messages import Append
from haqactor.raft.ready import Fetch, Ready
from haqactor.sim.cores import state
from haqactor.sim.cores.beats import Beats
from haqactor.sim.cores.disk import Block
from haqactor.sim.cores.messages import Beat, BeatAnswer, Request, Shipment
from haqactor.sim.cores.serving import BEGAN, Serving
from haqactor.sim.cores.snapshots import Snapshots
from haqactor.sim.keyed import HostRandom, Stream, keyed

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness

GROUP: Final = GroupId(3)
_SHORTEST_NS: Final = 200_000


class CoreRandom(HostRandom):
    """The same, and quick at what a core asks for with every beat."""

    __slots__ = ("_random",)

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._random = stream.random

    def below(self, bound: int) -> int:
        """An integer in [0, bound), for bounds far below 2**53."""
        return int(self._random() * bound)


class Waiting:
    """A write on its way, and the messages that leave behind it."""

    __slots__ = ("cured", "entries", "hard_state", "messages")

    def __init__(self, ready: Ready) -> None:
        self.entries = ready.entries
        self.hard_state = ready.hard_state
        self.messages: list[tuple[NodeId, Any]] = []
        self.cured = False


class Replica:
    """``node``: its number. ``boot``: its start, from 1. ``serving``: what it does for clients while it
    leads. ``rotted``: durable bytes were lost, and it is not cured yet."""

    __slots__ = (
        "_awake", "_commit", "_digest_every", "_held", "_offset_ns", "_send", "_sent", "_timer_ns",
        "_turn_ns", "_writes", "applied", "beats", "boot", "core", "disk", "drift_ppm", "harness", "inbox",
        "machine", "node", "paused", "probe", "reads", "reads_asked", "rotted", "serving", "snapshots",
        "timeline", "up", "watch",
    )  # fmt: skip

    def __init__(self, harness: "Harness", node: int) -> None:
        self.harness = harness
        self.node = NodeId(node)
        self.timeline = harness.timeline
        self.watch = harness.watch
        self._sent = harness.watch.sent
        self._send = harness.links.send
        self.disk = harness.disks[node]
        self.disk.on_durable = self._durable
        self.boot = 0
        self.up = self.paused = False
        self.rotted = False
        self.drift_ppm = harness.plan.drift_ppm[node]
        self._offset_ns = keyed(harness.plan.seed, "clock", node).randrange(1 << 40)
        self.probe = harness.probes[node % 2]
        self._turn_ns = harness.plan.turn_ns
        self._digest_every = harness.plan.digest_every
        self.inbox: list[tuple[int, Any]] = []
        self.start()

    # -- life

    def start(self) -> None:
        """Start, or start again, from what is durable."""
        self.boot += 1
        self.up, self.paused = True, False
        self.inbox = []
        self._awake = False
        self._timer_ns = 0
        self._writes: list[Waiting] = []
        self.serving: Serving | None = None
        self._held: list[Request] = []
        self.reads: list[tuple[int, int]] = []
        self.reads_asked: dict[int, int] = {}
        harness, disk = self.harness, self.disk
        self.machine = GroupMachine(self.probe, decode=self.harness.decode)
        if disk.meta.index:
            self.machine.restore(disk.chunks)
        self.applied = disk.meta.index
        self.snapshots = Snapshots(self)
        self.beats = Beats(self)
        self.core = RaftCore(
            GROUP,
            self.node,
            harness.plan.raft,
            hard_state=disk.hard_state,
            snapshot=disk.meta,
            runs=disk.runs(),
            last_index=Index(disk.last_index),
            boot=self.boot,
            suspect=disk.suspect,
            configs=disk.configs(),
            random=CoreRandom(keyed(harness.plan.seed, "core", self.node, self.boot)),
            probe=self.probe,
            now_ns=self.now(),
        )
        self._commit = self.core.commit
        for look in self.watch.started:
            look(self)
        boot = self.boot
        first = keyed(harness.plan.seed, "beat", self.node, boot).randrange(harness.plan.raft.heartbeat_ns)
        self.timeline.after(0 if harness.plan.constant else first, self.beats.time, boot)
        if harness.fresh:
            self.core.campaign_soon(self.now())
        self.wake()

    def crash(self, *, torn: bool = False, rotted: bool = False) -> None:
        """Stop without goodbye."""
        self.up = False
        self.serving = None
        self.inbox = []
        self.disk.crash(torn=torn)
        if rotted and self.disk.rot():
            self.rotted = True

    def resume(self) -> None:
        """A pause is over."""
        self.paused = False
        if self.up:
            self._awake = True
            self.timeline.after(0, self._turn, self.boot)

    def now(self) -> int:
        """This host's monotonic clock."""
        world = self.timeline.now_ns
        drift = self.drift_ppm
        if drift:
            world += world * drift // 1_000_000
        return self._offset_ns + world

    def wall_ns(self, now: int) -> int:
        """This host's wall clock at ``now`` of its monotonic one."""
        return BEGAN + now - self._offset_ns + self.node * 3_000_000

    def wait_ns(self, span_ns: int) -> int:
        """World time until the host's clock has gone ``span_ns`` further."""
        drift = self.drift_ppm
        return span_ns * 1_000_000 // (1_000_000 + drift) + 1 if drift else span_ns

    # -- turns

    def put(self, source: int, item: Any) -> None:
        """Something arrived. ``source``: a peer, or -1."""
        if not self.up:
            return
        kind: type[object] = item.__class__
        if (kind is Beat or kind is BeatAnswer) and not self.paused:  # heard outside of turns
            if kind is Beat:
                self.beats.heard(source, item, self.now())
            else:
                self.beats.answered(source, item, self.now())
            if self._awake or not self.core.has_ready():
                return
        else:
            self.inbox.append((source, item))
            if self._awake:
                return
        self._awake = True
        timeline = self.timeline
        timeline.number = number = timeline.number + 1
        heappush(timeline.heap, (timeline.now_ns + self._turn_ns, number, self._turn, self.boot))

    def requested(self, request: Request) -> None:
        """A client's request arrived."""
        self.put(-1, request)

    def call(self, doing: Callable[[int], None]) -> None:
        """Do this in the next turn; it is given the host's time."""
        self.put(-1, doing)

    def wake(self) -> None:
        """Let there be a turn."""
        if self.up and not self._awake:
            self._awake = True
            self.timeline.after(self._turn_ns, self._turn, self.boot)

    def _turn(self, boot: int) -> None:
        if boot != self.boot or not self.up or self.paused or not self._awake:
            return
        self._awake = False
        world, drift = self.timeline.now_ns, self.drift_ppm
        now = self._offset_ns + world + (world * drift // 1_000_000 if drift else 0)
        inbox = self.inbox
        if inbox:
            self.inbox = []
            for source, item in inbox:
                self._take(source, item, now)
        core = self.core
        core.tick(now)
        serving = self.serving
        if serving is not None and (serving.stirred or now >= serving.due_ns) and core.leads(serving.term):
            serving.work(now)
        self._perform_all(now)
        serving = self.serving
        deadline: int | None = None
        if serving is not None and core.leads(serving.term):
            if serving.stirred:
                serving.work(now)
                self._perform_all(now)
            deadline = serving.deadline_ns(now)
        due = core.next_deadline_ns
        if deadline is None or due < deadline:
            deadline = due
        span = deadline - now if deadline - now > _SHORTEST_NS else _SHORTEST_NS
        at = world + (span * 1_000_000 // (1_000_000 + drift) + 1 if drift else span)
        if not world < self._timer_ns <= at:
            self._timer_ns = at
            self.timeline.at(at, self._timer, boot)

    def _take(self, source: int, item: Any, now: int) -> None:
        kind: type[object] = item.__class__
        if source >= 0:
            if kind is Beat:
                self.beats.heard(source, item, now)
            elif kind is BeatAnswer:
                self.beats.answered(source, item, now)
            elif kind is Shipment:
                self._perform_all(now)  # as a node takes it, between two turns: what is stored is on its way
                self.snapshots.take(source, item, now)
            elif not (kind is Append and self.snapshots.installing):
                self.core.step(NodeId(source), item, now)
        elif kind is Request:
            self._request(item, now)
        else:
            item(now)

    @property
    def leading(self) -> bool:
        """Does the core lead?"""
        return self.core.is_leader

    @property
    def is_serving(self) -> bool:
        """Leading, with everything up to this term's no-op applied."""
        serving = self.serving
        if serving is None:
            return False
        return self.core.leads(serving.term)

    def _request(self, request: Request, now: int) -> None:
        if self.is_serving:
            self._serve(request, now)
        elif self.core.is_leader:
            self._held.append(request)
        else:
            self.answer(request, NotLeader("not here", leader=self.core.leader, term=self.core.term))

    def _serve(self, request: Request, now: int) -> None:
        try:
            request.serve(self, request, now)
        except InvariantViolation:
            raise
        except Error as error:
            self.answer(request, error)

    def answer(self, request: Request, value: Any) -> None:
        """Tell the client what came of it."""
        self.harness.to_client(request.answer, value)

    def _timer(self, boot: int) -> None:
        if boot == self.boot and self.timeline.now_ns == self._timer_ns:
            self._timer_ns = 0
            self._awake = self.up
            self._turn(boot)

    # -- Ready

    def _perform_all(self, now: int) -> None:
        core = self.core
        while core.has_ready():
            self._perform(core.ready(), now)
            commit = core.commit
            if commit > self._commit:
                self._commit = commit
                if core.is_leader:
                    for look in self.watch.commit:
                        look(self)
        serving = self.serving
        if (serving is not None or self.reads_asked) and core.wants_beat:
            self.beats.send()
        if serving is not None and serving.uncovered and core.leads(serving.term):
            serving.release()

    def _perform(self, ready: Ready, now: int) -> None:
        if ready.entries or ready.hard_state is not None:
            self._writes.append(Waiting(ready))
            self.disk.submit(Block(ready.entries, ready.hard_state))
        for target, message in ready.messages_now:
            self.send(target, message)
        if ready.messages_after:
            if self._writes:
                self._writes[-1].messages.extend(ready.messages_after)
            else:
                for target, message in ready.messages_after:
                    self.send(target, message)
        if ready.role_changed:
            self._role_changed()
        if ready.cured:
            if self._writes:
                self._writes[-1].cured = True
            else:
                self._cured()
        if ready.committed is not None:
            self._apply(*ready.committed, now)
        for read in ready.reads:
            self.reads.append((read.index, read.context))
        for context in ready.reads_failed:
            self.reads_asked.pop(context, None)
        if self.reads:
            self._serve_reads()
        for fetch in ready.fetches:
            self.timeline.after(self.disk.sync_ns // 4, self._fetched, (self.boot, fetch))
        for peer, offer in ready.installs:
            self.timeline.after(2 * self.disk.sync_ns, self.snapshots.ship, (self.boot, peer, offer))

    def _durable(self, blocks: Sequence[Block]) -> None:
        for look in self.watch.durable:
            look(self, blocks)
        if self.up:
            self.call(lambda now: self._written(blocks, now))

    def _written(self, blocks: Sequence[Block], now: int) -> None:
        for block in blocks:
            if block.done is not None:
                block.done()
                continue
            write = self._writes.pop(0)
            if write.hard_state is not None:
                self.core.hard_state_durable(write.hard_state)
            if write.entries:
                last = write.entries[-1]
                self.core.durable(last.term, last.index, now)
            for target, message in write.messages:
                self.send(target, message)
            if write.cured:
                self._cured()

    def _cured(self) -> None:
        self.rotted = False
        self.disk.submit(Block(cured=True, done=_nothing))

    def send(self, target: NodeId, message: Any) -> None:
        """To a peer."""
        looks = self._sent.get(message.__class__)
        if looks is not None:
            for look in looks:
                look(self, target, message)
        self._send(self.node, target, message)

    def _role_changed(self) -> None:
        core = self.core
        if self.serving is not None and not self.is_serving:
            self.serving.close()
            self.serving = None
        if not core.is_leader:
            held, self._held = self._held, []
            for request in held:
                self.answer(request, NotLeader("not here", leader=core.leader, term=core.term))
        for look in self.watch.role:
            look(self)

    # -- applying

    def _apply(self, first: Index, last: Index, now: int) -> None:
        core = self.core
        entries = core.entries(first, last)
        if entries is None:
            entries = tuple(self.disk.read(first, last, 1 << 40))
            if len(entries) != last - first + 1:
                raise InvariantViolation(f"committed entries {first}..{last} cannot be read back")
        for entry in entries:
            self._apply_entry(entry, now)
        core.applied(last)
        self.snapshots.look()

    def _apply_entry(self, entry: Entry, now: int) -> None:
        machine, watch = self.machine, self.watch
        index = entry.index
        header = entry.header if entry.kind is Kind.COMMAND else b""
        applied = machine.apply(index, entry.term, header, 0)
        self.applied = index
        for look in watch.applied:
            look(self, entry, applied)
        if not index % self._digest_every:
            for look in watch.digest:
                look(self, index, state.digest(machine))
        if self.serving is not None:
            if applied.effects and self.is_serving:
                for look in watch.led:
                    look(self, applied)
            self.serving.applied(applied)
        if entry.kind is Kind.NOOP and self.core.is_leader and entry.term == self.core.term:
            self.serving = Serving(self, entry.term, now)
            for look in watch.served:
                look(self)
            held, self._held = self._held, []
            for request in held:
                self._serve(request, now)

    def _fetched(self, given: tuple[int, Fetch]) -> None:
        boot, fetch = given

        def fetched(_now: int) -> None:
            entries = self.disk.read(fetch.first, fetch.last, fetch.bytes_max)
            self.core.fetched(fetch.peer, fetch.first, entries)

        if boot == self.boot:
            self.call(fetched)

    # -- reads

    def ask_read(self, context: int, known: int, now: int) -> None:
        """Ask for a linearizable read; ``known``: what is committed now, as the world knows."""
        self.reads_asked[context] = known
        self.core.request_read(context, now)

    def _serve_reads(self) -> None:
        due = [read for read in self.reads if read[0] <= self.applied]
        if due:
            self.reads = [read for read in self.reads if read[0] > self.applied]
            for index, context in due:
                known = self.reads_asked.pop(context, 0)
                for look in self.watch.read:
                    look(self, index, known)


def _nothing() -> None:
    """A mark was dropped; nobody waits for that."""
