"""How much a queue and a group may hold: publishes beyond that are refused by the leader, before they are in
the log.

One rule: what is under way counts, so that no publish takes a queue or its group above a limit; those that
are refused get room in the order in which they came (``haqactor.nodes.line``). A retry of what is stored
passes, for it adds nothing. Dead letters are never refused: they were in the group before.

A message counts until it is settled: ready, leased, deferred and parked ones alike. It counts with its part
of the batch as it is stored.
"""

from typing import Any, Final, NoReturn

from haqactor import wire
from haqactor.config import Limits
from haqactor.errors import Overloaded, TooLarge
from haqactor.ids import GroupId
from haqactor.machine.machine import GroupMachine
from haqactor.machine.queue import Queue
from haqactor.nodes import bounds
from haqactor.nodes.bounds import Bound, Bounds
from haqactor.nodes.line import Line, Size
from haqactor.nodes.proposals import Answer
from haqactor.nodes.underway import Claim, UnderWay

RETRY_AFTER_S: Final = 0.5
_LOOK_AGAIN_NS: Final = 1_000_000_000
"""How old the answer to which queue is the largest may be; finding it looks at all of them."""


class Quota:
    """Of one group at its leader."""

    def __init__(self, group: GroupId, machine: GroupMachine, limits: Limits) -> None:
        self._group = group
        self._machine = machine
        self._limits = limits
        self._bounds = bounds.of_group(limits)
        self._is_bounded = bool(limits.group_messages_max or limits.group_bytes_max)
        self._of_queues: dict[int, tuple[dict[str, Any], Bounds]] = {}
        self._under_way = UnderWay()
        self._lines: dict[int, Line] = {}
        self._line = Line()
        self._found: tuple[int, Bound, str] | None = None

    def admit(self, message: wire.Publish, size_bytes: int, answer: Answer, asked_ns: int) -> Answer:
        """Count this publish, of a batch of ``size_bytes``, until it is answered: the answer to use. Raises
        Overloaded, and TooLarge for what does not fit into an empty queue."""
        queue = self._machine.queues[message.uid]
        if message.first <= self._machine.producers.last_seq(message.producer, message.uid):
            return answer
        claim = Claim((message.producer, message.uid), message.first)
        size = Size(message.count, size_bytes)
        self._check(queue, claim, size, asked_ns)
        under_way = self._under_way
        under_way.begin(claim, size)

        def answered(reply: Any, now_ns: int) -> None:
            under_way.end(claim, size)
            answer(reply, now_ns)

        return answered

    def _check(self, queue: Queue, claim: Claim, size: Size, asked_ns: int) -> None:
        own = self._bounds_of(queue)
        never = own.never(size) or self._bounds.never(size)
        if never is not None:
            self._can_never_fit(queue, claim, size, never)
        (who, first), uid = claim, queue.uid
        held = _sum(Size(queue.depth, queue.bytes), self._under_way.of(uid))
        room, line = own.room(held), self._lines.get(uid)
        if not (size.fits(room) if line is None else line.lets(who, first, size, room, asked_ns)):
            self._line.leave(who, first)  # it keeps no room of the group's from others meanwhile
            (line or self._new_line(uid)).wait(who, first, size, asked_ns)
            raise self._refusal(f"queue {queue.name!r}", own, size, held)
        if self._is_bounded:
            self._check_group(queue, claim, size, asked_ns)
        if line is not None:
            line.leave(who, first)
            if not len(line):
                del self._lines[uid]

    def _check_group(self, queue: Queue, claim: Claim, size: Size, asked_ns: int) -> None:
        who, first = claim
        in_all = self._machine.held
        held = _sum(Size(in_all.messages, in_all.bytes), self._under_way.total)
        if self._line.lets(who, first, size, self._bounds.room(held), asked_ns):
            self._line.leave(who, first)
            return
        self._line.wait(who, first, size, asked_ns)
        line = self._lines.get(queue.uid)
        if line is not None:  # it has room there, and keeps it
            line.wait(who, first, size, asked_ns)
        what = f"group {self._group}, to which queue {queue.name!r} belongs,"
        raise self._refusal(what, self._bounds, size, held, asked_ns)

    def _bounds_of(self, queue: Queue) -> Bounds:
        """Kept as long as its settings are the same ones."""
        known = self._of_queues.get(queue.uid)
        if known is not None and known[0] is queue.settings:
            return known[1]
        if len(self._of_queues) > len(self._machine.queues):
            self._of_queues.clear()
        found = bounds.of_queue(queue, self._limits)
        self._of_queues[queue.uid] = (queue.settings, found)
        return found

    def _can_never_fit(self, queue: Queue, claim: Claim, size: Size, bound: Bound) -> NoReturn:
        """It has no place that others wait behind. While an earlier sending of the same is under way, nobody
        may say yet that it is not stored."""
        it, less = "a message", "smaller ones"
        if size.messages > 1:
            it, less = f"a batch of {size.messages} messages", "fewer at once"
        text = (
            f"{it} of {size.bytes} bytes as stored can never be in queue {queue.name!r}, where {bound.most} "
            f"{bound.unit} are the limit: publish {less}, or {bound.remedy}"
        )
        if claim in self._under_way:
            raise Overloaded(text, retry_after=RETRY_AFTER_S)
        raise TooLarge(text, limit=bound.most)

    def _new_line(self, uid: int) -> Line:
        for other in [other for other in self._lines if other not in self._machine.queues]:
            del self._lines[other]
        line = self._lines[uid] = Line()
        return line

    def _refusal(
        self, what: str, most: Bounds, size: Size, held: Size, asked_ns: int | None = None
    ) -> Overloaded:
        """``what`` holds too much; ``asked_ns``: now, where it is the group."""
        bound, much = most.full(size, held)
        where = "" if asked_ns is None else f", most of them in queue {self._largest(bound, asked_ns)!r}"
        first = ", and others wait for the rest" if size.fits(most.room(held)) else ""
        return Overloaded(
            f"{what} holds {much} of {bound.most} {bound.unit}{where}{first}: consume or purge some, "
            f"or {bound.remedy}",
            retry_after=RETRY_AFTER_S,
        )

    def _largest(self, bound: Bound, asked_ns: int) -> str:
        """The queue of the group that has most of what is bounded, as of lately."""
        known = self._found
        if known is None or known[1] is not bound or asked_ns >= known[0] + _LOOK_AGAIN_NS:
            by_bytes = bound is self._bounds.bytes
            queues = self._machine.queues.values()
            name = max(((queue.bytes if by_bytes else queue.depth), queue.name) for queue in queues)[1]
            known = self._found = (asked_ns, bound, name)
        return known[2]


def _sum(one: Size, other: Size) -> Size:
    return Size(one.messages + other.messages, one.bytes + other.bytes)
