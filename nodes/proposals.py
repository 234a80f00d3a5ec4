"""One turn's commands on their way into one entry, and the clients that wait for their replies.

One rule: every owner hears exactly once: its reply when the entry applies, or the error that it will not, or
may not, have been stored."""

from collections.abc import Callable
from typing import Any

from haqactor import wire
from haqactor.errors import Error, OutcomeUnknown
from haqactor.machine import commands
from haqactor.machine.commands import Command
from haqactor.nodes.sessions import Request

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


class Draft:
    """Commands collected during a turn. Sealed into one entry, or several where a bound of ``body_bytes_max``
    is reached."""

    __slots__ = ("answers", "body_bytes", "commands", "parts")

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.answers: list[Answer | None] = []
        self.parts: list[bytes] = []
        self.body_bytes = 0

    def add(self, command: Command, answer: Answer | None = None, blob: bytes = b"") -> None:
        """Append a command; ``answer`` gets its reply (or an Error)."""
        self.commands.append(command)
        self.answers.append(answer)
        if blob:
            self.parts.append(blob)
            self.body_bytes += len(blob)

    def header(self, time_ns: int) -> bytes:
        """The entry's header at logged time T."""
        return commands.encode(time_ns, self.commands)

    def body(self) -> bytes:
        """The entry's body."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def applied(self, replies: list[Any], now_ns: int) -> None:
        """The entry applied here."""
        for answer, reply in zip(self.answers, replies, strict=True):
            if answer is not None:
                answer(reply, now_ns)

    def failed(self, error: Exception) -> None:
        """The entry was refused, overwritten, or its term ended before its outcome was known."""
        told = error if isinstance(error, Error) else OutcomeUnknown(str(error))
        for answer in self.answers:
            if answer is not None:
                answer(told, 0)
