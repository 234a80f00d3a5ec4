"""``python -m tests.chaos.node_process PLACE CONFIG``: ``haq node run --config CONFIG``, its dialling routed.

One rule: all but the network is what runs in production, unless a bug is planted to show that it is found;
and the process dies with the one that started it, whatever ends that.
"""

import ctypes
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from haqactor.cli import main as haq
from haqactor.cli.node import read_config
from haqactor.client.broker import Broker
from haqactor.config import NodeConfig
from haqactor.env import Environment, NullProbe
from haqactor.runtime.logs import node_logger
from haqactor.runtime.real import environment
from haqactor.runtime.surroundings import within
from tests.chaos.routed_network import routed

_PR_SET_PDEATHSIG: Final = 1


class Planted(NullProbe):
    """Production's probe, but for some bugs."""

    __slots__ = ("_bugs",)

    def __init__(self, bugs: Sequence[str]) -> None:
        self._bugs = tuple(bugs)

    def bug(self, name: str) -> bool:
        """Is it one of them?"""
        return name in self._bugs


class Place:
    """Production's surroundings, with routes. Made before the trio run that needs it, so the environment
    comes later."""

    def __init__(self, routes: dict[str, str], bugs: Sequence[str], config: NodeConfig) -> None:
        self._routes = routes
        self._bugs = bugs
        self._log = node_logger(config)
        self._environment: Environment | None = None

    @property
    def environment(self) -> Environment:
        """The real one."""
        if self._environment is None:
            world = routed(environment(), self._routes)
            self._environment = replace(world, probe=Planted(self._bugs)) if self._bugs else world
        return self._environment

    @property
    def log(self) -> Any:
        """As ``haq node run`` has it."""
        return self._log

    def addresses(self, asked: Sequence[str]) -> Sequence[str]:
        """As asked."""
        return asked

    def opened(self, broker: Broker, *, embedded: bool) -> None:
        """Nobody keeps count."""


def main() -> None:
    """The command."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    place, file = sys.argv[1:]
    told = json.loads(Path(place).read_text(encoding="utf-8"))
    with within(Place(told["routes"], told["bugs"], read_config(file, {}))):
        haq(["node", "run", "--config", file])


if __name__ == "__main__":
    main()
