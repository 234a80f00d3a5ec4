"""One turn's commands on their way into one entry, and the clients that wait for their replies.

One rule: every owner hears exactly once: its reply when the entry applies, or the error that it will not, or
may not, have been stored."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from haqactor import wire
from haqactor.errors import Error, NotLeader, OutcomeUnknown, Overloaded
from haqactor.ids import Index
from haqactor.machine import commands
from haqactor.machine.commands import Command
from haqactor.nodes.sessions import Request

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

Answer = Callable[[Any, int], None]


def answer_request(request: Request) -> Answer:
    """Reply to the client with what apply returned."""

    def answer(reply: Any, _now: int) -> None:
        rid = request.message.rid
        if isinstance(reply, Error):
            request.session.fail(rid, reply)
        else:
            request.session.send(wire.Reply(rid, reply))

    return answer


AGAIN_NS: Final = 10_000_000
"""After so long a draft that was kept is tried again, though nothing new has come."""
_PUBLISH: Final = commands.Op.PUBLISH.value


class Draft:
    """Commands collected during a turn. Sealed into one entry, or several where a bound of ``body_bytes_max``
    is reached."""

    __slots__ = ("_ended", "answers", "body_bytes", "commands", "parts")

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.answers: list[Answer | None] = []
        self.parts: list[bytes] = []
        self.body_bytes = 0
        self._ended = False

    def add(self, command: Command, answer: Answer | None = None, blob: bytes = b"") -> None:
        """Append a command; ``answer`` gets its reply (or an Error). Raises InvalidArgument: it is none that
        could be applied, and nothing was appended."""
        if command[0] != _PUBLISH:
            commands.check(command)
        self.commands.append(command)
        self.answers.append(answer)
        if blob:
            self.parts.append(blob)
            self.body_bytes += len(blob)

    def header(self, time_ns: int, version: int) -> bytes:
        """The entry's header at logged time T, in the version that the group has agreed on."""
        return commands.encode(time_ns, self.commands, version)

    def body(self) -> bytes:
        """The entry's body."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def applied(self, replies: list[Any], now_ns: int) -> None:
        """The entry applied here. After ``failed`` nobody waits any more."""
        if self._ended:
            return
        self._ended = True
        for answer, reply in zip(self.answers, replies, strict=True):
            if answer is not None:
                answer(reply, now_ns)

    def without_publishes(self, error: Error) -> "Draft":
        """Too much waits for a majority, or leadership is being handed over: publishes are refused, and
        everything else is kept for the next entry, for settlements and returns must always get through
        (J10)."""
        kept = Draft()
        for command, answer in zip(self.commands, self.answers, strict=True):
            if command[0] != _PUBLISH:
                kept.add(command, answer)
            elif answer is not None:
                answer(error, 0)
        return kept

    def failed(self, error: Exception) -> None:
        """The entry was refused, overwritten, or its term ended before its outcome was known."""
        if self._ended:
            return
        self._ended = True
        told = error if isinstance(error, Error) else OutcomeUnknown(str(error))
        for answer in self.answers:
            if answer is not None:
                answer(told, 0)


def seal(
    actor: "GroupActor",
    draft: Draft,
    header: bytes,
    under_way: dict[Index, Draft],
    now_ns: int,
    keep: Callable[[Draft], None],
) -> None:
    """Propose a draft as one entry and note it in ``under_way`` (what has applied leaves it). What cannot be
    proposed now but must not be lost goes to ``keep``."""
    try:
        under_way[actor.propose(header, draft.body(), draft, now_ns)] = draft
    except NotLeader as error:
        # Handing over may come to nothing; what was frozen must not be lost.
        if actor.core.is_leader and not actor.context.env.probe.bug("nodes.draft_lost_at_transfer"):
            actor.context.env.probe.mark("nodes.draft_kept_in_transfer")
            keep(draft.without_publishes(error))
        else:
            draft.failed(error)
    except Overloaded as error:
        actor.context.env.probe.mark("nodes.overloaded")
        actor.context.count("overloaded")
        keep(draft.without_publishes(error))
    applied = actor.applier.applied
    while under_way and next(iter(under_way)) <= applied:
        del under_way[next(iter(under_way))]
