"""Planted bugs in membership. Only whole nodes have them; tests of the core switch each on as well
(``tests/properties/test_swim_faults.py``).

One rule: see ``haqactor.sim.planted.bugs``.
"""

from typing import Final

from haqactor.sim.planted.bug import Bug

ROWS: Final = (
    Bug(
        "M48",
        "swim.stale_refutation",
        "a member that is accused repeats its old incarnation",
        ("S23", "L5"),
        "loss, a slow node",
        "",
        nodes="partition",
    ),
    Bug(
        "M50",
        "swim.suspicion_never_cancelled",
        "the wait for a suspect runs on though it has refuted",
        ("S23", "L5"),
        "a node that stands still",
        "",
        nodes="partition",
    ),
    Bug(
        "M50b",
        "swim.stale_resurrects",
        "late news that a member is alive raises it from the dead",
        ("S23",),
        "reordered packets, a crash",
        "",
        nodes="partition",
    ),
    Bug(
        "M50c",
        "swim.never_rejoins",
        "those who are held for dead are never tried again",
        ("L5",),
        "a long partition",
        "",
        nodes="partition",
    ),
    Bug(
        "M50d",
        "swim.foreign_accepted",
        "packets of another cluster are believed",
        ("S23",),
        "two clusters that know an address of each other",
        "",
    ),
    Bug(
        "M50e",
        "swim.incarnation_restarts",
        "every start speaks with the incarnation of the first",
        ("S23", "L5"),
        "a restart",
        "",
        nodes="crash",
    ),
)
