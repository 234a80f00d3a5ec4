"""The simulated network: links between hosts, streams over them, and what goes wrong there."""

from haqactor.sim.network.fabric import Fabric
from haqactor.sim.network.links import LinkSettings
from haqactor.sim.network.network import SimNetwork

__all__ = ["Fabric", "LinkSettings", "SimNetwork"]
