"""The twins under test. One rule: a kind of twins is added here and nowhere else."""

from collections.abc import Callable

import pytest

from tests.conformance.real_twins import RealTwins
from tests.conformance.sim_twins import ROUGH, SimTwins
from tests.conformance.world import Twins

KINDS: dict[str, Callable[[], Twins]] = {
    "real": RealTwins,
    "sim": SimTwins,
    "sim-2": lambda: SimTwins(seed=2),
}
NETWORK_KINDS: dict[str, Callable[[], Twins]] = {
    **KINDS,
    "sim-alone": lambda: SimTwins(alone=True),
    "sim-rough": lambda: SimTwins(settings=ROUGH),
}
"""The suites of the network also run within one machine, and over a link that tears everything to pieces."""
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
        special = {
            "test_disk": DISK_KINDS,
            "test_network": NETWORK_KINDS,
            "test_datagrams": NETWORK_KINDS,
        }
        kinds = special.get(metafunc.definition.path.stem, KINDS)
        metafunc.parametrize("twins", list(kinds), indirect=True)


@pytest.fixture
def twins(request: pytest.FixtureRequest) -> Twins:
    """The twins that this test runs on."""
    return (DISK_KINDS | NETWORK_KINDS)[request.param]()
