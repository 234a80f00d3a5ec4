"""A few at once, a bounded line behind them."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from haqactor.nodes.admission import Admission


async def test_in_the_order_of_coming_within_bounds() -> None:
    """A place that becomes free goes to the first in the line, and one in the line is free then."""
    admission = Admission(2, 1)
    inside: list[int] = []
    gates = [trio.Event() for _ in range(4)]

    async def come(number: int) -> None:
        async with admission.place():
            inside.append(number)
            await gates[number].wait()

    async with trio.open_nursery() as nursery:
        for number in range(3):
            assert admission.ask()
            nursery.start_soon(come, number)
            await wait_all_tasks_blocked()
        assert not admission.ask()
        assert inside == [0, 1]
        gates[1].set()
        await wait_all_tasks_blocked()
        assert inside == [0, 1, 2]
        assert admission.ask()
        assert not admission.ask()
        nursery.start_soon(come, 3)
        for gate in gates:
            gate.set()
    assert inside == [0, 1, 2, 3]


async def test_who_fails_or_leaves_the_line_gives_its_place_back() -> None:
    """However it ends."""
    admission = Admission(1, 1)
    assert admission.ask()
    with pytest.raises(ValueError, match="what"):
        async with admission.place():
            raise ValueError("what")
    assert admission.ask()
    assert admission.ask()
    async with admission.place():
        with trio.CancelScope() as scope:
            scope.cancel()
            async with admission.place():
                raise AssertionError("it was never its turn")
        assert admission.ask()
        assert not admission.ask()
