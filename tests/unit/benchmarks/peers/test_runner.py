"""Which peers and rows are asked for, and what is said of those that cannot be measured."""

import pytest

from benchmarks.peers import places
from benchmarks.peers.__main__ import chosen
from benchmarks.peers.registry import PEERS
from benchmarks.peers.rows import PROGRAMS, measure, program_of
from benchmarks.programs import PROGRAMS as OURS
from benchmarks.run import measured_twice, skipped

NAMES = (
    *(
        "rabbitmq-quorum",
        "nats-r3",
        "nats-r3-always",
        "redis-wait1-always",
        "redis-wait1-everysec",
        "pysyncobj",
    ),
    *("aio-pika", "nats-py", "redis-py"),
)


def test_the_names_are_fixed() -> None:
    assert tuple(PEERS) == NAMES


def test_rows_have_the_names_of_ours() -> None:
    for name, (figures, _) in PROGRAMS.items():
        if name in OURS:
            assert set(figures) <= set(OURS[name][0])


def test_every_row_of_a_peer_exists_and_has_a_peer() -> None:
    assert {row for peer in PEERS.values() for row in peer.programs} == set(PROGRAMS)


def test_all_unless_some_are_named() -> None:
    peers, rows = chosen([], [])
    assert [peer.name for peer in peers] == list(PEERS)
    assert rows == list(PROGRAMS)
    peers, rows = chosen(["nats-py", "pysyncobj"], ["confirm_p99_ms", "publish"])
    assert [peer.name for peer in peers] == ["pysyncobj", "nats-py"]
    assert rows == ["publish", "latency"]


@pytest.mark.parametrize(("only", "rows"), [(["kafka"], []), ([], ["publish_1B"])])
def test_unknown_names_are_refused(only: list[str], rows: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"unknown: .*; known are "):
        chosen(only, rows)


def test_a_figure_means_its_row() -> None:
    assert program_of("rss_idle_mb") == program_of("start") == "start"
    with pytest.raises(KeyError):
        program_of("nothing")


def test_one_figure_for_both_is_measured_once() -> None:
    rabbitmq, nats = PEERS["rabbitmq-quorum"], PEERS["nats-r3"]
    assert measured_twice(rabbitmq, "publish-single", ["publish", "publish-single"])
    assert not measured_twice(rabbitmq, "publish-single", ["publish-single"])
    assert not measured_twice(rabbitmq, "publish", ["publish", "publish-single"])
    assert not measured_twice(nats, "publish-single", ["publish", "publish-single"])


async def test_what_is_not_installed_is_named_and_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(parts: tuple[str, ...]) -> list[str]:
        return [part for part in parts if part == "nats-server"]

    monkeypatch.setattr(places, "missing", lacking)
    absent = skipped([PEERS["nats-r3"], PEERS["pysyncobj"]])
    assert list(absent) == ["nats-r3"]
    assert "nats-server; make bench-peers-install" in absent["nats-r3"]
    assert await measure("nats-r3", "publish") is None
    assert await measure("pysyncobj", "publish-await") is None
