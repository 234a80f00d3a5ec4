"""One turn's commands on their way into one entry, and the clients that wait for their replies.

One rule: every owner hears exactly once: its reply when the entry applies, or the error that it will not, or
may not, have been stored."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from haqactor import wire
from haqactor.config import MIB
from haqactor.errors import Error, NotLeader, OutcomeUnknown, Overloaded, TooLarge
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
HEADER_BYTES_MAX: Final = MIB
"""Of the commands beside publishes in one entry, about; more of them are several entries."""
DRAFT_BYTES_MAX: Final = 16 * MIB
"""Of the commands of a draft that cannot be proposed yet, about; then nothing more is taken into it."""
_FIXED_BYTES: Final = 64
_RANGE_BYTES: Final = 20
_ROWS: Final = (list, tuple)


def _weight(command: Command) -> int:
    """The bytes of a command's encoding, about: what may be many in one are ranges, and the texts beside
    them."""
    size = _FIXED_BYTES
    for rows in command:
        if type(rows) in _ROWS and rows:
            size += _RANGE_BYTES * len(rows)
            if type(rows[0]) in _ROWS and len(rows[0]) > 2:
                texts = [value for row in rows for value in row if isinstance(value, str)]
                size += sum(map(len, texts))
    return size


class Draft:
    """Commands collected during a turn. Sealed into one entry, or into several where its body, or its header,
    grows beyond a bound. ``header_bytes``: of the commands that have no batch, about."""

    __slots__ = ("_ended", "answers", "body_bytes", "commands", "header_bytes", "parts")

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.answers: list[Answer | None] = []
        self.parts: list[bytes] = []
        self.body_bytes = 0
        self.header_bytes = 0
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
        else:
            self.header_bytes += _weight(command)

    @property
    def full(self) -> bool:
        """So much waits to be proposed that it takes nothing more."""
        return self.header_bytes >= DRAFT_BYTES_MAX

    def pieces(self) -> "list[Draft]":
        """The drafts of the entries that this one becomes: itself, unless an entry of all its commands would
        be too large."""
        if self.header_bytes < HEADER_BYTES_MAX:
            return [self]
        found = [Draft()]
        parts = iter(self.parts)
        for command, answer in zip(self.commands, self.answers, strict=True):
            piece = found[-1]
            if piece.header_bytes >= HEADER_BYTES_MAX:
                piece = Draft()
                found.append(piece)
            if command[0] == _PUBLISH:
                piece.add(commands.moved(command, piece.body_bytes), answer, next(parts))
            else:
                piece.add(command, answer)
        return found

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

    def leave(self, kept: "Draft", error: Error) -> None:
        """Too much waits for a majority, or leadership is being handed over: publishes are refused, and
        everything else is kept for the next entry, for settlements and returns must always get through
        (J10)."""
        for command, answer in zip(self.commands, self.answers, strict=True):
            if command[0] != _PUBLISH:
                kept.add(command, answer)
            elif answer is not None:
                answer(error, 0)

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
    encode: Callable[[Draft], bytes],
    under_way: dict[Index, Draft],
    now_ns: int,
    keep: Callable[[Draft], None],
) -> None:
    """Propose a draft as one entry, or as few as it fits into, and note them in ``under_way`` (what has
    applied leaves it). ``encode``: makes an entry's header. What cannot be proposed now but must not be lost
    goes to ``keep``."""
    pieces = draft.pieces()
    for at, piece in enumerate(pieces):
        try:
            under_way[actor.propose(encode(piece), piece.body(), piece, now_ns)] = piece
        except NotLeader as error:
            # Handing over may come to nothing; what was frozen must not be lost.
            if actor.core.is_leader and not actor.context.env.probe.bug("nodes.draft_lost_at_transfer"):
                actor.context.env.probe.mark("nodes.draft_kept_in_transfer")
                keep(_left(pieces[at:], error))
            else:
                for lost in pieces[at:]:
                    lost.failed(error)
            break
        except Overloaded as error:
            actor.context.env.probe.mark("nodes.overloaded")
            actor.context.count("overloaded")
            keep(_left(pieces[at:], error))
            break
        except TooLarge as error:  # of one command: again would be the same
            actor.context.log.error(
                "a command is too large to be stored", group=actor.group, reason=str(error)
            )
            piece.failed(error)
    applied = actor.applier.applied
    while under_way and next(iter(under_way)) <= applied:
        del under_way[next(iter(under_way))]


def _left(pieces: list[Draft], error: Error) -> Draft:
    """What of them is kept."""
    kept = Draft()
    for piece in pieces:
        piece.leave(kept, error)
    return kept
