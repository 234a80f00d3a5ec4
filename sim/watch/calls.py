"""What clients ask and are told, as events of the trace.

One rule: it stands before the checkers, so that what they find comes after what they heard.
"""

from haqactor.sim.trace import Trace
from haqactor.sim.watch.history import History, Op

TOLD: tuple[str, ...] = ("producer_seq", "seq", "attempt", "duplicate", "error", "ready", "leased", "delayed")
"""What of an answer is said."""


class Calls:
    """Attach it before the first operation. ``client.call`` has kind, queue and message; ``client.return``
    its outcome, and the call as its cause; a delivery that nobody waited for is one ``client.deliver``."""

    __slots__ = ("_heard_call", "_heard_return", "_open", "_trace")

    def __init__(self, trace: Trace, history: History) -> None:
        self._trace = trace
        self._open: dict[int, int] = {}
        self._heard_call, self._heard_return = history.on_call, history.on_return
        history.on_call, history.on_return = self._call, self._return

    def _call(self, op: Op) -> None:
        if op.kind != "deliver":
            number = self._trace.add("client.call", op.client, op.kind, op.queue, op.value, _said(op))
            self._open[op.i] = number
        if self._heard_call is not None:
            self._heard_call(op)

    def _return(self, op: Op) -> None:
        if op.kind == "deliver":
            self._trace.add("client.deliver", op.client, op.queue, op.value, _said(op))
        else:
            call = self._open.pop(op.i)
            self._trace.add(
                "client.return", op.client, op.outcome, op.kind, op.queue, op.value, _said(op), cause=call
            )
        if self._heard_return is not None:
            self._heard_return(op)


def _said(op: Op) -> str | None:
    out = op.out
    return " ".join(f"{name}={out[name]}" for name in TOLD if name in out) or None
