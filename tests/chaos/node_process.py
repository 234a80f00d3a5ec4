"""``python -m tests.chaos.node_process ROUTES ARGUMENTS...``: ``haq ARGUMENTS...``, its dialling routed.

One rule: all but the network is what ``haq node run`` runs in production; and the process dies with the one
that started it, whatever ends that.
"""

import ctypes
import json
import signal
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from haqactor.cli import main as haq
from haqactor.cli.node import read_config
from haqactor.client.broker import Broker
from haqactor.config import NodeConfig
from haqactor.env import Environment
from haqactor.runtime.logs import node_logger
from haqactor.runtime.real import environment
from haqactor.runtime.surroundings import within
from tests.chaos.routed_network import routed

_PR_SET_PDEATHSIG: Final = 1


class Surroundings:
    """Production's, with routes. Made before the trio run that needs it, so the environment comes later."""

    def __init__(self, routes: dict[str, str], config: NodeConfig) -> None:
        self._routes = routes
        self._log = node_logger(config)

    @cached_property
    def environment(self) -> Environment:
        """The real one."""
        return routed(environment(), self._routes)

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
    """The command: a table of routes, and a node's configuration file."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    table, file = sys.argv[1:]
    routes: dict[str, str] = json.loads(Path(table).read_text(encoding="utf-8"))
    with within(Surroundings(routes, read_config(file, {}))):
        haq(["node", "run", "--config", file])


if __name__ == "__main__":
    main()
