"""Beats of one replica: numbered, answered at once, outside of its turns.

One rule: what is not newer than the last one from there is dropped, as ``raft.heartbeat`` does.
"""

from typing import TYPE_CHECKING

from haqactor.ids import NodeId
from haqactor.sim.cores.messages import Beat, BeatAnswer

if TYPE_CHECKING:
    from haqactor.sim.cores.replica import Replica


class Beats:
    """Of one boot of a replica. ``number``: of its last beat."""

    def __init__(self, replica: "Replica") -> None:
        self._replica = replica
        self.number = 0
        self._beats: dict[int, tuple[int, int]] = {}
        self._answers: dict[int, tuple[int, int]] = {}

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
            beat = Beat(replica.boot, self.number, row)
            for peer in range(replica.harness.plan.replicas):
                if peer != replica.node:
                    replica.harness.links.send(replica.node, peer, beat)

    def heard(self, source: int, beat: Beat, now: int) -> None:
        """A leader's beat arrived."""
        replica = self._replica
        number = beat[:2]
        if number <= self._beats.get(source, (0, 0)):
            return
        self._beats[source] = number
        core = replica.core
        core.beat(NodeId(source), beat.row, now)
        answer = BeatAnswer(replica.boot, beat.number, core.answer_row())
        replica.harness.links.send(replica.node, source, answer)

    def answered(self, source: int, answer: BeatAnswer, now: int) -> None:
        """An answer arrived."""
        replica = self._replica
        number = answer[:2]
        if number <= self._answers.get(source, (0, 0)) or answer.number > self.number:
            return
        self._answers[source] = number
        covered = replica.core.covered
        replica.core.beat_answer(NodeId(source), answer.row, now)
        for look in replica.watch.answered:
            look(replica, answer.row.term)
        if replica.core.covered != covered:
            replica.wake()
