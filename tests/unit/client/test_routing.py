"""What a client believes about leaders, and whom it dials."""

import random
from typing import Any

import pytest

from haqactor import wire
from haqactor.client.lane import HOLD_NS
from haqactor.client.link import ROOM_BYTES
from haqactor.client.options import Options
from haqactor.client.producing import Identity
from haqactor.client.protocol import Core
from haqactor.client.routing import Routing
from haqactor.errors import ProtocolError

MS = 1_000_000


def test_rows_of_lower_terms_are_stale() -> None:
    routing = Routing(["a:1", "b:1"], 0)
    routing.learn([[1, 0, 5, "a:1"]])
    routing.learn([[1, 1, 4, "b:1"], [2, -1, 0, ""]])
    assert routing.leader(1) == (0, 5, "a:1")
    routing.learn([[1, -1, 5, ""]])
    assert routing.leader(1).node == 0
    routing.learn([[1, -1, 6, ""]])
    assert routing.leader(1).node == -1
    routing.learn([[1, 1, 6, "b:1"]])
    assert routing.leader(1) == (1, 6, "b:1")


def test_a_refusal_names_the_leader_or_forgets_it() -> None:
    routing = Routing(["a:1"], 0)
    routing.learn([[1, 0, 5, "a:1"]])
    routing.learn_node(2, "c:1")
    routing.refused(1, 0, 2, 6)
    assert routing.leader(1) == (2, 6, "c:1")
    routing.refused(1, 1, 0, 4)
    assert routing.leader(1).node == 2
    routing.refused(1, 2, -1, 6)
    assert routing.leader(1).node == -1


@pytest.mark.parametrize("told", ["refusal", "of the one that was guessed", "row"])
def test_a_term_that_never_was_hides_no_leader(told: str) -> None:
    """A node told of it, and crashed before its disk knew: seed 402289 of profile swarm. A consumer asked
    around for ever."""
    routing = Routing(["a:1"], 0)
    routing.learn([[1, 0, 3, "a:1"], [9, 1, 1, "b:1"]])
    routing.refused(1, 0, -1, 5)
    assert routing.leader(1) == (-1, 5, "")
    if told == "refusal":
        routing.refused(1, 2, 1, 4)
    elif told == "row":
        routing.learn([[1, 1, 4, "b:1"]])
    else:
        routing.guess(1, 2)
        routing.refused(1, 2, 1, 4)
    assert routing.leader(1) == (1, 4, "b:1")


def test_dials_back_off_and_then_a_proxy_is_due() -> None:
    routing = Routing(["a:1"], 0)
    now = 0
    waits: list[int] = []
    for _ in range(10):
        routing.dial_failed("a:1", now, 1.0)
        waits.append((routing.next_dial_ns("a:1") - now) // MS)
        now = routing.next_dial_ns("a:1")
    assert waits == [20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000]
    assert routing.unreachable("a:1", now)
    routing.dial_worked("a:1")
    assert not routing.unreachable("a:1", now)
    assert routing.may_dial("a:1", now)


def test_two_connections_are_wanted_and_every_seed_gets_its_turn() -> None:
    core = Core(b"s" * 16, ["a:1", "b:1", "c:1"], Options(), 1, 0)
    assert core.wanted() == [("b:1", False), ("c:1", False)]
    core.dial_failed("b:1", 0, 1.0)
    core.dial_failed("c:1", 0, 1.0)
    assert core.wanted()[0] == ("a:1", False)
    for _ in range(3):
        core.dial_failed("a:1", 0, 1.0)
    assert ("a:1", False) not in core.wanted()


@pytest.mark.parametrize(
    "row", [[1, 0, 1], ["1", 0, 1, "a:1"], [1, 0, 1, 5], [1, -2, 1, "a:1"], [1, 0, None, "a:1"]]
)
def test_a_row_of_another_shape_is_refused(row: list[Any]) -> None:
    """An address that is a number would have been dialled."""
    core = Core(b"s" * 16, ["a:1"], Options(), 0, 0)
    link = core.connected("a:1", False, 0)
    with pytest.raises(ProtocolError, match="leaders"):
        core.receive(link, wire.pack(wire.Leaders([row])), 1)


def test_a_proxy_that_cannot_pass_it_on_is_not_the_only_one_asked() -> None:
    """A node whose disk hangs has no replica yet, and knows no leader, as long as it hangs: seed 703834 of
    profile swarm."""
    core = Core(b"s" * 16, ["a:1", "b:1"], Options(proxy=True), 0, 0)
    links = [core.connected(address, True, 0) for address in ("a:1", "b:1")]
    for node, link in enumerate(links):
        core.receive(link, wire.pack(wire.Welcome(1, b"c", node, link.address, [], {})), 0)
    core.request(4, wire.Info(0, 4, 7))
    lane, now, asked = core.lanes[4], 0, list[str]()
    for _ in range(4):
        taken = lane.link
        assert taken is not None
        asked.append(taken.address)
        core.output(taken)
        (rid,) = taken.pending
        core.receive(taken, wire.pack(wire.Failed(rid, "not_leader", "no replica yet", {"leader": -1})), now)
        now += HOLD_NS
        core.tick(now)
    assert asked == ["a:1", "b:1", "a:1", "b:1"]


def test_a_group_that_fills_the_connection_lets_the_others_write() -> None:
    """Two groups that one node leads: a producer of the first has more than a write takes each time."""
    core = Core(b"s" * 16, ["a:1"], Options(), 0, 0)
    link = core.connected("a:1", False, 0)
    leaders = [[group, 0, 1, "a:1"] for group in (1, 2)]
    core.receive(link, wire.pack(wire.Welcome(1, b"c" * 16, 0, "a:1", leaders, {"groups": 2})), 1)
    busy, other = (core.stream(group, "q", group, Identity(b"p" * 16, 0)) for group in (1, 2))
    large = [random.Random(1).randbytes(ROOM_BYTES)]
    for stream in (busy, other):
        stream.add_parcel(large, None)
    core.output(link)  # Begin, twice
    core.receive(link, wire.pack(wire.Reply(1, [0, 0])) + wire.pack(wire.Reply(2, [0, 0])), 1)
    for _ in range(2):
        busy.add_parcel(large, None)
        core.output(link)
    assert other.parcels
    assert not other.gathering
