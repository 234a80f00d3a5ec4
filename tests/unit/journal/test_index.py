"""The index against a plain dict: appends, overwrites, truncation, swaps, terms."""

from hypothesis import given
from hypothesis import strategies as st

from haqactor.ids import Index
from haqactor.journal.files import DataFile
from haqactor.journal.index import GroupIndex, normalized, overlapping
from tests.builders.memory_disk import Inode, MemoryDisk, MemoryFile

FILES = [DataFile(MemoryFile(MemoryDisk(), f"f{number}", Inode()), number, 0) for number in range(3)]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6), st.integers(0, 2)), max_size=30), st.data())
def test_it_finds_what_a_dict_finds(steps: list[tuple[int, int, int]], data: st.DataObject) -> None:
    index = GroupIndex()
    model: dict[int, tuple[int, int]] = {}
    place, term = 0, 0
    for back, count, file in steps:
        first = max(1, index.last_index + 1 - (back if back < 8 else 0))
        if first <= index.last_index or file == 0:
            term += 1
        term = max(term, 1)
        model = {each: value for each, value in model.items() if each < first}
        places = list(range(place, place + count))
        place += count
        index.append(FILES[file], first, places, [1] * count, [(first, term)])
        model.update({first + row: (places[row], term) for row in range(count)})
    found = {
        where.log_index: (where.place, index.term_at(where.log_index)) for where in index.locate(1, 1000)
    }
    assert found == model
    assert index.last_index == max(model, default=0)
    first, last = sorted((data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))))
    part = [where.log_index for where in index.locate(first, last)]
    assert part == [each for each in model if first <= each <= last]
    runs = index.runs_above(Index(first - 1))
    terms = dict.fromkeys(model[each][1] for each in model if each >= first)
    assert [run[1] for run in runs] == list(terms)
    index.drop_upto(Index(first))
    assert [where.log_index for where in index.locate(1, 1000)] == [each for each in model if each > first]


RANGES = st.lists(
    st.tuples(st.integers(1, 50), st.integers(1, 50)).map(lambda pair: (Index(pair[0]), Index(pair[1])))
)


@given(RANGES, st.integers(1, 50), st.integers(1, 50))
def test_ranges_are_sets_of_indexes(ranges: list[tuple[Index, Index]], first: int, last: int) -> None:
    wanted = {each for low, high in ranges for each in range(low, high + 1)}
    joined = normalized(ranges)
    assert {each for low, high in joined for each in range(low, high + 1)} == wanted
    assert all(joined[row][1] + 1 < joined[row + 1][0] for row in range(len(joined) - 1))
    part = {each for low, high in overlapping(joined, first, last) for each in range(low, high + 1)}
    assert part == {each for each in wanted if first <= each <= last}
