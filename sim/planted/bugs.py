"""The planted bugs: what the simulators must find to be worth anything.

One rule: a bug is one switch in the source, ``probe.bug(name)``, inert in production; every switch has a row
here and every row a switch. Ids are those of the design's table of planted bugs; ``C`` (cores), ``J``
(journal), ``N`` (nodes) and ``K`` (client) rows are ours.
"""

from typing import Final

from haqactor.sim.planted.bug import Bug
from haqactor.sim.planted.gossip import ROWS as GOSSIP
from haqactor.sim.planted.inside import ROWS as INSIDE
from haqactor.sim.planted.outside import ROWS as OUTSIDE

BUGS: Final[dict[str, Bug]] = {bug.name: bug for bug in (*INSIDE, *OUTSIDE, *GOSSIP)}
"""By the name of the switch."""


class _Told:
    """A probe that has every bug: what it says of one is whether there are switches at all."""

    def bug(self, name: str) -> bool:
        return bool(name)


PLANTED: Final[bool] = _Told().bug("any")
"""Are the switches in this program? Not in a release, which is built without them (``release.py``)."""
