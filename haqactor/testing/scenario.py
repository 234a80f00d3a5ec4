"""``@scenario``: an async function of a ``World`` as an ordinary test, which runs it over many seeds.

One rule: what the decorator returns is a plain synchronous function that asks for the fixture ``sim``, and
for every other fixture that the scenario names; no test runner has to know more about it.
"""

from collections.abc import Callable
from inspect import Parameter, Signature, iscoroutinefunction, signature
from typing import Any, Final

from haqactor.testing.sim import SEEDS, Body, Scenario, Sim

FIXTURE: Final = "sim"


def scenario(
    *, nodes: int = 3, seeds: int = SEEDS, profile: str = "calm"
) -> Callable[[Body], Callable[..., None]]:
    """Make a test of an async function whose first argument is a ``World``. ``nodes``: of its cluster; 0 for
    a world in which programs bring their own. ``seeds``: how many runs, from seed 0 on. ``profile``: which
    faults happen meanwhile, drawn from the seed: ``calm`` (none), ``crash``, ``partition``, ``clock``,
    ``swarm`` (all), and what else ``haq sim run --help`` names."""

    def decorate(body: Body) -> Callable[..., None]:
        if not iscoroutinefunction(body):
            raise TypeError(f"a scenario is an async function that takes a World, not {body!r}")
        names = list(signature(body).parameters.values())
        if not names or names[0].kind not in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"the first argument of the scenario {body.__name__} is its World")
        made = Scenario(body, nodes, seeds, profile)

        def test(**fixtures: Any) -> None:
            __tracebackhide__ = True
            sim = fixtures.pop(FIXTURE, None) or Sim()
            sim.run(test, given=fixtures)

        asked = [Parameter(FIXTURE, Parameter.KEYWORD_ONLY, default=Parameter.empty)]
        asked += [each.replace(kind=Parameter.KEYWORD_ONLY) for each in names[1:] if each.name != FIXTURE]
        told: Any = test
        told.__dict__.update(vars(body))  # marks, whichever decorator stands first
        told.__name__, told.__qualname__ = body.__name__, body.__qualname__
        told.__module__, told.__doc__ = body.__module__, body.__doc__
        told.__signature__ = Signature(asked)
        told.scenario = made
        return test

    return decorate
