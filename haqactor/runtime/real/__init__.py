"""The production twins of the environment: the only code that touches the operating system."""

from haqactor.env import Environment, NullProbe
from haqactor.runtime.real.clock import RealClock
from haqactor.runtime.real.disk import RealDisk
from haqactor.runtime.real.entropy import RealRandom
from haqactor.runtime.real.network import RealNetwork
from haqactor.runtime.real.offload import RealOffload
from haqactor.runtime.real.syncing import Sync

__all__ = [
    "RealClock",
    "RealDisk",
    "RealNetwork",
    "RealOffload",
    "RealRandom",
    "Sync",
    "environment",
]


def environment(*, sync: Sync = "process") -> Environment:
    """The real world; called inside a trio run. ``sync``: how durable writes wait for the medium (ADR
    0003)."""
    return Environment(
        clock=RealClock(),
        network=RealNetwork(),
        disk=RealDisk(sync=sync),
        random=RealRandom(),
        offload=RealOffload(),
        probe=NullProbe(),
    )
