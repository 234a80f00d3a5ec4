"""Older producers are fenced in groups that the newest one has not touched."""

from haqactor.ids import Index, Term
from haqactor.machine import commands, fencing
from haqactor.machine.directory import DirectoryMachine
from haqactor.machine.epochs import Epochs, producer_id
from haqactor.machine.fencing import Fencing
from tests.builders.queue_group import BEGAN, Group, Q


def open_producers(directory: DirectoryMachine, *names: str) -> None:
    header = commands.encode(BEGAN, [commands.open_producer(name) for name in names])
    directory.apply(Index(directory.index + 1), Term(1), header, 0)


def known(group: Group, *names: str) -> None:
    for name in names:
        assert group.claim(1, 1, producer=producer_id(name), epoch=1) == [[group.next, 1, False]]
        group.next += 1


def rounds(fence: Fencing, group: Group) -> list[int]:
    """Everything that is wanted is applied; how many commands each time."""
    counts: list[int] = []
    while True:
        wanted = fence.wanted()
        counts.append(len(wanted))
        if wanted:
            group.apply(*wanted)
        if not fence.waits:
            return counts


def epochs(group: Group, *names: str) -> list[int]:
    return [group.machine.producers.named[producer_id(name)].epoch for name in names]


def test_those_that_are_opened_again_and_known() -> None:
    group, directory = Group(), DirectoryMachine()
    open_producers(directory, "p", "r")
    known(group, "p", "r")
    fence = Fencing(directory, group.machine)
    assert rounds(fence, group) == [0]
    open_producers(directory, "p", "stranger")
    assert fence.waits
    assert rounds(fence, group) == [1]
    assert epochs(group, "p", "r") == [2, 1]
    assert producer_id("stranger") not in group.machine.producers.named
    refused = group.claim(2, 1, producer=producer_id("p"), epoch=1)
    assert (refused.code, refused.current_token) == ("fenced", 2)


def test_a_new_leader_compares_all_in_bounded_steps() -> None:
    group, directory = Group(), DirectoryMachine()
    names = [f"p{number}" for number in range(fencing.AT_ONCE + 500)]
    known(group, *names)
    open_producers(directory, *names)
    open_producers(directory, *names)
    fence = Fencing(directory, group.machine)
    assert rounds(fence, group) == [fencing.AT_ONCE, 500]
    assert epochs(group, *names) == [2] * len(names)
    open_producers(directory, *names)  # more at once than is looked at one by one
    assert rounds(fence, group) == [fencing.AT_ONCE, 500]
    assert epochs(group, *names) == [3] * len(names)


def test_the_order_of_openings_outlives_a_snapshot() -> None:
    directory, fresh = DirectoryMachine(), DirectoryMachine()
    open_producers(directory, "a")
    open_producers(directory, "b")
    open_producers(directory, "a")
    fresh.restore(directory.snapshot_chunks())
    for machine in (directory, fresh):
        assert machine.epochs.current(producer_id("a")) == 2
        assert machine.epochs.opened_since(Index(2), 10) == [producer_id("a")]
        assert machine.epochs.opened_since(Index(1), 10) == [producer_id("a"), producer_id("b")]
        assert machine.epochs.opened_since(Index(0), 1) is None
        assert machine.epochs.opened_since(Index(3), 0) == []
        assert len(machine.epochs) == 2


def test_rows_without_their_entry() -> None:
    """As they were written before the order was kept."""
    epochs = Epochs()
    epochs.restore([["a", 3]])
    assert epochs.open("a", Index(9)) == (producer_id("a"), 4)


def test_a_queue_is_not_needed() -> None:
    group = Group()
    assert group.apply(commands.producer_epoch(producer_id("p"), 3, 0)) == [[BEGAN + group.now, 0]]
    assert group.claim(1, 1, producer=producer_id("p"), epoch=2, uid=Q).code == "fenced"
