"""The tail cache against a plain model."""

from hypothesis import given
from hypothesis import strategies as st

from haqactor.ids import GroupId, Index
from haqactor.journal import TailCache
from tests.builders.journal_bench import entry

G = GroupId(1)


def test_the_oldest_goes_first_whatever_its_group() -> None:
    size = entry(1, 1).size
    cache = TailCache(3 * size)
    assert [cache.put(entry(group, 1)) for group in (1, 2, 3)] == [(), (), ()]
    assert cache.put(entry(1, 2)) == ((1, 1),)
    assert cache.get(G, Index(1)) is None
    assert cache.get(GroupId(2), Index(1)) is not None
    assert (cache.hits, cache.misses, cache.evicts, cache.bytes) == (1, 1, 1, 3 * size)


def test_a_range_is_whole_or_nothing() -> None:
    cache = TailCache(1 << 20)
    for index in range(3, 8):
        cache.put(entry(1, index))
    found = cache.range(G, Index(4), Index(6))
    assert found is not None
    assert [each.index for each in found] == [4, 5, 6]
    assert cache.range(G, Index(2), Index(6)) is None


Step = tuple[str, int, int]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "put", "put", "cut", "drop"]), st.integers(1, 3), st.integers(1, 12)
        )
    )
)
def test_it_never_holds_more_than_it_may_nor_anything_overwritten(steps: list[Step]) -> None:
    cache = TailCache(1000)
    model: dict[tuple[int, int], bytes] = {}
    for number, (what, group, index) in enumerate(steps):
        if what == "put":
            new = entry(group, index, number + 1, size=number % 200)
            model[group, index] = new.frame
            cache.put(new)
        elif what == "cut":
            cache.truncate(GroupId(group), Index(index))
            model = {key: frame for key, frame in model.items() if key[0] != group or key[1] < index}
        else:
            cache.drop(GroupId(group))
            model = {key: frame for key, frame in model.items() if key[0] != group}
        held = {key: cache.get(GroupId(key[0]), Index(key[1])) for key in model}
        sizes = [each.size for each in held.values() if each is not None]
        assert cache.bytes == sum(sizes) <= 1000
        assert all(each is None or each.frame == model[key] for key, each in held.items())
