"""The canary: a checker that finds fault with one clean run in fifty, so that a simulator which finds nothing
is noticed.

One rule: which seeds those are follows from the seed alone; nothing of it is in production code.
"""

from typing import Final

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.keyed import keyed
from haqactor.sim.watch.observed import Commit, Event

CANARY: Final = "canary"
"""As a planted bug, and as an invariant."""
ONE_IN: Final = 50


def sings(seed: int) -> bool:
    """Must this seed fail?"""
    return keyed(seed, CANARY).randrange(ONE_IN) == 0


class Canary(Rule):
    """Breaks at the first commit that it sees."""

    name = "the canary"
    invariant = CANARY
    events = (Commit,)

    def on_event(self, event: Event) -> None:
        """Enough seen."""
        raise self.broken("one seed in fifty has to fail, and this is one", event)
