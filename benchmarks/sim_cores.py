"""How fast the simulator of the pure cores is: messages, simulated seconds and seeds for each second of CPU.

One rule: CPU time of this process only, and the same seeds every time.

``python -m benchmarks.sim_cores [seeds]``. ``whole``: as seeds are run, clients, machines, dispatchers and
all checkers included. ``raft``: beats and a log without clients, no checkers, which is what Raft alone costs.
"""

import sys
from dataclasses import replace
from time import process_time

from haqactor.sim.cores.harness import Harness
from haqactor.sim.cores.plan import SECOND, draw
from haqactor.sim.cores.run import run


def whole(seeds: int) -> tuple[float, float, float]:
    """Messages, simulated seconds and seeds a CPU second."""
    began = process_time()
    verdicts = [run(seed) for seed in range(seeds)]
    spent = process_time() - began
    messages = sum(verdict.counts["messages"] for verdict in verdicts)
    simulated = sum(verdict.at_ns for verdict in verdicts) / SECOND
    return messages / spent, simulated / spent, seeds / spent


def raft(seconds: int) -> tuple[float, float]:
    """Messages and simulated seconds a CPU second, five replicas without clients."""
    plan = replace(draw(0, "calm"), replicas=5, drift_ppm=(0,) * 5, producers=0, named=0, consumers=0)
    harness = Harness(plan, (), ())
    harness.publishing = False
    began = process_time()
    harness.timeline.run(seconds * SECOND)
    spent = process_time() - began
    return harness.delivered / spent, seconds / spent


def main() -> None:
    """Print both."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    messages, simulated, rate = whole(seeds)
    print(f"whole: {messages:9,.0f} messages/s, {simulated:6.1f} simulated s/s, {rate:5.2f} seeds/s (CPU)")
    messages, simulated = raft(200)
    print(f"raft:  {messages:9,.0f} messages/s, {simulated:6.1f} simulated s/s (CPU)")


if __name__ == "__main__":
    main()
