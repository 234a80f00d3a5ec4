"""The table: order, who is live, who is fresh."""

from haqactor.swim.member import Status
from haqactor.swim.table import Record, Table
from tests.builders.swim_cluster import key_of, member


def test_records_are_in_the_order_of_keys() -> None:
    table = Table()
    for number in (3, 1, 2):
        table.add(Record(member(number, 1), 0))
    assert [record.member.node for record in table.records()] == [1, 2, 3]
    table.remove(key_of(2))
    assert [record.member.node for record in table.records()] == [1, 3]
    assert len(table) == 2
    assert table.get(key_of(2)) is None


def test_the_dead_are_not_live_and_are_fresh_when_they_come_back() -> None:
    table = Table()
    record = Record(member(1, 1), 5)
    table.add(record)
    table.add(Record(member(2, 1, Status.DEAD), 5))
    assert list(table.fresh) == [key_of(1)]
    table.fresh.clear()
    assert [live.member.node for live in table.live()] == [1]
    table.change(record, member(1, 1, Status.SUSPECT), 6)
    assert [live.member.node for live in table.live()] == [1]
    assert list(table.fresh) == []
    table.change(record, member(1, 1, Status.DEAD), 7)
    assert table.live() == ()
    table.change(record, member(1, 2), 8)
    assert list(table.fresh) == [key_of(1)]


def test_since_tells_when_the_status_changed() -> None:
    table = Table()
    record = Record(member(1, 1), 5)
    table.add(record)
    table.change(record, member(1, 2), 6)
    assert record.since_ns == 5
    table.change(record, member(1, 2, Status.DEAD), 7)
    assert record.since_ns == 7
