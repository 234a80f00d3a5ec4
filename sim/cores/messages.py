"""What travels here besides Raft's own messages: beats of one group, snapshots, and clients' requests.

One rule: everything is a value that may arrive late, twice or never; only a client's connection keeps order.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haqactor.raft.heartbeat import AnswerRow, BeatRow
from haqactor.raft.messages import InstallSnapshot

if TYPE_CHECKING:
    from haqactor.sim.cores.replica import Replica


class Beat(NamedTuple):
    """A leader's beat. ``serial``: its sender's boot, and its number below that; what is not newer than the
    last one is dropped, as by ``raft.heartbeat``."""

    serial: int
    row: BeatRow


class BeatAnswer(NamedTuple):
    """``serial``: the answering replica's boot, and the number of the beat."""

    serial: int
    row: AnswerRow


BOOT: Final = 1 << 32
"""A boot's part of a serial."""


class Shipment(NamedTuple):
    """A snapshot, offer and state in one."""

    offer: InstallSnapshot
    chunks: tuple[bytes, ...]


class Request:
    """What a client wants of the leader. ``serve(replica, request, now_ns)`` does it there; ``answer`` hears
    what came of it, unless it is lost on the way."""

    __slots__ = ("answer", "serve")

    def __init__(
        self, serve: "Callable[[Replica, Request, int], None]", answer: Callable[[Any], None]
    ) -> None:
        self.serve = serve
        self.answer = answer
