"""Who measures what, in which order, and what is left when a program fails."""

from collections.abc import Awaitable, Callable

import pytest
from rich.console import Console

from benchmarks import programs
from benchmarks.__main__ import chosen
from benchmarks.figures import OURS
from benchmarks.peers.registry import PEERS
from benchmarks.peers.rows import PROGRAMS as PEERS_PROGRAMS
from benchmarks.result import QUICK, BenchmarkWrong, Result
from benchmarks.run import ROWS, Run, Turn, turns_of


def test_every_row_is_run() -> None:
    assert set(ROWS) == {*programs.PROGRAMS, *PEERS_PROGRAMS}
    assert len(ROWS) == len(set(ROWS))


def test_figures_have_one_row_each() -> None:
    names = [figure for figures, _ in programs.PROGRAMS.values() for figure in figures]
    assert len(names) == len(set(names))


def test_entrants_take_turns_row_by_row() -> None:
    turns = turns_of(["publish", "publish-single"], [PEERS["rabbitmq-quorum"], PEERS["nats-r3"]], ours=True)
    assert [(turn.row, turn.entrant) for turn in turns] == [
        ("publish", OURS),
        ("publish", "rabbitmq-quorum"),
        ("publish", "nats-r3"),
        ("publish-single", OURS),
        ("publish-single", "nats-r3"),  # the other's single publishes are its batches
    ]


def test_turns_within_a_row_that_is_measured_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(programs.TIMES, "latency", 2)
    turns = turns_of(["latency"], [PEERS["nats-r3"]], ours=True)
    assert [turn.entrant for turn in turns] == [OURS, "nats-r3", OURS, "nats-r3"]
    assert [turn.entrant for turn in turns_of(["latency"], [PEERS["nats-r3"]], ours=False)] == ["nats-r3"] * 2


def test_the_latency_at_100_a_second_is_the_median_of_five_runs() -> None:
    assert programs.TIMES["latency"] == (1 if QUICK else 5)


def test_a_failure_hides_nothing() -> None:
    async def works() -> list[Result]:
        return [Result("start_s", 1.5, "s")]

    async def fails() -> list[Result]:
        raise BenchmarkWrong("it arrived twice")

    def turn(row: str, program: Callable[[], Awaitable[list[Result]]]) -> Turn:
        return Turn(OURS, "Python", row, program)

    run = Run(Console(stderr=True, quiet=True))
    found = run.measure([turn("publish", fails), turn("start", works)])
    assert [(each.name, each.value) for each in found] == [("start_s", 1.5)]
    assert run.failures == ["haqactor, publish failed: it arrived twice"]


def test_an_interrupt_ends_the_run_and_keeps_what_was_measured() -> None:
    async def works() -> list[Result]:
        return [Result("start_s", 1.5, "s")]

    async def interrupted() -> list[Result]:
        raise KeyboardInterrupt

    run = Run(Console(stderr=True, quiet=True))
    turns = [
        Turn(OURS, "Python", row, program)
        for row, program in (("start", works), ("disk", interrupted), ("start", works))
    ]
    assert [each.value for each in run.measure(turns)] == [1.5]
    assert run.interrupted
    assert not run.failures


def test_a_figure_means_its_program() -> None:
    assert chosen(["confirm_1000_p99_ms", "backlog"]) == ["latency-1000", "backlog"]
    assert chosen([]) == list(programs.PROGRAMS)
    with pytest.raises(SystemExit, match="unknown: brew"):
        chosen(["brew"])
