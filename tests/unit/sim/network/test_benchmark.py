"""The program that measures the network carries what it says it does."""

from haqactor.sim.bench.network import measure


def test_all_frames_come_back() -> None:
    """The same every time, whatever it costs."""
    one, two = measure(count=50, depth=4), measure(count=50, depth=4)
    assert one.messages == two.messages == 2 * 3 * 50
    assert one.digest == two.digest
    assert measure(count=50, depth=4, seed=2).digest != one.digest
    assert one.rate > 0
