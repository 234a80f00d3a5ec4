"""What becomes of datagrams on their way: shares are met, cuts and clogs tell, and streams do not notice."""

from dataclasses import replace
from itertools import pairwise
from zlib import crc32

import pytest
import trio

from haqactor.sim.network import LinkSettings, SimNetwork
from haqactor.sim.network.packets import FLYING_MAX
from haqactor.sim.network.partitions import apply
from haqactor.sim.report.frames import Frames
from haqactor.sim.report.html import page
from haqactor.sim.report.story import tell
from tests.builders.failed_run import example_artefact, example_trace
from tests.unit.sim.network.net import MS, PLAIN, Net, S

COUNT = 4000


def hear(net: Net, name: str = "b") -> None:
    """Switch a host on that writes down what comes to its port 1, by the machine that sent it."""

    async def main(network: SimNetwork) -> None:
        port = await network.datagrams(f"{name}:1")
        while True:
            data, _sender = await port.receive()
            net.put(0, data)

    net.start(name, main)


def send(net: Net, count: int = COUNT, *, name: str = "a", to: str = "b:1", gap_ns: int = MS // 10) -> None:
    """Switch a host on that sends numbered packets."""

    async def main(network: SimNetwork) -> None:
        port = await network.datagrams(f"{name}:2")
        for number in range(count):
            await port.send(number.to_bytes(4, "big"), to)
            if gap_ns:
                await trio.sleep(gap_ns / S)

    net.start(name, main)


def heard(net: Net) -> list[int]:
    """The numbers of all packets that came."""
    return [int.from_bytes(heard.what, "big") for heard in net.heard if isinstance(heard.what, bytes)]


def whole(settings: LinkSettings, seed: int = 1, count: int = COUNT) -> tuple[list[int], dict[str, int], str]:
    """What of many packets came, what fired, and the trace's digest."""
    with Net("a", "b", seed=seed, settings=settings) as net:
        hear(net)
        net.run(1)
        send(net, count)
        net.run(count // 8 + 1000)
        return heard(net), dict(net.fabric.counts), net.world.trace.digest()


def test_a_plain_link_loses_nothing_and_keeps_the_order() -> None:
    """After its delay."""
    with Net("a", "b") as net:
        hear(net)
        net.run(1)
        send(net, 3, gap_ns=MS)
        net.run(10)
        assert [heard.at_ms for heard in net.heard] == pytest.approx([2, 3, 4])
        assert heard(net) == [0, 1, 2]
        assert net.fabric.counts == {}


def test_losses_come_near_their_share() -> None:
    """And are counted, each with a drop in the trace."""
    got, counts, _digest = whole(replace(PLAIN, datagram_loss_share=0.1))
    assert 0.08 * COUNT < counts["datagram_loss"] < 0.12 * COUNT
    assert len(got) == COUNT - counts["datagram_loss"]
    assert list(counts) == ["datagram_loss"]


def test_doubles_come_near_their_share() -> None:
    """Each twice, none more often."""
    got, counts, _digest = whole(replace(PLAIN, datagram_duplicate_share=0.1))
    assert 0.08 * COUNT < counts["datagram_duplicate"] < 0.12 * COUNT
    assert len(got) == COUNT + counts["datagram_duplicate"]
    assert {got.count(number) for number in range(100)} == {1, 2}
    assert list(counts) == ["datagram_duplicate"]


def test_what_is_held_back_is_overtaken() -> None:
    """It counts when it is."""
    got, counts, _digest = whole(replace(PLAIN, datagram_reorder_share=0.1))
    assert sorted(got) == list(range(COUNT))
    overtaken = sum(max(got[:place], default=-1) > number for place, number in enumerate(got))
    assert 0.07 * COUNT < overtaken < 0.12 * COUNT
    assert counts == {"datagram_reorder": overtaken}


def test_uneven_delays_reorder_too_and_are_no_fault() -> None:
    """As in any network."""
    got, counts, _digest = whole(replace(PLAIN, delay_mean_ns=MS))
    assert sorted(got) == list(range(COUNT))
    assert any(left > right for left, right in pairwise(got))
    assert counts == {}


def test_damage_is_one_bit() -> None:
    """Which a checksum catches."""
    with Net("a", "b", settings=replace(PLAIN, datagram_corrupt_share=0.2)) as net:
        body = bytes(range(64))
        packet = crc32(body).to_bytes(4, "big") + body

        async def main(network: SimNetwork) -> None:
            port = await network.datagrams("a:2")
            for _ in range(1000):
                await port.send(packet, "b:1")
                await port.send(b"", "b:1")
                await trio.sleep(0.0001)

        hear(net)
        net.run(1)
        net.start("a", main)
        net.run(500)
        got = [heard.what for heard in net.heard if isinstance(heard.what, bytes) and heard.what]
        wrong = [data for data in got if crc32(data[4:]) != int.from_bytes(data[:4], "big")]
        assert len(got) == 1000
        assert 140 < len(wrong) == net.fabric.counts["datagram_corrupt"] < 260
        for data in wrong:
            difference = int.from_bytes(data, "big") ^ int.from_bytes(packet, "big")
            assert difference.bit_count() == 1
        places = {int.from_bytes(data, "big") ^ int.from_bytes(packet, "big") for data in wrong}
        assert len(places) > 80


STORMY = LinkSettings(
    datagram_loss_share=0.1,
    datagram_duplicate_share=0.1,
    datagram_reorder_share=0.1,
    datagram_corrupt_share=0.1,
)


def test_one_seed_is_one_history() -> None:
    """And another seed another one; everything happens."""
    got, counts, digest = whole(STORMY, 5, 400)
    assert whole(STORMY, 5, 400) == (got, counts, digest)
    assert whole(STORMY, 6, 400)[2] != digest
    assert sorted(counts) == [
        *("datagram_corrupt", "datagram_duplicate", "datagram_loss", "datagram_reorder"),
    ]


def test_streams_fare_the_same_beside_datagrams() -> None:
    """On one link, whatever it draws for either."""

    def stream_of(datagrams: bool) -> list[tuple[float, bytes | str]]:
        settings = replace(STORMY, bandwidth=0, clog_share=0.05, clog_mean_ns=5 * MS, reset_share=0.01)
        with Net("a", "b", settings=settings) as net:
            net.listen()
            net.run(1)

            async def main(network: SimNetwork) -> None:
                stream = await network.dial("b:1")
                port = await network.datagrams("a:2")
                for number in range(50):
                    if datagrams:
                        await port.send(b"beside", "b:1")
                    stream.send_now(bytes([number]) * 100)
                    await trio.sleep(0.01)

            net.start("a", main)
            net.run(2000)
            return [(heard.at_ms, heard.what) for heard in net.heard]

    alone = stream_of(datagrams=False)
    assert len(alone) > 20
    assert stream_of(datagrams=True) == alone


@pytest.mark.parametrize(
    ("cut", "there", "back"),
    [
        (("one_way", ["a"], ["b"]), False, True),
        (("one_way", ["b"], ["a"]), True, False),
        (("partition", [["a"], ["b"]]), False, False),
        (("mute", "a"), False, True),
        (("deafen", "a"), True, False),
    ],
)
def test_a_cut_loses_them_for_good(cut: tuple[object, ...], there: bool, back: bool) -> None:
    """In the direction that is cut, also those under way; after it they pass again."""
    with Net("a", "b") as net:
        hear(net, "a")
        hear(net, "b")
        net.run(1)
        ports = [net.fabric.machines[name].stack for name in ("a", "b")]
        assert None not in ports

        def both(data: bytes) -> None:
            for stack, to in zip(ports, ("b", "a"), strict=True):
                assert stack is not None
                net.fabric.post(data + to.encode(), stack, 1, net.fabric.machines[to], 1)

        both(b"under way to ")
        apply(net.fabric, str(cut[0]), *cut[1:])
        both(b"to ")
        net.run(5)
        apply(net.fabric, "heal")
        net.run(1000)
        passed = [name for name, open_ in (("b", there), ("a", back)) if open_]
        wanted = [f"{what}to {name}".encode() for what in ("under way ", "") for name in passed]
        assert [heard.what for heard in net.heard] == wanted
        assert net.fabric.counts["cut"] == 2 * (not there) + 2 * (not back)
        both(b"again to ")
        net.run(5)
        assert [heard.what for heard in net.heard][len(wanted) :] == [b"again to b", b"again to a"]


@pytest.mark.parametrize("early", [False, True])
def test_a_clog_holds_them_back(early: bool) -> None:
    """All that come meanwhile, until it is over, or ended."""
    with Net("a", "b") as net:
        hear(net)
        net.run(1)
        apply(net.fabric, "clog", "a", "b", 50 * MS)
        send(net, 5, gap_ns=MS)
        net.run(20)
        assert net.heard == []
        if early:
            apply(net.fabric, "unclog")
        net.run(31)
        assert [heard.at_ms for heard in net.heard] == pytest.approx([21.0 if early else 51.0] * 5)
        assert heard(net) == list(range(5))


def test_what_a_clog_held_may_be_lost_to_a_cut() -> None:
    """That lasts longer."""
    with Net("a", "b") as net:
        hear(net)
        net.run(1)
        apply(net.fabric, "clog", "a", "b", 50 * MS)
        send(net, 5, gap_ns=MS)
        net.run(20)
        apply(net.fabric, "isolate", "b")
        net.run(50)
        apply(net.fabric, "heal")
        net.run(1000)
        assert net.heard == []
        assert net.fabric.counts["cut"] == 5


def test_only_so_many_are_on_their_way() -> None:
    """The others are lost as from a full queue, which is no fault."""
    with Net("a", "b") as net:
        hear(net)
        net.run(1)
        apply(net.fabric, "clog", "a", "b", 50 * MS)
        send(net, FLYING_MAX + 10, gap_ns=1000)
        net.run(49)
        assert [event.data[-1] for event in net.events("drop")] == ["full"] * 10
        assert "full" not in net.fabric.counts


def test_bandwidth_is_shared_with_streams() -> None:
    """A packet leaves when it is its turn; one that had not left when its machine lost power never does."""
    with Net("a", "b", settings=replace(PLAIN, bandwidth=1_000_000)) as net:
        hear(net)
        net.run(1)

        async def main(network: SimNetwork) -> None:
            port = await network.datagrams("a:2")
            for _ in range(3):
                await port.send(bytes(10_000), "b:1")

        net.start("a", main)
        net.world.call_at(22 * MS, net.world.hosts["a"].crash)
        net.run(100)
        assert [heard.at_ms for heard in net.heard] == pytest.approx([12, 22])
        assert net.fabric.counts["gone"] == 1


def test_calm_links_lose_nothing() -> None:
    """For ever."""
    with Net("a", "b", settings=replace(STORMY, datagram_loss_share=0.9)) as net:
        apply(net.fabric, "calm", ["a", "b"])
        hear(net)
        net.run(1)
        send(net, 200)
        net.run(100)
        assert sorted(heard(net)) == list(range(200))


def test_a_machine_hears_itself() -> None:
    """Whatever goes wrong between machines."""
    with Net("a", settings=replace(STORMY, datagram_loss_share=1.0)) as net:
        apply(net.fabric, "isolate", "a")

        async def main(network: SimNetwork) -> None:
            port = await network.datagrams("localhost:1")
            await port.send(b"me", "127.0.0.1:1")
            data, sender = await port.receive()
            assert (data, sender) == (b"me", "a:1")

        net.start("a", main)
        net.run(10)
        assert net.ended == ["a"]


def test_the_report_draws_them() -> None:
    """An arrow for each copy, a lost one too, named as what they are."""
    with Net("a", "b", settings=replace(PLAIN, datagram_loss_share=0.3, datagram_duplicate_share=0.3)) as net:
        hear(net)
        net.run(1)
        send(net, 40)
        net.run(100)
        events = net.world.trace.events
        story = tell(events, describe=Frames(events, net.world.trace.bodies))
        sent = net.events("send")
        fates = [[events[number].kind for number in story.fates[event.number]] for event in sent]
        assert sorted({tuple(fate) for fate in fates}) == [("drop",), ("recv",), ("recv", "recv")]
        label, text = story.words(sent[0].number)
        assert (label, text) == ("datagram", "4 B, datagram, 2>1")
        lost = next(event for event in net.events("drop"))
        assert story.words(lost.number)[1].startswith("datagram_loss: 4 B")
        failed = replace(example_artefact(example_trace()), event=lost.number, records=())
        assert "datagram_loss: 4 B, datagram" in page(failed, events)
