"""What clients do in a run: producers, consumers, an administrator and a watcher, each on its own host."""

from haqactor.sim.workload.clients import TRANSIENT, Clients, Progress
from haqactor.sim.workload.kinds import WORK
from haqactor.sim.workload.staff import Staff

__all__ = ["TRANSIENT", "WORK", "Clients", "Progress", "Staff"]
