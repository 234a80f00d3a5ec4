"""Lets the faults of a plan happen to a cluster: one module for each kind of thing that goes wrong.

One rule: everything it does comes from the plan, and what takes durable bytes is let through by the atlas.
"""

from haqactor.sim.nemesis.nemesis import Nemesis

__all__ = ["Nemesis"]
