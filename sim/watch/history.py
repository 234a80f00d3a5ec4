"""What clients asked for and what they were told: the outside view of a run, which the checkers judge.

One rule: a record is made before its request leaves and is never taken away; what is not known to have failed
may have happened.

A batch is as many records, for each message has a fate of its own. ``out`` holds what is known beyond the
fields; what a client has not been told is left out of it:

========  ==========================================================================================
publish   ``producer`` (session), ``producer_seq``, ``seq``, ``duplicate``, ``uid``
deliver   ``seq``, ``attempt``, ``uid``, ``consumer``, ``term`` and ``counter`` (lease), ``chosen_ns``
ack, ...  ``seq``, ``uid``, ``term``, ``counter``; nack, reject and release alike
declare   ``uid``, ``version``, ``created``, ``changed``, ``dead_letter``, ``again`` (copies yet to act)
info      ``ready``, ``leased``, ``delayed``, ``dead``, ``first_seq``, ``next_seq``, ``uid``, ``version``
any       ``error``: the code of the error that ended it
========  ==========================================================================================

``uid`` is the incarnation of the queue; all records of a queue name it, or none. Without it little is
concluded about a queue once it may have been deleted.
``chosen_ns``: when the leader chose the delivery; where ``term`` and ``counter`` are known, the event
``Chosen`` tells it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["publish", "deliver", "ack", "nack", "reject", "release", "declare", "delete", "purge", "info"]
Outcome = Literal["ok", "fail", "info"]

OK: Final = "ok"
FAIL: Final = "fail"
INFO: Final = "info"


@dataclass(slots=True)
class Op:
    """One operation of one client. ``outcome``: ``ok``, ``fail`` (it certainly did not happen) or ``info``
    (not known, and all there is to say while ``returned_ns`` is None). Times are the world's."""

    i: int
    client: str
    kind: Kind
    queue: str
    value: bytes | None
    invoked_ns: int
    returned_ns: int | None = None
    outcome: Outcome = "info"
    out: dict[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        value = "" if self.value is None else f" {self.value[:40]!r}"
        until = "" if self.returned_ns is None else f"{self.returned_ns / 1e9:.6f}"
        out = "".join(f" {key}={known}" for key, known in self.out.items())
        span = f"{self.invoked_ns / 1e9:.6f}..{until}"
        return f"#{self.i} {span} {self.client} {self.kind} {self.queue}{value}: {self.outcome}{out}"


class History:
    """All records of a run, in the order of their beginnings. ``on_call`` and ``on_return`` are told of each
    at once: the checkers."""

    __slots__ = ("on_call", "on_return", "ops")

    def __init__(
        self, on_call: Callable[[Op], None] | None = None, on_return: Callable[[Op], None] | None = None
    ) -> None:
        self.ops: list[Op] = []
        self.on_call = on_call
        self.on_return = on_return

    def __len__(self) -> int:
        return len(self.ops)

    def call(self, client: str, kind: Kind, queue: str, value: bytes | None, now_ns: int, **out: Any) -> Op:
        """A client begins something."""
        op = Op(len(self.ops), client, kind, queue, value, now_ns, out=out)
        self.ops.append(op)
        if self.on_call is not None:
            self.on_call(op)
        return op

    def returned(self, op: Op, now_ns: int, outcome: Outcome, **out: Any) -> Op:
        """It ended; each operation once. An unknown outcome is an end, too, if its client goes on."""
        if op.returned_ns is not None:
            raise ValueError(f"{op} has returned before")
        op.returned_ns = now_ns
        op.outcome = outcome
        op.out.update(out)
        if self.on_return is not None:
            self.on_return(op)
        return op

    def delivered(
        self, client: str, queue: str, value: bytes, now_ns: int, *, since_ns: int | None = None, **out: Any
    ) -> Op:
        """A message was handed to a client. ``since_ns``: when the client asked for it, if it did."""
        op = self.call(client, "deliver", queue, value, now_ns if since_ns is None else since_ns, **out)
        return self.returned(op, now_ns, "ok")


def replay(ops: Iterable[Op], on_call: Callable[[Op], None], on_return: Callable[[Op], None]) -> None:
    """Tell of finished records as they would have been told while they were made: by time, and at one instant
    returns before calls. A call shows only what it holds now, so what was learned later is seen early."""
    moments: list[tuple[int, int, int, Op]] = []
    for op in ops:
        moments.append((op.invoked_ns, 1, op.i, op))
        if op.returned_ns is not None:
            at_once = op.returned_ns == op.invoked_ns
            moments.append((op.returned_ns, 2 if at_once else 0, op.i, op))
    for _at_ns, order, _i, op in sorted(moments, key=lambda moment: moment[:3]):
        if order == 1:
            on_call(op)
        else:
            on_return(op)
