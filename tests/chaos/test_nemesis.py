"""What a fault does to which links, who its victims are, and that it ends."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from tests.chaos.conditions import CALM, Condition, Mode, Way
from tests.chaos.nemesis import CUT, STALL, Nemesis
from tests.chaos.plan import LEADER, Fault, draw
from tests.chaos.relay import Relay
from tests.chaos.topology import Pair, free_ports, lay_out

NODES, HOSTS = ("n0", "n1", "n2"), ("c0",)
SILENT = Condition(STALL, STALL)
MUTE, DEAF = Condition(STALL), Condition(back=STALL)


def a_relay() -> Relay:
    """Of three nodes and a host; it does not run."""
    ports = free_ports(range(0))
    return Relay(lay_out({name: next(ports) for name in NODES}, HOSTS, ports))


async def nobody() -> str | None:
    return None


def nemesis(relay: Relay, leader: Callable[[], Awaitable[str | None]] = nobody) -> Nemesis:
    async def crash(_name: str, back: trio.Event) -> None:
        await back.wait()

    return Nemesis({}, relay, trio.current_time, leader, crash)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cut", {("n0", "n1"): CUT, ("n1", "n0"): CUT}),
        ("cut_one_way", {("n0", "n1"): CUT}),
        ("stall", {("n0", "n1"): MUTE, ("n1", "n0"): DEAF}),
        ("split", dict.fromkeys([("n0", "n2"), ("n2", "n0"), ("n1", "n2"), ("n2", "n1")], SILENT)),
        (
            "deafen",
            {
                ("n0", "n1"): DEAF,
                ("n1", "n0"): MUTE,
                ("n0", "n2"): DEAF,
                ("n2", "n0"): MUTE,
                ("c0", "n0"): MUTE,
            },
        ),
        (
            "mute",
            {
                ("n0", "n1"): MUTE,
                ("n1", "n0"): DEAF,
                ("n0", "n2"): MUTE,
                ("n2", "n0"): DEAF,
                ("c0", "n0"): DEAF,
            },
        ),
    ],
)
def test_which_links_a_fault_concerns(kind: str, expected: dict[Pair, Condition]) -> None:
    assert nemesis(a_relay()).conditions(Fault(0, 1, kind, ("n0", "n1")), ["n0", "n1"]) == expected


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("isolate", Mode.CUT), ("silence", Mode.STALL), ("delay", Mode.DELAY), ("reset", Mode.RESET)],
)
def test_some_concern_every_link_of_a_node_both_ways(kind: str, mode: Mode) -> None:
    relay = a_relay()
    found = nemesis(relay).conditions(Fault(0, 1, kind, ("n0",), 0.5), ["n0"])
    assert found.keys() == {pair for pair in relay.topology.pairs if "n0" in pair}
    assert {way.mode for each in found.values() for way in (each.there, each.back)} == {mode}


def test_every_kind_of_the_network_is_known_and_no_other() -> None:
    it = nemesis(a_relay())
    for fault in draw(1, 2000, NODES, HOSTS):
        if fault.kind in (
            "cut",
            "cut_one_way",
            "isolate",
            "silence",
            "deafen",
            "mute",
            "stall",
            "delay",
            "reset",
        ):
            assert it.conditions(fault, ["n0", "n1"])
    with pytest.raises(ValueError, match="flood"):
        it.conditions(Fault(0, 1, "flood", ("n0",)), ["n0"])


async def test_a_fault_of_the_leader_hits_who_leads_and_ends(autojump_clock: trio.abc.Clock) -> None:
    relay = a_relay()

    async def leader() -> str | None:
        return "n2"

    it = nemesis(relay, leader)
    began = trio.current_time()
    plan = [Fault(began + 1, 2, "isolate", (LEADER,)), Fault(began + 2, 2, "delay", ("n2",), 0.5)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.follow, plan, nursery)
        await trio.sleep(1.5)
        assert relay.condition(("n2", "n0")) == relay.condition(("c0", "n2")) == CUT
        assert relay.condition(("n0", "n1")) == CALM
        await trio.sleep(2)
        late = Way(Mode.DELAY, 0.255)
        assert relay.condition(("n2", "n0")) == Condition(late, late)
    assert all(relay.condition(pair) == CALM for pair in relay.topology.pairs)
    assert it.fired == {"isolate": 1, "delay": 1}
    assert [(span.lane, span.kind, round(span.to_s - span.from_s, 3)) for span in it.spans] == [
        ("n2", "isolate", 2.0),
        ("n2", "delay", 2.0),
    ]


async def test_a_fault_without_a_victim_is_missed(autojump_clock: trio.abc.Clock) -> None:
    it = nemesis(a_relay())
    async with trio.open_nursery() as nursery:
        await it.follow([Fault(0, 1, "isolate", (LEADER,))], nursery)
    assert (it.fired, it.missed, it.spans) == ({}, 1, [])
