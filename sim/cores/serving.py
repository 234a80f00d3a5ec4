"""A leader at work for its clients during one term: commands into entries, replies, deliveries.

One rule: as the node does it: a turn's commands are one entry, a reply leaves when the entry has applied, a
delivery when a round that began after it was chosen has a quorum.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from haqactor import wire
from haqactor.config import QueueConfig
from haqactor.entry import Kind
from haqactor.errors import Error, NotLeader, OutcomeUnknown, Overloaded
from haqactor.ids import Term
from haqactor.machine import commands
from haqactor.machine.actions import Deliver, LeaseLost, Opened, Propose
from haqactor.machine.commands import Command
from haqactor.machine.dispatcher import Dispatcher
from haqactor.machine.effects import Applied
from haqactor.sim.cores.messages import Request

if TYPE_CHECKING:
    from haqactor.sim.cores.replica import Replica

WORK: Final = 10
DEAD: Final = 11
BEGAN: Final = 1_700_000_000_000_000_000
Answer = Callable[[Any], None]
Consumer = Callable[[Any], None]
"""Takes a ``Deliver`` or a ``LeaseLost`` at the client's end of its connection."""


class Draft:
    """Commands of one turn, and who waits for their replies."""

    __slots__ = ("answers", "commands")

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.answers: list[Answer | None] = []

    def failed(self, error: Error) -> None:
        """It will not, or may not, have been stored."""
        for answer in self.answers:
            if answer is not None:
                answer(error)
        self.answers = []


class Serving:
    """``term``: the one it was made for. ``stirred``: something applied or came in since the last work.
    ``due_ns``: when there is something to do by itself. ``uncovered``: deliveries that wait for a round."""

    def __init__(self, replica: "Replica", term: Term, now: int) -> None:
        self.replica = replica
        self.term = term
        self.stirred = True
        self.began_ns = replica.timeline.now_ns
        harness = replica.harness
        self.dispatcher = Dispatcher(replica.machine, term, harness.plan.limits, now, probe=replica.probe)
        self.sessions: dict[bytes, Consumer] = {}
        self.later: list[Request] = []
        self._draft = Draft()
        self._proposed: deque[tuple[int, Draft]] = deque()
        self._fresh: list[Deliver] = []
        self.uncovered: deque[tuple[int, int, list[Deliver]]] = deque()
        self.due_ns = 0
        if replica.machine.dir_index < 1:
            settings = QueueConfig(
                "work",
                lease=harness.plan.lease_ns / 1e9,
                max_attempts=harness.plan.max_attempts,
                dead_letter="dead",
                backoff=0.05,
                backoff_max=0.2,
            ).settings()
            rows = [[DEAD, 1, "dead", QueueConfig("dead").settings()], [WORK, 1, "work", settings]]
            self.add(commands.follow_directory(1, [], rows), None)

    # -- commands

    def add(self, command: Command, answer: Answer | None) -> None:
        """Into this turn's entry."""
        self._draft.commands.append(command)
        self._draft.answers.append(answer)
        self.stirred = True

    def request(self, command: Command, request: Request) -> None:
        """The same for a client's request; it gets the command's reply."""
        replica = self.replica
        self.add(command, lambda reply: replica.answer(request, reply))

    def _seal(self, now: int) -> None:
        draft = self._draft
        core = self.replica.core
        header = commands.encode(self.replica.wall_ns(now), draft.commands)
        try:
            entry = core.propose(Kind.COMMAND, header, b"", now)
        except (NotLeader, Overloaded) as error:
            if not core.is_leader:
                draft.failed(error)
                self._draft = Draft()
                return
            kept = Draft()  # settlements and returns must get through
            for command, answer in zip(draft.commands, draft.answers, strict=True):
                if command[0] != commands.Op.PUBLISH:
                    kept.commands.append(command)
                    kept.answers.append(answer)
                elif answer is not None:
                    answer(error)
            self._draft = kept
            return
        self._draft = Draft()
        self._proposed.append((entry.index, draft))

    def applied(self, applied: Applied) -> None:
        """An entry of this term applied here."""
        self.stirred = True
        self.dispatcher.on_applied(applied)
        if self._proposed and self._proposed[0][0] == applied.index:
            _, draft = self._proposed.popleft()
            for answer, reply in zip(draft.answers, applied.replies, strict=True):
                if answer is not None:
                    answer(reply)

    def close(self) -> None:
        """The term is over here."""
        self._draft.failed(NotLeader("leadership moved"))
        for _, draft in self._proposed:
            draft.failed(OutcomeUnknown("leadership moved"))
        for request in self.later:
            self.replica.answer(request, NotLeader("leadership moved"))

    # -- a turn's end

    def work(self, now: int) -> None:
        """Let the dispatcher choose, seal the entry, ask for a covering round."""
        self.stirred = False
        for action in self.dispatcher.work(now, self.replica.wall_ns(now)):
            if isinstance(action, Propose):
                self._draft.commands.append(action.command)
                self._draft.answers.append(None)
                self._note_given_up(action.command)
            elif isinstance(action, Deliver):
                self._fresh.append(action)
            elif isinstance(action, LeaseLost):
                self._tell(action)
            elif isinstance(action, Opened):
                later, self.later = self.later, []
                for request in later:
                    request.serve(self.replica, request, now)
        if self._draft.commands:
            self._seal(now)
        if self._fresh:
            for look in self.replica.watch.chosen:
                look(self.replica, self._fresh)
            covering = self.replica.core.cover(now)
            self.uncovered.append((covering, self.replica.timeline.now_ns, self._fresh))
            self._fresh = []
        due = self.dispatcher.next_deadline_ns(now, self.replica.wall_ns(now))
        self.due_ns = 1 << 62 if due is None else due

    def _note_given_up(self, command: Command) -> None:
        rows: list[Any] = []
        if command[0] in {commands.Op.RETURN, commands.Op.SETTLE}:
            rows = [*command[3], *command[4], *command[5]]
        if rows:
            for look in self.replica.watch.given_up:
                look(self.replica, [(row[0], row[1]) for row in rows])

    def deadline_ns(self, now: int) -> int:
        """When there is something to do by itself."""
        return now if self.stirred else self.due_ns

    def release(self) -> None:
        """Send the deliveries that are covered."""
        waiting = self.uncovered
        if not waiting:
            return
        covered = self.replica.core.covered
        while waiting and waiting[0][0] <= covered:
            _, chosen_ns, deliveries = waiting.popleft()
            for deliver in deliveries:
                for look in self.replica.watch.released:
                    look(self.replica, deliver, chosen_ns)
                self._tell(deliver)

    def _tell(self, action: Deliver | LeaseLost) -> None:
        consumer = self.sessions.get(action.session)
        if consumer is not None:
            self.replica.harness.to_client(consumer, action)

    # -- consumers

    def subscribe(
        self, session: bytes, claims: list[list[Any]], credit: int, consumer: Consumer, now: int
    ) -> list[tuple[int, int]]:
        """A consumer comes, or comes back. Returns the ranges that it lost."""
        self.stirred = True
        self.sessions[session] = consumer
        for number, (covering, chosen_ns, deliveries) in enumerate(self.uncovered):
            kept = [each for each in deliveries if each.session != session]  # they went back with that
            self.uncovered[number] = (covering, chosen_ns, kept)
        lost = self.dispatcher.subscribe(session, 1, WORK, credit, 1 << 30, claims, now)
        kept_leases: dict[int, tuple[int, int]] = {}
        for term, counter, low, high, _started in claims:
            for sequence in range(low, high + 1):
                if not any(first <= sequence <= last for first, last in lost):
                    kept_leases[sequence] = (term, counter)
        for look in self.replica.watch.subscribed:
            look(self.replica, (session, 1), kept_leases)
        return lost

    def settle(self, session: bytes, rows: dict[str, list[list[Any]]], request: Request) -> None:
        """Judge a settlement, and propose what is accepted."""
        self.stirred = True
        given = {name: rows.get(name, []) for name in ("acks", "nacks", "rejects", "releases")}
        count = sum(row[3] - row[2] + 1 for kind in given.values() for row in kind)
        message = wire.Settle(1, 1, WORK, 1, **given, started=[], credit_messages=count, credit_bytes=0)
        judged = self.dispatcher.judge(session, message)
        if judged.later:
            self.later.append(request)
            return
        replica, refused = self.replica, judged.refused
        if judged.command is None:
            replica.answer(request, refused)
            return
        for look in replica.watch.judged:
            look(replica, (session, 1), judged.command[2])
        self._note_given_up(judged.command)
        self.add(
            judged.command,
            lambda reply: replica.answer(request, reply if isinstance(reply, Error) else refused),
        )

    def purge(self, request: Request) -> None:
        """Drop what is not leased."""
        command = self.dispatcher.purge(WORK)
        if command is None:
            self.later.append(request)
        else:
            self.request(command, request)


def sequences(ranges: Sequence[tuple[int, int]]) -> list[int]:
    """All numbers in inclusive ranges."""
    return [number for low, high in ranges for number in range(low, high + 1)]
