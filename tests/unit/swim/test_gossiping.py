"""How news spreads: to whom, how often, and whole tables."""

from haqactor.swim.config import SwimConfig
from haqactor.swim.member import Status
from haqactor.swim.messages import Gossip, Pull, Rumour
from haqactor.swim.packet import STREAM_BYTES_MAX
from tests.builders.swim_cluster import CLUSTER, address_of, key_of, member
from tests.builders.swim_core import FIRST, Solo


def test_news_goes_to_a_few_and_stops() -> None:
    solo = Solo(8)
    solo.run(3)
    solo.clear()
    solo.hear(1, Gossip(), Rumour(member(9, FIRST)))
    solo.run(3)
    gossip = [sent for sent in solo.of(Gossip) if any(r.member.node == 9 for r in sent.packet.rumours)]
    moments = sorted({sent.at_ns for sent in gossip})
    assert len([sent for sent in gossip if sent.at_ns == moments[0]]) == 3
    everything = [sent for sent in solo.sent if any(r.member.node == 9 for r in sent.packet.rumours)]
    assert len([sent for sent in everything if not sent.stream]) == 8  # 4 x ceil(log10(10 + 1))


def test_the_newly_dead_are_told() -> None:
    solo = Solo(1, config=SwimConfig(gossip_nodes=10))
    solo.hear(1, Gossip(), Rumour(member(5, FIRST)))
    solo.hear(1, Gossip(), Rumour(member(5, FIRST, Status.DEAD)))
    solo.clear()
    solo.run(0.3)
    to_it = [sent for sent in solo.of(Gossip) if sent.to == address_of(5)]
    assert to_it
    assert to_it[0].packet.rumours[0].member == member(5, FIRST, Status.DEAD)


def test_tables_are_exchanged_now_and_then() -> None:
    solo = Solo(3)
    for _ in range(100):
        solo.answer(solo.until_ping())
    pulls = [sent for sent in solo.of(Pull) if sent.stream]
    assert 3 <= len(pulls) <= 4
    assert {rumour.member.key for rumour in pulls[0].packet.rumours} == {
        key_of(number) for number in range(4)
    }


def test_the_never_heard_are_told_to_nobody() -> None:
    solo = Solo(3, heard=False)
    solo.hear(1, Gossip(), Rumour(member(1, FIRST)))
    reply = solo.ask(1, Pull())
    assert {rumour.member.node for rumour in reply.rumours} == {0, 1}


def test_a_long_table_goes_in_parts() -> None:
    solo = Solo(0)
    for number in range(1, 801):
        meta = bytes(256)
        solo.hear(1, Gossip(), Rumour(member(number, FIRST, Status.ALIVE, meta)))
    seen: dict[bytes, bool] = {}
    for _ in range(3):
        packet = solo.ask(1, Pull())
        assert packet.rumours[0].member == solo.core.me
        seen.update((rumour.member.key, True) for rumour in packet.rumours)
    assert len(seen) == 801


def test_packets_stay_within_their_bounds() -> None:
    """The builder decodes with packet_bytes_max and STREAM_BYTES_MAX as bounds."""
    assert STREAM_BYTES_MAX == 256 * 1024
    assert len(CLUSTER) == 16
    solo = Solo(3)
    for number in range(10, 60):
        solo.hear(1, Gossip(), Rumour(member(number, FIRST, Status.SUSPECT, bytes(256)), key_of(1)))
    solo.run(2)
    assert max(len(sent.packet.rumours) for sent in solo.of(Gossip)) >= 3


def test_goodbyes_reach_many_at_once() -> None:
    solo = Solo(10)
    solo.clear()
    solo.core.leave(solo.now_ns)
    solo.collect()
    told = [
        sent for sent in solo.of(Gossip) if any(r.member.status is Status.LEFT for r in sent.packet.rumours)
    ]
    assert len(told) >= 4
    assert solo.core.me.status is Status.LEFT
    solo.clear()
    solo.run(30)
    assert {type(sent.message) for sent in solo.sent} <= {Gossip}


def test_alone_nothing_is_kept_to_be_told() -> None:
    solo = Solo(0)
    solo.run(1)
    solo.core.update(meta=b"x", now_ns=solo.now_ns)
    solo.run(1)
    assert solo.core.next_ns() > solo.now_ns
    assert solo.sent == []
