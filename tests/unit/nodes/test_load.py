"""What a node tells of itself: small, readable by other releases, and only when it is news."""

from typing import Any

import pytest

from haqactor import codec
from haqactor.machine.versions import Versions
from haqactor.nodes.load import Load, differs, meta_of, read_meta
from haqactor.swim.member import META_BYTES_MAX


def test_there_and_back() -> None:
    """Also the largest of all fits."""
    load = Load(3, 40, 128, 1)
    assert read_meta(meta_of(load, Versions(1, 2))) == {
        "machine": [1, 2],
        "peer": [1, 1],
        "load": {"leads": 3, "clients": 40, "journal_mb": 128, "health": 1},
    }
    most = (1 << 63) - 1
    assert len(meta_of(Load(most, most, most, most), Versions(most, most))) <= META_BYTES_MAX


@pytest.mark.parametrize(
    "meta",
    [
        b"",
        b"\xff\xff",
        codec.dumps([1, 2]),
        codec.dumps({"machine": [1], "load": [1, 2], "peer": "all"}),
        codec.dumps({"machine": [-1, 2], "load": [1, 2, 3, "x"]}),
    ],
    ids=["empty", "garbage", "no map", "short", "types"],
)
def test_what_cannot_be_read_is_not_told(meta: bytes) -> None:
    assert read_meta(meta) == {}


def test_a_newer_release_may_tell_more() -> None:
    told: dict[str, Any] = {"machine": [1, 9, 7], "load": [1, 2, 3, 4, 5], "moon": "full"}
    read = read_meta(codec.dumps(told))
    assert read["load"] == {"leads": 1, "clients": 2, "journal_mb": 3, "health": 4}
    assert read["machine"] == [1, 9]


@pytest.mark.parametrize(
    ("new", "told", "news"),
    [
        (Load(1), Load(0), True),
        (Load(clients=100), Load(clients=80), False),
        (Load(clients=100), Load(clients=70), True),
        (Load(clients=1), Load(), False),
        (Load(clients=2), Load(), True),
        (Load(journal_mb=64), Load(journal_mb=640), True),
        (Load(health=1), Load(), False),
        (Load(health=2), Load(), True),
    ],
)
def test_news(new: Load, told: Load, news: bool) -> None:
    assert differs(new, told) is news
