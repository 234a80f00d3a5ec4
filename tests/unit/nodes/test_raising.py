"""A group's machine goes on to the next version when every replica knows it: not sooner, and step by step."""

from typing import cast

import pytest

from haqactor import wire
from haqactor.ids import NodeId
from haqactor.machine import commands
from haqactor.machine.directory import DirectoryMachine
from haqactor.machine.versions import FIRST, KNOWN, Versions
from haqactor.nodes.directory import DirectoryService
from haqactor.nodes.missing import Missing
from haqactor.nodes.peers import PeerLink
from haqactor.nodes.queues import QueueService
from haqactor.nodes.raising import Raising
from haqactor.raft.membership import Configuration
from tests.builders.service_actor import ServedSession, ServiceActor

NEWER = Versions(1, 2)
NODES = tuple(NodeId(node) for node in range(3))


class Link:
    """A link to a peer, as far as its handshake goes."""

    def __init__(self, versions: Versions, *, connected: bool = True) -> None:
        self.versions = versions
        self.connected = connected


class Place:
    """Node 0 of three, which leads; ``own``: what its release knows."""

    def __init__(self, *links: Link, own: Versions = NEWER, group: int = 1) -> None:
        self.actor = ServiceActor(group)
        self.actor.context.versions = own
        self.tell(*links)
        self.raising = Raising(self.actor.as_actor)

    def tell(self, *links: Link) -> None:
        for node, link in enumerate(links, start=1):
            self.actor.context.peers[NodeId(node)] = cast(PeerLink, link)


def test_all_know_it() -> None:
    place = Place(Link(NEWER), Link(Versions(2, 5)))
    assert place.raising.wanted(FIRST) == commands.raise_version(2)


@pytest.mark.parametrize(
    "links",
    [
        (Link(NEWER), Link(KNOWN)),
        (Link(NEWER), Link(NEWER, connected=False)),
        (Link(NEWER),),
        (),
    ],
    ids=["one does not", "one is away", "one was never seen", "nobody"],
)
def test_one_of_which_it_is_not_known_is_waited_for(links: tuple[Link, ...]) -> None:
    place = Place(*links)
    assert place.raising.wanted(FIRST) is None
    place.tell(Link(NEWER), Link(NEWER))
    assert place.raising.wanted(FIRST) == commands.raise_version(2)


def test_learners_are_asked_too() -> None:
    place = Place(Link(NEWER), Link(KNOWN))
    place.actor.core.configuration = Configuration(NODES[:2], learners=NODES[2:])
    assert place.raising.wanted(FIRST) is None


def test_who_knows_no_more_than_is_in_force_asks_for_nothing() -> None:
    place = Place(Link(NEWER), Link(NEWER), own=Versions(1, 1))
    assert place.raising.wanted(FIRST) is None


def test_it_is_asked_for_once_a_term() -> None:
    """What became of an earlier term's is not known."""
    place = Place(Link(NEWER), Link(NEWER))
    assert [place.raising.wanted(FIRST) is None for _ in range(3)] == [False, True, True]
    place.raising.begin()
    assert place.raising.wanted(FIRST) == commands.raise_version(2)
    assert place.raising.wanted(2) is None


def test_versions_are_raised_one_by_one() -> None:
    far = Versions(1, 3)
    place = Place(Link(far), Link(far), own=far)
    assert [place.raising.wanted(version) for version in (1, 2, 3)] == [
        commands.raise_version(2),
        commands.raise_version(3),
        None,
    ]


def leading(group: int) -> tuple[ServiceActor, QueueService | DirectoryService]:
    """A group's service on a leader whose peers know version 2."""
    actor = Place(Link(NEWER), Link(NEWER), group=group).actor
    directory = DirectoryMachine(known=NEWER)
    if group:
        return actor, QueueService(actor.as_actor, Missing(directory))
    return actor, DirectoryService(actor.as_actor, directory, lambda: None, lambda _group, _nodes: None)


@pytest.mark.parametrize("group", [0, 1])
async def test_a_leader_writes_in_the_new_version_once_it_has_applied(group: int) -> None:
    """Both kinds of groups; what was proposed together with it, or before it applied, is still of the old
    one."""
    actor, service = leading(group)
    service.lead(actor.core.term, 0)
    written: list[int] = []
    for _ in range(3):
        service.work(0)
        if isinstance(service, QueueService):
            service.draft.add(commands.limits(5))
        else:
            ServedSession().ask(service, wire.OpenProducer(0, "p"))
        service.work(0)
        written += [commands.decode(header, NEWER).version for header, _body, _owner in actor.proposed]
        actor.commit(service)
    assert written == [1, 1, 2, 2]
    assert service.machine.version == service.status()["version"] == 2
