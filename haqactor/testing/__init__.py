"""For users of haqactor: their own programs against a whole simulated cluster, under faults, in virtual time.

    from haqactor.testing import World, scenario

    @scenario(nodes=3, seeds=50, profile="partition")
    async def test_my_consumer(world: World) -> None: ...

``pytest`` runs such functions; docs/testing.md tells how. One rule: a program under test is the program that
is deployed; ``haqactor.connect`` in it finds the simulated cluster by itself. As in ``haqactor``, names are
handed out when they are first asked for: the plugin is loaded by every pytest of an environment.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from haqactor.testing.failure import NodeFailed, PromiseBroken, Stuck, Undetermined
    from haqactor.testing.faults import NetworkFaults
    from haqactor.testing.scenario import scenario
    from haqactor.testing.sim import Scenario, Sim
    from haqactor.testing.world import World

_EXPORTS: Final[dict[str, str]] = {
    "NetworkFaults": "haqactor.testing.faults",
    "NodeFailed": "haqactor.testing.failure",
    "PromiseBroken": "haqactor.testing.failure",
    "Scenario": "haqactor.testing.sim",
    "Sim": "haqactor.testing.sim",
    "Stuck": "haqactor.testing.failure",
    "Undetermined": "haqactor.testing.failure",
    "World": "haqactor.testing.world",
    "scenario": "haqactor.testing.scenario",
}

__all__ = [
    "NetworkFaults",
    "NodeFailed",
    "PromiseBroken",
    "Scenario",
    "Sim",
    "Stuck",
    "Undetermined",
    "World",
    "scenario",
]


if not TYPE_CHECKING:  # a type checker sees the imports above

    def __getattr__(name: str) -> object:
        """The public name ``name``; raises AttributeError for any other."""
        module = _EXPORTS.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(module), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(_EXPORTS)
