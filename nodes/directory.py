"""The service of group 0: the cluster's directory of nodes, groups and queues.

One rule: every node applies the directory; the data groups' leaders follow their own node's copy, and only
group 0's leader answers what must be current."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from haqactor import wire
from haqactor.config import QueueConfig, check_name
from haqactor.entry import Entry, Kind
from haqactor.errors import Error, InvalidArgument, InvariantViolation, NotFound, NotLeader, OutcomeUnknown
from haqactor.ids import Index, Term
from haqactor.machine import commands, effects
from haqactor.machine.directory import DirectoryMachine
from haqactor.nodes.clockwork import GroupTime
from haqactor.nodes.proposals import AGAIN_NS, Answer, Draft, answer_request, seal
from haqactor.nodes.raising import Raising
from haqactor.nodes.reading import Reads
from haqactor.nodes.sessions import Disconnected, Request
from haqactor.nodes.timers import NEVER_NS

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_KNOWN_SETTINGS = tuple(QueueConfig("x").settings())


class DirectoryService:
    """Group 0's replica. ``moved`` is called after every change of the copy, ``created`` for every group that
    exists."""

    def __init__(
        self,
        actor: "GroupActor",
        machine: DirectoryMachine,
        moved: Callable[[], None],
        created: Callable[[int, tuple[int, ...]], None],
    ) -> None:
        self.actor = actor
        self.machine = machine
        self._moved = moved
        self._created = created
        self.time = GroupTime(actor.context, actor.group)
        self._draft = Draft()
        self._raising = Raising(actor)
        self._open: dict[Index, Draft] = {}
        self._reads = Reads(actor)

    def lead(self, term: Term, now_ns: int) -> None:
        """Found the groups if nobody has, and say where this node is."""
        context = self.actor.context
        self.time.begin(self.machine.time_ns, now_ns)
        self._draft = Draft()
        self._raising.begin()
        members = [member[0] for member in context.identity.members]
        if not self.machine.groups:
            rows = [[group, members] for group in range(1, context.config.groups + 1)]
            for node, address, _nonce in context.identity.members:
                self._draft.add(commands.register_node(node, address, 0))
            self._draft.add(commands.create_groups(rows))

    def follow(self, now_ns: int) -> None:
        """Stop serving."""
        error = NotLeader("leadership moved", leader=self.actor.core.leader, term=self.actor.core.term)
        self._draft.failed(error)
        self._draft = Draft()
        for draft in self._open.values():
            draft.failed(OutcomeUnknown("leadership moved; the next leader may store it yet"))
        self._open.clear()
        for request in self._reads.take_all():
            request.session.fail(request.message.rid, error)

    def apply(self, entry: Entry, now_ns: int) -> None:
        """One committed entry, on every replica."""
        header = entry.header if entry.kind is Kind.COMMAND else b""
        applied = self.machine.apply(entry.index, entry.term, header, len(entry.body))
        for effect in applied.effects:
            if isinstance(effect, effects.GroupCreated):
                self._created(effect.group, effect.replicas)
        owner = self.actor.take_proposal(entry.index)
        if owner is not None:
            owner.applied(applied.replies, now_ns)
            self.actor.context.beat_now()  # the other nodes' copies are waited for
        self._moved()

    def request(self, request: Request, now_ns: int) -> None:
        """A client's request at the serving leader."""
        try:
            self._request(request)
        except InvariantViolation:
            raise
        except Error as error:
            if rid := getattr(request.message, "rid", 0):
                request.session.fail(rid, error)

    def _request(self, request: Request) -> None:
        message = request.message
        answer = answer_request(request)
        if isinstance(message, wire.Queues | wire.Resolve):
            self._reads.add(request)
        elif isinstance(message, wire.Declare):
            check_name(message.name)
            settings = _checked(message.name, message.settings)
            self._draft.add(commands.declare(message.name, settings), answer)
        elif isinstance(message, wire.Delete):
            check_name(message.name)
            answer = self._told_where(message.name, answer)
            self._draft.add(commands.delete(message.name, message.uid), answer)
        elif isinstance(message, wire.OpenProducer):
            check_name(message.name, "producer")
            self._draft.add(commands.open_producer(message.name), answer)
        else:
            raise InvalidArgument(f"the directory does not answer {type(message).__name__}")

    def disconnected(self, session: Disconnected, now_ns: int) -> None:
        """Nothing here outlives a request."""

    def work(self, now_ns: int) -> None:
        """Seal the draft, ask for reads."""
        if raising := self._raising.wanted(self.machine.version):
            self._draft.add(raising)
        if self._draft.commands:
            draft, self._draft = self._draft, Draft()
            time_ns, version = self.time.now(now_ns), self.machine.version
            seal(self.actor, draft, lambda one: one.header(time_ns, version), self._open, now_ns, self._kept)
        self._reads.ask(now_ns)

    def _kept(self, draft: Draft) -> None:
        self._draft = draft

    def reads(self, contexts: tuple[int, ...], ok: bool, now_ns: int) -> None:
        """Answer what needed a ReadIndex."""
        for request in self._reads.take(contexts, ok):
            if isinstance(request.message, wire.Queues):
                request.session.send(wire.Reply(request.message.rid, self.machine.queue_rows()))
            else:
                self._resolved(request, request.message)

    def _resolved(self, request: Request, message: wire.Resolve) -> None:
        row = self.machine.resolve(message.name)
        if row is None:
            request.session.fail(message.rid, self._not_found(message.name))
        else:
            request.session.send(wire.Reply(message.rid, row))

    def _not_found(self, name: str) -> NotFound:
        """It says where the queue was: until that group has dropped it, others may see it yet."""
        group, uid = self.machine.departed.get(name, (-1, 0))
        return NotFound(f"there is no queue {name!r}; declare it first", group=group, uid=uid)

    def _told_where(self, name: str, answer: Answer) -> Answer:
        return lambda reply, now: answer(self._not_found(name) if isinstance(reply, NotFound) else reply, now)

    def covered(self, now_ns: int) -> None:
        """Group 0 delivers nothing."""

    def directory_moved(self, now_ns: int) -> None:
        """It is the directory."""

    def next_deadline_ns(self) -> int:
        """It has no timers of its own; a draft that was kept is to be tried again."""
        return self.actor.context.now() + AGAIN_NS if self._draft.commands else NEVER_NS

    def snapshot_chunks(self) -> Any:
        """A frozen view of the machine."""
        return self.machine.snapshot_chunks()

    def live_entries(self) -> list[tuple[Index, Index]]:
        """The directory's entries live on in its snapshot alone."""
        return []

    def restore(self, chunks: list[bytes]) -> None:
        """Become the state of a snapshot; groups that it names are started."""
        self.machine.restore(chunks)
        for group, replicas in self.machine.group_rows():
            self._created(group, replicas)
        self._moved()

    def digest(self) -> bytes:
        """A hash of the replicated state."""
        return self.machine.digest()

    def status(self) -> dict[str, Any]:
        """For the admin."""
        return {"queues": len(self.machine.queue_rows()), "version": self.machine.version}


def _checked(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The given settings as they are logged: known names, integers and strings, within their bounds."""
    for key in settings:
        if key not in _KNOWN_SETTINGS:
            raise InvalidArgument(f"{key!r} is no setting of a queue; known are {', '.join(_KNOWN_SETTINGS)}")
    try:
        checked = QueueConfig.from_settings(name, {**QueueConfig(name).settings(), **settings}).settings()
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(f"a setting of queue {name!r} has the wrong type or size: {error}") from error
    return {key: checked[key] for key in settings}
