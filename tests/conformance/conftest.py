"""The twins under test. One rule: a kind of twins is added here and nowhere else."""

from collections.abc import Callable

import pytest

from tests.conformance.real_twins import RealTwins
from tests.conformance.sim_twins import SimTwins
from tests.conformance.world import Twins

NETWORK_KINDS: dict[str, Callable[[], Twins]] = {
    "real": RealTwins,
}
KINDS: dict[str, Callable[[], Twins]] = {
    **NETWORK_KINDS,
    "sim": SimTwins,
    "sim-2": lambda: SimTwins(seed=2),
}
DISK_KINDS: dict[str, Callable[[], Twins]] = {
    **KINDS,
    "real-thread": lambda: RealTwins("thread"),
    "real-yield": lambda: RealTwins("yield"),
    "real-inline": lambda: RealTwins("inline"),
}
"""The disk suite also runs on each way of syncing that is not the default."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each kind of twins."""
    if "twins" in metafunc.fixturenames:
        special = {"test_disk": DISK_KINDS, "test_network": NETWORK_KINDS}
        kinds = special.get(metafunc.definition.path.stem, KINDS)
        metafunc.parametrize("twins", list(kinds), indirect=True)


@pytest.fixture
def twins(request: pytest.FixtureRequest) -> Twins:
    """The twins that this test runs on."""
    return DISK_KINDS[request.param]()
