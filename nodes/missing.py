"""Requests for queues that their group does not know yet, and the directory that knows better.

One rule: an unknown uid is waited for while this node's copy of the directory lists it, or is not there yet;
otherwise it is gone."""

from typing import TYPE_CHECKING

from haqactor.config import MIB
from haqactor.errors import NotFound, Overloaded
from haqactor.ids import GroupId
from haqactor.machine import directory
from haqactor.machine.commands import Command
from haqactor.machine.directory import DirectoryMachine
from haqactor.machine.machine import GroupMachine

if TYPE_CHECKING:
    from haqactor.nodes.sessions import ClientSession, Request

_WAITING_MAX = 4096
_WAITING_BYTES_MAX = 16 * MIB
_SESSION_MAX = 256


class Missing:
    """The meeting point of the data groups and this node's copy of the directory."""

    def __init__(self, machine: DirectoryMachine) -> None:
        self.directory = machine
        self._waiting: dict[GroupId, dict[int, list[Request]]] = {}
        self._count = 0
        self._bytes = 0
        self._counts: dict[ClientSession, int] = {}

    def deleted(self, group: GroupId, uid: int) -> bool:
        """Does this node's copy of the directory know that there is no such queue (any more)? The group can
        make none of it then."""
        return uid <= self.directory.applied and not self.directory.lists(uid, group)

    def wait(self, group: GroupId, uid: int, request: "Request", *, gone: bool = False) -> None:
        """Keep a request until its queue is there (``gone``: until it is not). Raises NotFound,
        Overloaded."""
        if not gone and self.deleted(group, uid):
            raise NotFound("this queue was deleted (or never existed); declare it again")
        held = self._counts.get(request.session, 0)
        if self._count >= _WAITING_MAX or held >= _SESSION_MAX or self._bytes >= _WAITING_BYTES_MAX:
            raise Overloaded("too many requests wait for queues that are being created", retry_after=0.2)
        self._waiting.setdefault(group, {}).setdefault(uid, []).append(request)
        self._count += 1
        self._bytes += request.size
        self._counts[request.session] = held + 1

    def take(self, group: GroupId, uid: int) -> "list[Request]":
        """The requests that waited for one queue, in order."""
        waiting = self._waiting.get(group, {})
        return self._taken(waiting.pop(uid, []))

    def take_all(self, group: GroupId) -> "list[Request]":
        """Everything that waits in a group."""
        return self._taken(
            [request for waiting in self._waiting.pop(group, {}).values() for request in waiting]
        )

    def drop(self, session: "ClientSession") -> None:
        """A connection ended: nobody waits for its answers."""
        if session not in self._counts:
            return
        for waiting in self._waiting.values():
            for uid, requests in list(waiting.items()):
                self._taken([request for request in requests if request.session is session])
                left = [request for request in requests if request.session is not session]
                if left:
                    waiting[uid] = left
                else:
                    del waiting[uid]

    def _taken(self, requests: "list[Request]") -> "list[Request]":
        self._count -= len(requests)
        for request in requests:
            self._bytes -= request.size
            left = self._counts[request.session] - 1
            if left:
                self._counts[request.session] = left
            else:
                del self._counts[request.session]
        return requests

    def wanted(self, group: GroupId, machine: GroupMachine) -> Command | None:
        """The command that brings the group up to this node's copy of the directory, if one is needed."""
        return directory.wanted(self.directory, group, machine)
