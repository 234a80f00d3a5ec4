"""How a new node with nothing but seeds finds its cluster.

One rule: it asks, waits and asks again, for ever; it founds nothing of its own accord (S9). Where a cluster
is being founded that names its address it takes part, and where one exists that does not know its disk it
says so and ends.
"""

from collections.abc import Sequence
from typing import Final

import trio
from structlog.typing import FilteringBoundLogger

from haqactor.config import NodeConfig
from haqactor.env import Environment, NetworkError
from haqactor.errors import Conflict, Error
from haqactor.nodes.founding import Answer, Founded, ask_founder, checked_cluster, own_address

_BACKOFF_FIRST: Final = 0.05
_BACKOFF_LAST: Final = 2.0
_TOLD_EVERY_S: Final = 30.0


class Seeking:
    """Asks the seeds. ``result``: the cluster, or the founding list that names this node."""

    def __init__(self, env: Environment, config: NodeConfig, nonce: bytes, log: FilteringBoundLogger) -> None:
        self._env = env
        self._config = config
        self._log = log
        self._mine = own_address(config)
        self._nonce = nonce
        self._found = trio.Event()
        self._conflict: Conflict | None = None
        self.result: Founded | tuple[str, ...] = ()
        self.last_error = "no seed has answered"

    async def run(self) -> Founded | tuple[str, ...]:
        """Ask until somebody knows. Raises Conflict if a cluster exists that does not know this disk."""
        async with trio.open_nursery() as nursery:
            for seed in self._config.seeds:
                if seed != self._mine:
                    nursery.start_soon(self._ask, seed)
            nursery.start_soon(self._tell)
            await self._found.wait()
            nursery.cancel_scope.cancel()
        if self._conflict is not None:
            raise self._conflict
        return self.result

    async def _ask(self, seed: str) -> None:
        backoff = _BACKOFF_FIRST
        while True:
            try:
                with trio.move_on_after(self._config.limits.handshake):
                    answer = await ask_founder(self._env.network, seed, self._mine, self._nonce)
                    self._hear(seed, answer)
            except Conflict as error:
                self._conflict = error
                self._found.set()
                return
            except (NetworkError, Error) as error:
                self.last_error = f"{seed}: {error}"
            await trio.sleep(backoff * self._env.random.uniform(0.75, 1.25))
            backoff = min(backoff * 1.5, _BACKOFF_LAST)

    def _hear(self, seed: str, answer: Answer) -> None:
        if answer.cluster:
            self.result = checked_cluster(seed, answer, self._mine, self._nonce)
            self._found.set()
        elif self._mine in answer.founders:
            self.result = answer.founders
            self._found.set()
        elif answer.founders:
            self.last_error = f"{seed} founds a cluster of {_listed(answer.founders)}, not of {self._mine}"
        else:
            self.last_error = f"{seed} looks for its cluster, too"

    async def _tell(self) -> None:
        while True:
            await trio.sleep(_TOLD_EVERY_S)
            self._log.warning(
                "waits for a cluster; a node with seeds founds none",
                seeds=_listed(self._config.seeds),
                reason=self.last_error,
            )


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join(addresses)
