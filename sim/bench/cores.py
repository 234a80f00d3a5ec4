"""How fast the simulator of the pure cores is: messages, simulated seconds and seeds for each second of CPU.

One rule: CPU time of this process only, and the same seeds every time.

``whole``: as seeds are run, clients, machines, dispatchers and all checkers included. ``raft``: beats and a
log without clients, no checkers, which is what Raft alone costs.
"""

from dataclasses import replace

from haqactor.sim.cores.harness import Harness
from haqactor.sim.cores.plan import SECOND, draw
from haqactor.sim.cores.run import run
from haqactor.sim.search.stopwatch import cpu_s


def whole(seeds: int) -> tuple[float, float, float]:
    """Messages, simulated seconds and seeds a CPU second."""
    began = cpu_s()
    verdicts = [run(seed) for seed in range(seeds)]
    spent = cpu_s() - began
    messages = sum(verdict.counts["messages"] for verdict in verdicts)
    simulated = sum(verdict.at_ns for verdict in verdicts) / SECOND
    return messages / spent, simulated / spent, seeds / spent


def raft(seconds: int) -> tuple[float, float]:
    """Messages and simulated seconds a CPU second, five replicas without clients."""
    plan = replace(draw(0, "calm"), replicas=5, drift_ppm=(0,) * 5, producers=0, named=0, consumers=0)
    harness = Harness(plan, (), ())
    harness.publishing = False
    began = cpu_s()
    harness.timeline.run(seconds * SECOND)
    spent = cpu_s() - began
    return harness.delivered / spent, seconds / spent
