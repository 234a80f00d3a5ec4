"""Simulated disks: what a machine keeps when its power goes, and everything that a disk may do to it.

One rule: a ``Medium`` outlives the incarnations of its host, a ``SimDisk`` belongs to one of them.
"""

from haqactor.sim.disk.disk import SimDisk
from haqactor.sim.disk.fates import Survival
from haqactor.sim.disk.faults import Fault, Faults, Kind
from haqactor.sim.disk.latency import Latency
from haqactor.sim.disk.medium import Medium
from haqactor.sim.disk.power import cut_power, cut_power_after

__all__ = [
    "Fault",
    "Faults",
    "Kind",
    "Latency",
    "Medium",
    "SimDisk",
    "Survival",
    "cut_power",
    "cut_power_after",
]
