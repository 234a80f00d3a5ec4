"""Gossip moves addresses, for links, clients and the next start; nothing else."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from haqactor.ids import GroupId, NodeId, Term
from haqactor.journal.identity import Identity
from haqactor.nodes.addresses import Addresses
from haqactor.nodes.context import Context
from haqactor.nodes.peers import PeerLink
from haqactor.swim.member import Member, Status
from tests.builders.node_context import address_of, member_nonce, node_context

MOVED = "n1:9000"


class Link:
    def __init__(self) -> None:
        self.address = address_of(1)
        self.redials = 0

    def redial(self) -> None:
        self.redials += 1


def ground() -> tuple[Context, Link, list[Identity]]:
    context, journal = node_context(0)
    link, stored = Link(), list[Identity]()
    context.peers[NodeId(1)] = cast(PeerLink, link)

    async def update_identity(change: Callable[[Identity], Identity]) -> None:
        await trio.lowlevel.checkpoint()
        journal.identity = change(journal.identity)
        stored.append(journal.identity)

    vars(journal)["update_identity"] = update_identity
    return context, link, stored


def news(
    address: str, status: Status = Status.ALIVE, *, node: int = 1, key: bytes = member_nonce(1)
) -> Member:
    return Member(key, node, address, 1 << 20, status, b"")


async def test_a_member_moves(autojump_clock: MockClock) -> None:
    """The link dials the new address, clients hear of what it leads, and it is written down, now and then."""
    context, link, stored = ground()
    heard: list[Any] = []
    context.leaders.update(GroupId(1), NodeId(1), Term(1))
    context.leaders.subscribe(heard.append)
    addresses = Addresses(context)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(addresses.run)
        addresses.changed(news(MOVED), None)
        assert (link.address, link.redials) == (MOVED, 1)
        assert heard == [[[1, 1, 1, MOVED]]]
        await trio.sleep(1)
        assert stored[-1].members[1] == (1, MOVED, member_nonce(1))
        for port in range(9001, 9009):
            addresses.changed(news(f"n1:{port}"), None)
            await trio.sleep(0.1)
        assert len(stored) == 1
        await trio.sleep(30)
        assert [identity.members[1][1] for identity in stored] == [MOVED, "n1:9008"]
        nursery.cancel_scope.cancel()


async def test_who_is_back_is_dialled_at_once() -> None:
    """And who only changed something else is not."""
    context, link, _stored = ground()
    addresses = Addresses(context)
    dead = news(address_of(1), Status.DEAD)
    addresses.changed(dead, news(address_of(1)))
    assert link.redials == 0
    addresses.changed(news(address_of(1)), dead)
    assert link.redials == 1
    addresses.changed(news(address_of(1)), news(address_of(1)))
    assert link.redials == 1


async def test_who_moves_nothing() -> None:
    """A stranger, another disk under a known number, the dead, and those who left."""
    context, link, _stored = ground()
    addresses = Addresses(context)
    for told in (
        news(MOVED, key=b"w" * 16),
        news(MOVED, node=7),
        news(MOVED, node=-1),
        news(MOVED, Status.DEAD),
        news(MOVED, Status.LEFT),
        news(MOVED, node=0, key=member_nonce(0)),
    ):
        addresses.changed(told, None)
    assert (link.address, link.redials) == (address_of(1), 0)
    assert context.leaders.address(NodeId(1)) == address_of(1)
    assert context.leaders.address(NodeId(0)) == address_of(0)


@pytest.mark.parametrize("address", ["n1", "n1:x", ":7000", "n1:65534", "n1:" + "9" * 250])
async def test_what_is_no_address_moves_nothing(address: str) -> None:
    """Gossip takes any text; a link that were to dial this one would end the node."""
    context, link, stored = ground()
    addresses = Addresses(context)
    addresses.changed(news(address), None)
    assert (link.address, link.redials) == (address_of(1), 0)
    assert context.leaders.address(NodeId(1)) == address_of(1)
    addresses.changed(news(MOVED), news(address))
    assert (link.address, link.redials) == (MOVED, 1)
    assert stored == []
