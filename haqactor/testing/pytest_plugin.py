"""The plugin of pytest: the fixture ``sim``, the options ``--sim-...``, and what is shown of a failed seed.

One rule: who uses neither ``@scenario`` nor ``sim`` notices nothing of it.
"""

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from haqactor.testing.sim import Sim, Tally

_HELP: Final = {
    "--sim-seed": "run this seed only, as a failure told it",
    "--sim-seeds": "run so many seeds of each scenario, whatever it says itself",
    "--sim-profile": "let other faults happen than the scenario says: calm, crash, partition, swarm, ...",
    "--sim-html": "write a page with the whole story of each failure into this directory",
}
_tallies: Final = pytest.StashKey[list[tuple[str, Any]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("haqactor", "simulated clusters (haqactor.testing)")
    group.addoption("--sim-seed", type=int, metavar="N", help=_HELP["--sim-seed"])
    group.addoption("--sim-seeds", type=int, metavar="N", help=_HELP["--sim-seeds"])
    group.addoption("--sim-profile", metavar="P", help=_HELP["--sim-profile"])
    group.addoption("--sim-html", metavar="DIR", help=_HELP["--sim-html"])


class _Audience:
    """One test."""

    def __init__(self, node: pytest.Item) -> None:
        self._node = node
        self._config = node.config

    def progress(self, done: int, seeds: int) -> None:
        """The number of the seed, where a person looks on."""
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or not terminal.isatty or seeds < 2 or self._config.get_verbosity() < 0:
            return
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled():
            note = f" seed {done + 1}/{seeds}"
            terminal.write(f"{note}{chr(8) * len(note)}", flush=True)

    def again(self, seed: int) -> str:
        """The line that runs this test with this seed, and with what else it was run with."""
        profile = self._config.getoption("--sim-profile")
        more = f" --sim-profile {profile}" if profile else ""
        name = self._node.nodeid
        quoted = f"'{name}'" if any(sign in name for sign in " [];&*?") else name
        return f"pytest {quoted} --sim-seed {seed}{more}"

    def page(self, seed: int, content: str) -> str:
        """A file in the directory of ``--sim-html``."""
        wanted: Any = self._config.getoption("--sim-html")
        folder = self._config.invocation_params.dir.joinpath(str(wanted))
        folder.mkdir(parents=True, exist_ok=True)
        plain = "".join(sign if sign.isalnum() else "-" for sign in self._node.name)
        path = folder / f"{plain}-seed-{seed}.html"
        path.write_text(content, encoding="utf-8")
        return str(path)

    def failed(self, report: str) -> None:
        """A section of the test's report."""
        self._node.add_report_section("call", "simulation", report)

    def finished(self, tally: "Tally") -> None:
        """For the summary."""
        self._config.stash.setdefault(_tallies, []).append((self._node.nodeid, tally))


@pytest.fixture
def sim(request: pytest.FixtureRequest) -> "Sim":
    """Runs scenarios over seeds: ``sim.run(body, seeds=200, profile="partition")``."""
    from haqactor.testing.sim import Settings, Sim

    config = request.config
    settings = Settings(
        seed=config.getoption("--sim-seed"),
        seeds=config.getoption("--sim-seeds"),
        profile=config.getoption("--sim-profile"),
        pages=bool(config.getoption("--sim-html")),
    )
    return Sim(settings, _Audience(request.node))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """One line for each scenario that passed, if details are wanted."""
    none: list[tuple[str, Any]] = []
    tallies = config.stash.get(_tallies, none)
    if not tallies or config.get_verbosity() < 1:
        return
    terminalreporter.section("simulated")
    for name, tally in tallies:
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.faults.items())) or "no faults"
        done = f"{tally.seeds} seeds, {tally.simulated_s:.0f} simulated s, {tally.confirmed} publishes"
        terminalreporter.write_line(f"{name}: {done}, {faults}")
