"""The plugin as a user has it: in a pytest of its own, beside pytest-trio and Hypothesis."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = '''
import haqactor
import pytest
import trio
from haqactor.testing import World, scenario
from hypothesis import given, strategies as st


@pytest.fixture
def number():
    return 3


@scenario(seeds=2, nodes=1)
async def test_holds(world: World, number: int) -> None:
    """It passes, for it asserts little."""
    await trio.sleep(number)
    assert world.now == number


@pytest.mark.parametrize("queue", ["orders", "bills"])
@scenario(seeds=3, nodes=1, profile="calm")
async def test_fails(world, queue):
    async with world.connect() as broker, trio.open_nursery() as nursery:
        await broker.declare(queue)
        nursery.start_soon(publish, broker, queue, world.seed)


async def publish(broker, queue, seed):
    receipt = await broker.publish(queue, b"first")
    assert receipt.seq == seed + 1, "every seed has a message more"


def test_runs_a_body(sim):
    async def body(world):
        await trio.sleep(1)

    tally = sim.run(body, seeds=range(3), nodes=0)
    assert tally.simulated_s == tally.seeds


async def test_of_pytest_trio(nursery, autojump_clock):
    await trio.sleep(1000)


@given(st.integers())
async def test_of_hypothesis(x):
    await trio.sleep(0)
'''
INI = "[pytest]\ntrio_mode = true\nfilterwarnings = error\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    (made / "test_it.py").write_text(SCENARIOS)
    (made / "pytest.ini").write_text(INI)
    return made


def pytest_of_a_user(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env={**kept, "COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_scenarios_are_tests_among_others(folder: Path) -> None:
    done = pytest_of_a_user(folder, "-v", "--sim-html", "pages", "-k", "not bills")
    out = done.stdout
    assert done.returncode == 1, out + done.stderr
    for name in ("holds", "runs_a_body", "of_pytest_trio", "of_hypothesis"):
        assert re.search(rf"test_it.py::test_{name} PASSED", out), out
    assert "test_it.py::test_fails[orders] FAILED" in out
    assert "1 failed, 4 passed" in out
    # The frames of the user's code and no others, its assertion rewritten; then the story of the seed.
    (failure,) = re.findall(r"^_+ test_fails\[orders\] _+\n(.*?)^-+ Captured", out, re.DOTALL | re.MULTILINE)
    assert '>       assert receipt.seq == seed + 1, "every seed has a message more"' in failure
    assert "E       AssertionError: every seed has a message more" in failure
    assert "where 1 = Receipt(queue='orders', seq=1," in failure
    assert len(re.findall(r"^\S+\.py:\d+: ", failure, re.MULTILINE)) == 1
    assert "ExceptionGroup" not in out
    assert "client.return ok publish orders" in out
    assert "replay   pytest 'test_it.py::test_fails[orders]' --sim-seed 1" in out
    (page,) = re.findall(r"^look at  (.*)$", out, re.MULTILINE)
    assert "every seed has a message more" in Path(page).read_text(encoding="utf-8")
    assert Path(page).parent == folder / "pages"
    assert "test_it.py::test_holds: 2 seeds, 8 simulated s, 0 publishes, no faults" in out


def test_options(folder: Path) -> None:
    one = pytest_of_a_user(folder, "-v", "-k", "fails and bills", "--sim-seed", "0")
    assert one.returncode == 0, one.stdout + one.stderr
    assert "1 seeds" in one.stdout
    many = pytest_of_a_user(folder, "-v", "-k", "holds", "--sim-seeds", "3", "--sim-profile", "clock")
    assert many.returncode == 0, many.stdout + many.stderr
    assert re.search(r"3 seeds, 12 simulated s, 0 publishes, \d+ (drift|wall_step)", many.stdout)


def test_who_does_not_use_it_loads_little() -> None:
    program = (
        "import haqactor.testing.pytest_plugin, sys; print([m for m in sys.modules if 'haqactor.sim' in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
