"""What a file keeps. One rule: every outcome that a real disk may leave is reached, and no other."""

import pytest

from haqactor.sim.disk.fates import SECTOR, Fate, Survival, fates, sectors
from haqactor.sim.disk.inode import Inode
from haqactor.sim.keyed import keyed

SEEDS = range(400)


def inode(size: int = 4 * SECTOR, fill: bytes = b".") -> Inode:
    """A durable file."""
    made = Inode()
    made.write(0, fill * size)
    made.settle(made.last)
    return made


def shape(data: bytes) -> str:
    """The first byte of each sector, if the sector is one piece."""
    found = [data[at : at + SECTOR] for at in range(0, len(data), SECTOR)]
    return "".join(chr(part[0]) if part == part[:1] * len(part) else "?" for part in found)


def test_programs_see_what_is_unsynced_on_top_of_the_medium() -> None:
    file = inode(8, b"a")
    file.write(2, b"bb")
    file.resize(3)
    file.write(5, b"c")
    assert file.read(0, 100) == b"aab\0\0c" == file.truth(0, 100)
    assert (file.read(1, 3), file.read(4, 1), file.read(5, 9), file.read(6, 1)) == (b"ab\0", b"\0", b"c", b"")
    assert file.size == 6
    assert file.medium == b"a" * 8
    file.settle(file.last)
    assert file.read(0, 100) == file.medium == file.sound == b"aab\0\0c"
    file.resize(8)
    assert file.read(0, 100) == b"aab\0\0c\0\0"
    assert file.size == 8


def test_only_what_was_written_before_a_sync_began_is_durable_after_it() -> None:
    file = inode()
    file.write(0, b"1")
    began = file.last
    file.write(1, b"2")
    file.settle(began)
    assert file.medium[:2] == b"1."
    assert (file.durable(0, 1), file.durable(1, 1)) == (True, False)
    file.crash(keyed(1), Survival.NOTHING)
    assert file.read(0, 2) == b"1."


@pytest.mark.parametrize(("survival", "expected"), [("nothing", "...."), ("everything", "12.3")])
def test_a_given_survival(survival: str, expected: str) -> None:
    file = inode()
    for sector, data in ((0, b"1"), (1, b"2"), (3, b"3")):
        file.write(sector * SECTOR, data * SECTOR)
    file.crash(keyed(1), Survival(survival))
    assert shape(file.read(0, 9999)) == expected


def test_every_outcome_of_one_write_is_reached() -> None:
    """All subsets of its sectors, and nothing within a sector."""
    found: dict[str, int] = {}
    for seed in SEEDS:
        file = inode()
        file.write(0, b"w" * 3 * SECTOR)
        file.crash(keyed(seed))
        outcome = shape(file.read(0, 9999))
        found[outcome] = found.get(outcome, 0) + 1
        assert file.read(0, 9999) == file.truth(0, 9999)
        assert not file.damage()
    assert sorted(found) == sorted(a + b + c + "." for a in ".w" for b in ".w" for c in ".w")


def test_what_has_to_be_torn_is_torn() -> None:
    """Every outcome but all and nothing; a single sector cannot be torn."""
    found: dict[str, None] = {}
    for seed in SEEDS:
        file = inode()
        file.write(0, b"w" * 3 * SECTOR)
        assert file.crash(keyed(seed), Survival.TORN) == [Fate.TORN]
        found[shape(file.read(0, 9999))] = None
    every = [a + b + c + "." for a in ".w" for b in ".w" for c in ".w"]
    assert sorted(found) == sorted(each for each in every if each not in ("....", "www."))


def test_every_outcome_of_three_writes_is_reached() -> None:
    """Each kept or dropped by itself, so that a later one may be there without an earlier one."""
    found: dict[str, None] = {}
    for seed in SEEDS:
        file = inode()
        for sector in range(3):
            file.write(sector * SECTOR, b"w" * SECTOR)
        file.crash(keyed(seed))
        found[shape(file.read(0, 9999))] = None
    assert len(found) == 8


def test_a_write_that_grows_a_file_may_leave_any_length() -> None:
    """None of it, a beginning, zeros where data should be, or all."""
    found: dict[bytes, None] = {}
    for seed in SEEDS:
        file = inode(SECTOR)
        file.write(SECTOR, b"w" * 2 * SECTOR)
        file.crash(keyed(seed))
        found[file.read(0, 9999)] = None
        assert file.size == len(file.read(0, 9999))
    assert sorted(shape(each).replace("\0", "0") for each in found) == sorted(
        [".", ".0w", ".00", ".w", ".w0", ".ww"]
    )


def test_a_truncation_is_kept_or_not() -> None:
    sizes: dict[int, None] = {}
    for seed in range(50):
        file = inode()
        file.resize(7)
        file.crash(keyed(seed))
        sizes[file.size] = None
    assert sorted(sizes) == [7, 4 * SECTOR]


def test_a_write_within_a_sector_keeps_its_neighbours() -> None:
    outcomes: dict[bytes, None] = {}
    for seed in range(50):
        file = inode()
        file.write(SECTOR - 2, b"wwww")
        file.crash(keyed(seed))
        outcomes[file.read(SECTOR - 3, 6)] = None
    assert sorted(outcomes) == sorted([b"......", b".ww...", b"...ww.", b".wwww."])


def test_sectors_are_cut_where_they_begin() -> None:
    pieces = sectors(500, b"x" * 600)
    assert [(piece.offset, len(piece.data)) for piece in pieces] == [(500, 12), (512, 512), (1024, 76)]
    assert [(piece.offset, len(piece.data)) for piece in sectors(512, b"x" * 512)] == [(512, 512)]
    assert sectors(5, b"") == []


def test_fates_hang_together_in_every_way() -> None:
    found: dict[tuple[Fate, ...], None] = {}
    for seed in range(3000):
        found[tuple(fates(keyed(seed), 3))] = None
    assert len(found) == 27
    prefixes = dict.fromkeys(tuple(fates(keyed(seed), 2, Survival.PREFIX)) for seed in range(100))
    assert sorted(prefixes) == sorted(
        [(Fate.TORN, Fate.DROPPED), (Fate.KEPT, Fate.TORN), (Fate.KEPT, Fate.KEPT)]
    )


def test_a_promise_is_kept_by_the_truth_alone() -> None:
    file = inode()
    file.write(0, b"p")
    file.promise(file.last)
    file.write(1, b"q")
    assert (file.synced(0, 1), file.durable(0, 1), file.synced(1, 1)) == (True, False, False)
    assert file.read(0, 3) == file.truth(0, 3) == b"pq."
    file.crash(keyed(1), Survival.NOTHING)
    assert (file.read(0, 3), file.truth(0, 3)) == (b"...", b"p..")
    assert file.damage() == [0]
    file.heal()
    assert (file.read(0, 3), file.damage()) == (b"p..", [])


def test_healing_leaves_unsynced_what_was_unsynced() -> None:
    file = inode()
    file.write(0, b"p")
    file.promise(file.last)
    file.write(1, b"q")
    file.heal()
    assert file.read(0, 3) == b"pq."
    assert (file.durable(0, 1), file.durable(1, 1)) == (True, False)
