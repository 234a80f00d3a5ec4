"""A failed run as it might have been: three nodes, two clients, a crash, a partition, and a lost message."""

from heapq import heappop, heappush

from haqactor.sim.drawn import Drawn
from haqactor.sim.failure.artefact import Artefact, Record
from haqactor.sim.keyed import keyed
from haqactor.sim.plan import NS, Fault, Plan
from haqactor.sim.trace import Event, Trace
from haqactor.sim.verdict import Verdict

NODES = ("n0", "n1", "n2")
MS = 1_000_000
STEP_NS = 5 * MS


def example_trace(*, seconds: int = 10, evil: str = "", busy: int = 1) -> list[Event]:
    """``busy``: how many messages there are, relative to a quiet run; ``evil``: text that is put wherever
    text can come from outside."""
    return _Run(seconds, evil, busy).play()


class _Run:
    def __init__(self, seconds: int, evil: str, busy: int) -> None:
        self.trace = Trace(recording=True)
        self.evil = evil
        self.busy = busy
        self.steps = seconds * NS // STEP_NS
        self._draws = keyed(1, "example")
        self._flying: list[tuple[int, int, str, str, str]] = []
        self._calls: dict[str, int] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._cut_off: list[str] = []

    def play(self) -> list[Event]:
        add = self.trace.add
        for name in NODES:
            add("start", name, 1)
            add("fsync", name, "identity", 36)
        for step in range(self.steps):
            self._arrive(step * STEP_NS)
            self.trace.now_ns = step * STEP_NS
            self._trouble(step)
            self._work(step)
        self._arrive(self.steps * STEP_NS)
        add("violation", "n1", "S1", f"p17 is lost{self.evil}", cause=self.trace.count - 1)
        return self.trace.events

    def _trouble(self, step: int) -> None:
        add, steps = self.trace.add, self.steps
        if step == steps // 3:
            add("fault", "", f"crash n2{self.evil}")
            add("crash", "n2")
            self._cut_off = ["n2"]
        elif step == steps // 3 + 40:
            add("start", "n2", 2)
            self._cut_off = []
        elif step == steps * 2 // 5:
            add("partition", "", "n2 | n0 n1")
            self._cut_off = ["n2"]
        elif step == steps * 3 // 5:
            add("heal", "")
            self._cut_off = []
        elif step == steps * 7 // 10:
            add("pause", "n0")
        elif step == steps * 7 // 10 + 30:
            add("resume", "n0")

    def _work(self, step: int) -> None:
        if step % 10 == 0:
            for other in ("n0", "n2"):
                for _ in range(self.busy):
                    self._send("n1", other, "Heartbeat")
        if step % 30 == 7:
            client = f"client-{step // 30 % 2}"
            body = f"p{step}{self.evil}".encode()
            call = self._calls[client] = self.trace.add("client.call", client, "publish", "orders", body)
            self._send(client, "n1", "Publish", call)
        if step % 50 == 20:
            self.trace.add("log", "n1", "info", "committed", f"index={step} {self.evil}")

    def _send(self, source: str, target: str, what: str, cause: int = -1) -> None:
        stream = len(self._sizes) % 7
        size = 60 + len(self._sizes) % 90
        number = self.trace.add("send", source, source, target, size, stream, what, cause=cause)
        self._sizes[number] = (size, stream)
        at_ns = self.trace.now_ns + self._draws.randrange(MS // 5, 3 * MS)
        heappush(self._flying, (at_ns, number, source, target, what))

    def _arrive(self, until_ns: int) -> None:
        trace = self.trace
        while self._flying and self._flying[0][0] <= until_ns:
            trace.now_ns, sent, source, target, what = heappop(self._flying)
            size, stream = self._sizes[sent]
            if target in self._cut_off or self._draws.random() < 0.03:
                trace.add("drop", source, source, target, size, stream, "loss", cause=sent)
                continue
            came = trace.add("recv", target, source, target, size, stream, what, cause=sent)
            if what == "Append":
                trace.now_ns += 1
                trace.add("fsync", target, "journal/0001.log", size, cause=came)
                self._send(target, source, "AppendReply")
            elif what == "Publish":
                self._send("n1", "n0", "Append", came)
                self._send("n1", "n2", "Append", came)
                self._send("n1", source, "Confirm", came)
            elif what == "Confirm":
                trace.add("client.return", target, "ok", 17, cause=self._calls.pop(target, -1))


def example_artefact(events: list[Event], *, evil: str = "") -> Artefact:
    """What belongs to that trace."""
    confirmed = next(event for event in events if event.kind == "client.return")
    faults = (
        Fault(3_333_000_000, "crash", "n2", {"torn": True}),
        Fault(4 * NS, "partition", "", {"groups": [["n2"], ["n0", "n1"]], "why": evil}),
        Fault(6 * NS, "heal"),
    )
    return Artefact(
        seed=17,
        profile=f"swarm{evil}",
        run=Drawn(plan=Plan(faults), chances={"loss": 0.03}, operations=40),
        verdict=Verdict.SAFETY,
        digest="0123456789abcdef" * 2,
        invariant="S1",
        message=f"p17 was confirmed, but no queue holds it after the drain{evil}",
        at_ns=events[-1].at_ns,
        event=events[-1].number,
        records=(
            Record(f"confirmed p17{evil}", "n1", 3, 17, confirmed.at_ns, confirmed.number),
            Record("applied p18 at the same index", "n2", 4, 17, 7 * NS, None),
        ),
        commit="a26d117",
        planned=41,
        shrink_runs=57,
    )
