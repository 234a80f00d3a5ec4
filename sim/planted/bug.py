"""What is known of a planted bug.

One rule: the rows stand in ``inside``, ``outside`` and ``gossip``; ``bugs`` has them all.
"""

from typing import NamedTuple


class Bug(NamedTuple):
    """``invariants``: those that may find it. ``fault``: what has to happen for it to show. ``profile``: of
    the core simulator, where it is hunted; empty: the cores do not have it. ``nodes``: of the simulator of
    whole nodes. ``everywhere``: on all replicas alike; else on every other one (cores only). ``beside``:
    switches that are on as well, since what they switch off would mend it; alone they must not fail that
    seed."""

    id: str
    name: str
    what: str
    invariants: tuple[str, ...]
    fault: str
    profile: str = "swarm"
    everywhere: bool = True
    nodes: str = "swarm"
    beside: tuple[str, ...] = ()
