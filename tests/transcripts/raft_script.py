"""The little language of the Raft transcripts: a command a line, and what it shows.

One rule: a transcript reads like a story; every command says what it did to whom.
"""

from collections.abc import Callable

from haqactor.ids import NO_NODE, NodeId
from haqactor.raft.config import MILLISECOND_NS, RaftConfig
from haqactor.raft.heartbeat import Beat, BeatAnswer
from haqactor.raft.messages import (
    Append,
    AppendReply,
    Hello,
    InstallSnapshot,
    RequestVote,
    TimeoutNow,
    Vote,
)
from tests.builders.raft_cluster import Cluster, Envelope, Payload


def describe(payload: Payload) -> str:
    """A message in one line."""
    match payload:
        case RequestVote():
            kind = "PreVote?" if payload.pre else "Vote?"
            extra = " transfer" if payload.transfer else ""
            return f"{kind} term={payload.term} log={payload.last_index}/{payload.last_term}{extra}"
        case Vote():
            answer = "granted" if payload.granted else "refused"
            return f"{'PreVote' if payload.pre else 'Vote'} {answer} term={payload.term}"
        case Append():
            entries = " ".join(f"{e.index}/{e.term}:{e.kind.name.lower()}" for e in payload.entries)
            place = f"prev={payload.prev_index}/{payload.prev_term} commit={payload.commit}"
            return f"Append term={payload.term} {place} [{entries}]"
        case AppendReply():
            mark = " suspect" if payload.suspect else ""
            if payload.accepted:
                return f"AppendReply term={payload.term} matched={payload.matched}{mark}"
            hint = f"rejected={payload.rejected} hint={payload.hint_index}/{payload.hint_term}"
            return f"AppendReply term={payload.term} {hint}{mark}"
        case InstallSnapshot():
            return f"InstallSnapshot term={payload.term} at={payload.index}/{payload.index_term}"
        case TimeoutNow():
            return f"TimeoutNow term={payload.term}"
        case Hello():
            mark = " suspect" if payload.suspect else ""
            to = f" to boot {payload.to_boot}" if payload.reply else ""
            cure = f" cure={payload.cure_index}" if payload.cure_index else ""
            log = f"log={payload.last_index}/{payload.last_term}"
            return f"Hello from boot {payload.boot}{to}: term={payload.term} {log}{mark}{cure}"
        case Beat():
            rows = " ".join(f"term={r.term} commit={r.commit} round={r.context}" for r in payload.rows)
            return f"Beat {payload.seq} [{rows}]"
        case BeatAnswer():
            rows = " ".join(f"term={r.term} round={r.context}" for r in payload.rows)
            return f"BeatAnswer {payload.seq} [{rows}]"


class Script:
    """One transcript being played. Messages travel only when told to."""

    def __init__(self) -> None:
        self.cluster = Cluster(3)
        self.commands: dict[str, Callable[[list[str]], list[str]]] = {
            "cluster": self.make,
            "campaign": self.campaign,
            "suspect": self.suspect,
            "propose": self.propose,
            "read": self.read,
            "transfer": self.transfer,
            "flush": self.flush,
            "deliver": self.deliver,
            "drop": self.drop,
            "settle": self.settle,
            "beat": self.beat,
            "wait": self.wait,
            "run": self.run,
            "crash": self.crash,
            "start": self.start,
            "isolate": self.isolate,
            "heal": self.heal,
            "snapshot": self.snapshot,
            "show": self.show,
            "log": self.log,
            "network": self.network,
        }

    def play(self, line: str) -> list[str]:
        """One command; what it shows."""
        name, *arguments = line.split()
        return self.commands[name](arguments)

    # -- steps

    def make(self, arguments: list[str]) -> list[str]:
        memory = int(arguments[1]) if len(arguments) > 1 else 1_000_000
        self.cluster = Cluster(int(arguments[0]), config=RaftConfig(memory_bytes=memory))
        return []

    def campaign(self, arguments: list[str]) -> list[str]:
        """The node's election wait is over; nobody else's is."""
        replica = self.cluster[int(arguments[0])]
        self.cluster.now_ns = max(self.cluster.now_ns, replica.core.next_deadline_ns)
        replica.core.tick(self.cluster.now_ns)
        replica.turn()
        return self.network([])

    def suspect(self, arguments: list[str]) -> list[str]:
        """The node saw its leader's connection reset and refused."""
        replica = self.cluster[int(arguments[0])]
        replica.core.suspect_leader(self.cluster.now_ns)
        wait_ns = replica.core.next_deadline_ns - self.cluster.now_ns
        return [f"{replica.node} campaigns in {wait_ns // MILLISECOND_NS} ms"]

    def propose(self, arguments: list[str]) -> list[str]:
        entry = self.cluster[int(arguments[0])].propose(arguments[1].encode())
        return [f"{entry.index}/{entry.term}"]

    def read(self, arguments: list[str]) -> list[str]:
        replica = self.cluster[int(arguments[0])]
        replica.core.request_read(int(arguments[1]), self.cluster.now_ns)
        replica.turn()
        return ["wants a beat" if replica.core.wants_beat else "rides on what is sent"]

    def transfer(self, arguments: list[str]) -> list[str]:
        replica = self.cluster[int(arguments[0])]
        replica.core.transfer(NodeId(int(arguments[1])), self.cluster.now_ns)
        replica.turn()
        return self.network([])

    def flush(self, arguments: list[str]) -> list[str]:
        """The node's writes become durable."""
        self.cluster[int(arguments[0])].flush()
        return self.network([])

    def deliver(self, arguments: list[str]) -> list[str]:
        """What is under way now arrives, perhaps only from or to one node; the disks write at once."""
        arriving = [e for e in self.cluster.network if self._chosen(e, arguments)]
        shown: list[str] = []
        for envelope in arriving:
            if envelope in self.cluster.network:
                shown.append(self._line(envelope))
                self.cluster.deliver(self.cluster.network.index(envelope))
        for replica in self.cluster.live():
            replica.flush()
        return shown

    def drop(self, arguments: list[str]) -> list[str]:
        """What is under way is lost, perhaps only from or to one node."""
        lost = [e for e in self.cluster.network if self._chosen(e, arguments)]
        self.cluster.network[:] = [e for e in self.cluster.network if e not in lost]
        return [f"lost: {self._line(envelope)}" for envelope in lost]

    def settle(self, arguments: list[str]) -> list[str]:
        """Deliver and write until nothing moves, silently."""
        self.cluster.settle()
        return []

    def beat(self, arguments: list[str]) -> list[str]:
        self.cluster[int(arguments[0])].send_beats()
        return self.network([])

    def wait(self, arguments: list[str]) -> list[str]:
        """Time goes on for everybody; no beats, nothing is delivered."""
        self.cluster.now_ns += int(arguments[0]) * MILLISECOND_NS
        for replica in self.cluster.live():
            replica.core.tick(self.cluster.now_ns)
            replica.turn()
        return self.show([])

    def run(self, arguments: list[str]) -> list[str]:
        """A calm time."""
        self.cluster.run(int(arguments[0]))
        return self.show([])

    def crash(self, arguments: list[str]) -> list[str]:
        how = arguments[1] if len(arguments) > 1 else ""
        self.cluster[int(arguments[0])].crash(torn=how == "torn", rotted=how == "rotted")
        return []

    def start(self, arguments: list[str]) -> list[str]:
        for node in arguments:
            self.cluster[int(node)].start()
        return []

    def isolate(self, arguments: list[str]) -> list[str]:
        self.cluster.isolate(*[int(node) for node in arguments])
        return []

    def heal(self, arguments: list[str]) -> list[str]:
        self.cluster.heal()
        return []

    def snapshot(self, arguments: list[str]) -> list[str]:
        replica = self.cluster[int(arguments[0])]
        replica.snapshot()
        return [f"{replica.node} begins behind {replica.core.snapshot.index}"]

    # -- looking

    def show(self, arguments: list[str]) -> list[str]:
        return [self._node(replica.node) for replica in self.cluster.replicas.values()]

    def log(self, arguments: list[str]) -> list[str]:
        shown: list[str] = []
        for replica in self.cluster.replicas.values():
            terms = " ".join(str(entry.term) for entry in replica.journal.entries)
            shown.append(f"{replica.node}: from {replica.journal.snapshot.index + 1}: {terms}".rstrip())
        return shown

    def network(self, arguments: list[str]) -> list[str]:
        return [
            self._line(envelope) for envelope in self.cluster.network if self._chosen(envelope, arguments)
        ]

    def _node(self, node: NodeId) -> str:
        replica = self.cluster.replicas[node]
        if not replica.up:
            return f"{node}: down"
        core = replica.core
        leader = "-" if core.leader == NO_NODE else str(core.leader)
        state = core.cure_state()
        mark = f" suspect, waits for {list(state.missing)}" if state.suspect else ""
        reads = "".join(f" read {read.context} at {read.index}" for read in replica.reads)
        failed = "".join(f" read {context} failed" for context in replica.reads_failed)
        places = f"last={core.last_index} durable={core.durable_index} commit={core.commit}"
        role = core.role.value.replace("_", "-")
        return f"{node}: {role} term={core.term} leader={leader} {places}{mark}{reads}{failed}"

    @staticmethod
    def _chosen(envelope: Envelope, arguments: list[str]) -> bool:
        chosen = dict(argument.split("=") for argument in arguments)
        sender, to = chosen.get("from"), chosen.get("to")
        return (sender is None or envelope.sender == int(sender)) and (to is None or envelope.to == int(to))

    @staticmethod
    def _line(envelope: Envelope) -> str:
        return f"{envelope.sender}->{envelope.to} {describe(envelope.payload)}"
