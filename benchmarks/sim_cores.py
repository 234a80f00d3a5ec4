"""``python -m benchmarks.sim_cores [seeds]``: how fast the simulator of the pure cores is.

One rule: it measures nothing itself; see ``haqactor.sim.bench.cores``.
"""

import sys

from haqactor.sim.bench.cores import raft, whole


def main() -> None:
    """Print both."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    messages, simulated, rate = whole(seeds)
    print(f"whole: {messages:9,.0f} messages/s, {simulated:6.1f} simulated s/s, {rate:5.2f} seeds/s (CPU)")
    messages, simulated = raft(200)
    print(f"raft:  {messages:9,.0f} messages/s, {simulated:6.1f} simulated s/s (CPU)")


if __name__ == "__main__":
    main()
