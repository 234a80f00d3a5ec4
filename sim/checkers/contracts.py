"""S25: queues keep their contracts: the machine and the dispatcher against the reference model.

One rule: the model replays what was committed, in that order, the first time that any host applies it; what
is answered, chosen and told to clients must agree with it at that point of the log.
"""

from typing import Any

from haqactor.errors import Error
from haqactor.machine.commands import is_list
from haqactor.sim.checkers.checker import Rule
from haqactor.sim.model import Model, ModelQueue
from haqactor.sim.watch.history import OK, Op
from haqactor.sim.watch.observed import Apply, Chosen, Event, Holdings

DIRECTORY = 0  # group 0 holds no queues


class QueueContracts(Rule):
    """O(messages touched) an entry."""

    name = "queue contracts"
    invariant = "S25"
    by_place = True
    calls = ("info",)
    ops = ("publish", "ack", "info")
    events = (Apply, Chosen, Holdings)

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[int, Model] = {}
        self._asked: dict[int, tuple[int, int]] = {}  # uid and next_seq when it was asked

    # -- inside --

    def on_event(self, event: Event) -> None:
        """A group moves on, or leases."""
        if isinstance(event, Apply):
            if event.group != DIRECTORY:
                self._apply(event)
        elif isinstance(event, Chosen):
            self._chosen(event)
        elif isinstance(event, Holdings):
            self._holdings(event)

    def _apply(self, event: Apply) -> None:
        model = self.models.get(event.group)
        if model is None:
            model = self.models[event.group] = Model()
        if event.index <= model.index or self.unknown:
            return
        if event.index != model.index + 1 or event.header is None:
            self.unknown = f"entry {model.index + 1} of group {event.group} was not shown to the model"
            return
        expected = model.apply(event.index, event.header, event.at_ns)
        if event.replies is not None:
            given = [plain(reply) for reply in event.replies]
            if given != expected:
                raise self.broken(f"the machine answered {given!r:.200}, the model {expected!r:.200}", event)

    def _chosen(self, event: Chosen) -> None:
        model = self.models.get(event.group)
        if model is None or model.index != event.index or self.unknown:
            return  # a leader that was overtaken: what it chooses does not leave
        queue = model.queues.get(event.uid)
        if queue is None:
            raise self.broken(f"chosen from queue {event.uid}, which does not exist", event)
        failures = dict(event.attempts)
        for low, high in event.ranges:
            for seq in range(low, high + 1):
                message = queue.get(seq)
                if message is None or not message.standing:
                    raise self.broken(f"message {seq} was chosen, which is not there to be had", event)
                if seq >= queue.reserve:
                    raise self.broken(
                        f"message {seq} was chosen beyond the reserve mark {queue.reserve}", event
                    )
                if failures.get(seq, 0) != message.failures:
                    text = f"message {seq} failed {message.failures} times, not {failures.get(seq, 0)}"
                    raise self.broken(text, event)

    def _holdings(self, event: Holdings) -> None:
        model = self.models.get(event.group)
        queue = model.queues.get(event.uid) if model is not None else None
        if model is None or queue is None or model.index != event.index or self.unknown:
            return
        given = (event.ready, event.delayed, event.dead), event.first_seq, event.next_seq
        expected = queue.holdings(), queue.first_seq, queue.next_seq
        if given != expected:
            raise self.broken(f"the queue holds {given}, and should hold {expected}", event)

    # -- outside --

    def on_call(self, op: Op) -> None:
        """What is stored when somebody asks is the least that may be answered."""
        queue = self._queue(op)
        if queue is not None:
            self._asked[op.i] = (queue.uid, queue.next_seq)

    def on_op(self, op: Op) -> None:
        """What a client was told must have been committed by then."""
        asked = self._asked.pop(op.i, None)
        queue = self._queue(op) if op.outcome == OK else None
        if queue is None or self.unknown:
            return
        if op.kind == "info":
            following: int | None = op.out.get("next_seq")
            if following is not None and following > queue.next_seq:
                raise self.broken(f"info tells of messages beyond the last one, {queue.next_seq - 1}", op)
            if following is not None and asked is not None and asked[0] == queue.uid and following < asked[1]:
                raise self.broken(f"info is older than its question: {asked[1] - 1} messages were stored", op)
        elif "seq" in op.out:
            message = queue.get(op.out["seq"])
            if message is None:
                raise self.broken(f"{op.kind} was confirmed of a message that is not stored", op)
            if op.kind == "ack" and not message.gone:
                raise self.broken("an acknowledgement was confirmed that has not been applied", op)
            if (
                op.kind == "publish"
                and op.out.get("duplicate") is False
                and message.stored_ns < op.invoked_ns
            ):
                raise self.broken("a publish got the place of an earlier message", op)

    def _queue(self, op: Op) -> ModelQueue | None:
        uid: int | None = op.out.get("uid")
        for model in self.models.values():
            found = model.names.get(op.queue) if uid is None else uid
            if found is not None and found in model.queues:
                return model.queues[found]
        return None


def plain(reply: Any) -> Any:
    """A machine's reply in the model's terms: runs of places one by one, an error as its code."""
    if isinstance(reply, Error):
        return reply.code
    if is_list(reply) and reply and is_list(reply[0]):
        return [(first + row, bool(duplicate)) for first, count, duplicate in reply for row in range(count)]
    return reply
