"""The fault atlas: what it lets through stays survivable, and only a loud end is excused."""

from itertools import permutations

import pytest

from haqactor.errors import Conflict, DataDamaged, InvariantViolation, StorageFailed
from haqactor.sim.atlas import BINDING, Atlas

THREE = ("n0", "n1", "n2")
FIVE = ("n0", "n1", "n2", "n3", "n4")


def hurt(atlas: Atlas, name: str) -> bool:
    """Damage a node, if that is allowed."""
    allowed = atlas.may_damage(name)
    if allowed:
        atlas.damaged(name, "bit_rot")
    return allowed


@pytest.mark.parametrize(("names", "spared"), [(("n0",), 0), (THREE, 1), (FIVE, 2)])
def test_fewer_are_damaged_than_a_quorum_needs(names: tuple[str, ...], spared: int) -> None:
    for order in list(permutations(names))[:20]:
        atlas = Atlas(names)
        assert [hurt(atlas, name) for name in order] == [True] * spared + [False] * (len(names) - spared)
        assert tuple(atlas.lost) == order[:spared]
        assert all(hurt(atlas, name) for name in order[:spared])
        assert not atlas.exceeded
        assert atlas.binds("S1")


def test_beyond_it_a_suspect_and_a_loss_may_stop_a_group_but_lose_nothing() -> None:
    atlas = Atlas(THREE, bounded=False)
    atlas.damaged("n1", "wipe", wipe=True)
    assert atlas.binds("L1")
    atlas.tore("n0")
    assert [name for name in ("S1", "S5", "L1", "L3") if atlas.binds(name)] == ["S1", "S5"]
    atlas.settle(lambda name: name == "n0")
    assert atlas.binds("L1")


def test_beyond_it_everything_goes_but_for_one_disk() -> None:
    atlas = Atlas(THREE, bounded=False)
    for name in THREE:
        assert hurt(atlas, name)
    assert atlas.exceeded
    assert [name for name in ("S1", "S2", "S12", "L3") if atlas.binds(name)] == ["S2", "S12"]
    assert [name for name in THREE if atlas.may_damage(name, wipe=True)] == list(THREE)
    atlas.damaged("n0", "wipe", wipe=True)
    atlas.damaged("n1", "wipe", wipe=True)
    assert atlas.may_damage("n0", wipe=True) is True
    assert atlas.may_damage("n2", wipe=True) is False


def test_who_is_torn_cannot_be_spared_beside_the_lost() -> None:
    """A suspect is cured by a majority without it, or by all: with one lost there is neither."""
    atlas = Atlas(THREE)
    assert all(atlas.may_tear(name) for name in THREE)
    atlas.tore("n1")
    assert not atlas.may_damage("n0")
    assert atlas.may_damage("n1")
    atlas.settle(lambda name: name == "n1")
    assert hurt(atlas, "n0")
    assert [name for name in THREE if atlas.may_tear(name)] == ["n0"]


def test_what_may_be_torn_any_time_stays_shaken() -> None:
    atlas = Atlas(THREE)
    atlas.arm("n1")
    atlas.settle(lambda _name: True)
    assert list(atlas.shaken) == ["n1"]
    atlas.disarm("n1")
    atlas.settle(lambda _name: False)
    assert list(atlas.shaken) == ["n1"]
    atlas.settle(lambda _name: True)
    assert list(atlas.shaken) == []


def test_the_core_is_a_quorum_of_those_that_lost_nothing() -> None:
    atlas = Atlas(FIVE)
    assert atlas.core(()) == FIVE
    assert atlas.core(("n4", "n0", "n2")) == ("n0", "n2", "n4")
    assert atlas.core(("n4", "n9")) == ("n0", "n1", "n4")
    atlas.damaged("n0", "bit_rot")
    assert atlas.core(("n0", "n1", "n2")) == ("n0", "n1", "n2", "n3"), "it comes back, and counts for nobody"
    assert atlas.core(("n1", "n2")) == ("n1", "n2", "n3")
    assert atlas.core(()) == FIVE
    atlas.damaged("n0", "wipe", wipe=True)
    assert atlas.core(()) == ("n1", "n2", "n3", "n4")


def test_the_shaken_have_a_majority_of_others_or_everybody() -> None:
    atlas = Atlas(THREE)
    atlas.tore("n0")
    assert atlas.core(("n0", "n1")) == THREE
    atlas.tore("n1")
    assert atlas.core(("n1", "n2")) == THREE


def test_a_loud_end_is_excused_where_the_disk_was_hurt() -> None:
    atlas = Atlas(THREE)
    damaged, refused = DataDamaged("a block is bad"), StorageFailed("no space")
    assert not atlas.excuses("n0", damaged)
    atlas.trouble("n0")
    assert not atlas.excuses("n0", damaged)
    assert atlas.excuses("n0", ExceptionGroup("", [refused, ExceptionGroup("", [refused])]))
    atlas.damaged("n1", "lost_file")
    assert atlas.excuses("n1", damaged)
    assert atlas.excuses("n1", Conflict("unknown disk"))
    assert sorted(atlas.stopped) == ["n0", "n1"]


@pytest.mark.parametrize("error", [KeyError("x"), AssertionError(), InvariantViolation("a bug"), OSError(5)])
def test_any_other_end_is_a_bug(error: Exception) -> None:
    atlas = Atlas(THREE, bounded=False)
    atlas.damaged("n0", "bit_rot")
    assert not atlas.excuses("n0", error)
    assert not atlas.excuses("n0", ExceptionGroup("", [DataDamaged("rot"), error]))


def test_under_lies_only_inventions_count() -> None:
    atlas = Atlas(THREE)
    assert all(atlas.binds(name) for name in (*BINDING, "S1"))
    atlas.lied("n2")
    assert [name for name in (*BINDING, "S1") if atlas.binds(name)] == ["S2"]
