"""Older producers of a name are refused also in groups that its newest session has not touched.

One rule: a group fences by its own log, so its leader proposes the epochs that its node's copy of the
directory has and its machine does not; only for producers that the machine knows, and a bounded number at a
time.
"""

from collections import deque
from typing import Final

from haqactor.machine import commands
from haqactor.machine.commands import Command
from haqactor.machine.directory import DirectoryMachine
from haqactor.machine.machine import GroupMachine

AT_ONCE: Final = 1000


class Fencing:
    """One term of one group's leader. It begins by comparing all producers of the group, and goes on with
    those that were opened since."""

    __slots__ = ("_directory", "_machine", "_pending", "_upto")

    def __init__(self, directory: DirectoryMachine, machine: GroupMachine) -> None:
        self._directory = directory
        self._machine = machine
        self._upto = directory.index
        self._pending: deque[bytes] = deque(machine.producers.named)

    @property
    def waits(self) -> bool:
        """Is there more to compare?"""
        return bool(self._pending) or self._directory.index > self._upto

    def wanted(self) -> list[Command]:
        """The commands that fence; each is told once a term. Call again while it ``waits``."""
        self._look()
        found: list[Command] = []
        for _ in range(min(AT_ONCE, len(self._pending))):
            producer = self._pending.popleft()
            epoch = self._directory.epochs.current(producer)
            known = self._machine.producers.named.get(producer)
            if known is not None and known.epoch < epoch:
                found.append(commands.producer_epoch(producer, epoch, 0))
        return found

    def _look(self) -> None:
        directory = self._directory
        if directory.index <= self._upto:
            return
        opened = directory.epochs.opened_since(self._upto, AT_ONCE)
        self._upto = directory.index
        if opened is None:  # as after a snapshot: what this group knows is less than what was opened
            self._pending = deque(self._machine.producers.named)
        else:
            self._pending.extend(opened)
