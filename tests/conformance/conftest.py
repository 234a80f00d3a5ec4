"""The twins under test. One rule: a kind of twins is added here and nowhere else."""

from collections.abc import Callable

import pytest

from tests.conformance.real_twins import RealTwins
from tests.conformance.world import Twins

KINDS: dict[str, Callable[[], Twins]] = {
    "real": RealTwins,
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
        kinds = DISK_KINDS if metafunc.definition.path.stem == "test_disk" else KINDS
        metafunc.parametrize("twins", list(kinds), indirect=True)


@pytest.fixture
def twins(request: pytest.FixtureRequest) -> Twins:
    """The twins that this test runs on."""
    return DISK_KINDS[request.param]()
