"""Beats of one replica: numbered, answered at once, outside of its turns.

One rule: what is not newer than the last one from there is dropped, as ``raft.heartbeat`` does.
"""

from typing import TYPE_CHECKING

from haqactor.ids import NodeId
from haqactor.sim.cores.messages import BOOT, Beat, BeatAnswer

if TYPE_CHECKING:
    from haqactor.sim.cores.replica import Replica


class Beats:
    """Of one boot of a replica. ``number``: of its last beat."""

    def __init__(self, replica: "Replica") -> None:
        self._replica = replica
        self.number = 0
        size = replica.harness.plan.replicas
        self._send = replica.harness.links.send
        self._beats = [0] * size
        self._answers = [0] * size

    def time(self, boot: int) -> None:
        """The interval is over."""
        replica = self._replica
        if boot != replica.boot:
            return
        replica.timeline.after(replica.wait_ns(replica.harness.plan.raft.heartbeat_ns), self.time, boot)
        if replica.up and not replica.paused:
            self.send()

    def send(self) -> None:
        """Beat now, if it leads."""
        replica = self._replica
        row = replica.core.row()
        if row is not None:
            self.number += 1
            beat = Beat(replica.boot * BOOT + self.number, row)
            node, send = replica.node, self._send
            for peer in range(len(self._beats)):
                if peer != node:
                    send(node, peer, beat)

    def heard(self, source: int, beat: Beat, now: int) -> None:
        """A leader's beat arrived."""
        serial, row = beat
        if serial <= self._beats[source]:
            return
        self._beats[source] = serial
        replica = self._replica
        core = replica.core
        core.beat(NodeId(source), row, now)
        answer = BeatAnswer(replica.boot * BOOT + serial % BOOT, core.answer_row())
        self._send(replica.node, source, answer)

    def answered(self, source: int, answer: BeatAnswer, now: int) -> None:
        """An answer arrived."""
        serial, row = answer
        if serial <= self._answers[source] or serial % BOOT > self.number:
            return
        self._answers[source] = serial
        replica = self._replica
        core = replica.core
        covered = core.covered
        core.beat_answer(NodeId(source), row, now)
        for look in replica.watch.answered:
            look(replica, row.term)
        if core.covered != covered:
            replica.wake()
