"""What one life of a program asked for and was told, put into the history of the run.

One rule: a program that was killed says nothing any more: what it waits for is unknown from then on, and what
its remains do at the end of the world is not recorded.
"""

from typing import Any

from haqactor.sim.watch.history import INFO, History, Kind, Op, Outcome
from haqactor.sim.world import World


class Notes:
    """``client``: the name of the program."""

    def __init__(self, history: History, client: str, world: World) -> None:
        self.client = client
        self._history = history
        self._world = world
        self._open: dict[int, Op] = {}
        self._closed = False

    def call(self, kind: Kind, queue: str, value: bytes | None = None, **out: Any) -> Op | None:
        """Something begins; None if nobody writes any more."""
        if self._closed:
            return None
        op = self._history.call(self.client, kind, queue, value, self._world.now_ns, **out)
        self._open[op.i] = op
        return op

    def returned(self, op: Op | None, outcome: Outcome, **out: Any) -> None:
        """It ended."""
        if op is not None and self._open.pop(op.i, None) is not None:
            self._history.returned(op, self._world.now_ns, outcome, **out)

    def delivered(self, queue: str, body: bytes, **out: Any) -> None:
        """A message was handed to the program."""
        if not self._closed:
            self._history.delivered(self.client, queue, body, self._world.now_ns, **out)

    def close(self) -> None:
        """The program is dead."""
        for op in list(self._open.values()):
            self.returned(op, INFO, error="crashed")
        self._closed = True
