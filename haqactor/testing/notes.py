"""What one life of a program asked for and was told, put into the history of the run.

Each call and answer stands in the trace, too, so that a story of the run shows them.

One rule: a program that was killed says nothing any more: what it waits for is unknown from then on, and what
its remains do at the end of the world is not recorded.
"""

from typing import Any, Final

from haqactor.sim.history import INFO, History, Kind, Op, Outcome
from haqactor.sim.world import World

_SHOWN: Final = 40


class Notes:
    """``client``: the name of the program."""

    def __init__(self, history: History, client: str, world: World) -> None:
        self.client = client
        self._history = history
        self._world = world
        self._open: dict[int, tuple[Op, int]] = {}
        self._closed = False

    def call(self, kind: Kind, queue: str, value: bytes | None = None, **out: Any) -> Op | None:
        """Something begins; None if nobody writes any more."""
        if self._closed:
            return None
        world = self._world
        op = self._history.call(self.client, kind, queue, value, world.now_ns, **out)
        what = value[:_SHOWN] if value is not None else out.get("seq")
        self._open[op.i] = op, world.trace.add("client.call", self.client, kind, queue, what)
        return op

    def returned(self, op: Op | None, outcome: Outcome, **out: Any) -> None:
        """It ended."""
        if op is None or op.i not in self._open:
            return
        _op, cause = self._open.pop(op.i)
        self._history.returned(op, self._world.now_ns, outcome, **out)
        told = (op.kind, op.queue, out.get("seq", op.out.get("seq")), outcome, out.get("error"))
        self._world.trace.add("client.return", self.client, *told, cause=cause)

    def delivered(self, queue: str, body: bytes, **out: Any) -> None:
        """A message was handed to the program."""
        if not self._closed:
            self._history.delivered(self.client, queue, body, self._world.now_ns, **out)
            self._world.trace.add("client.deliver", self.client, queue, out.get("seq"), body[:_SHOWN])

    def close(self) -> None:
        """The program is dead."""
        for op, _cause in list(self._open.values()):
            self.returned(op, INFO, error="crashed")
        self._closed = True
