"""``python -m benchmarks.sim_network``: how many messages a CPU second the simulated network carries, by how
many are under way at a time.

One rule: it measures nothing itself; see ``haqactor.sim.bench.network``.
"""

import argparse

from haqactor.sim.bench.network import measure


def main() -> None:
    """Print one line for each number of frames under way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--count", type=int, default=10_000, help="frames that each node asks")
    parser.add_argument("--depth", type=int, nargs="*", default=[1, 4, 16], help="frames under way")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for depth in given.depth:
        found = measure(given.nodes, given.count, depth, given.seed)
        print(
            f"{depth:3} under way: {found.rate:9,.0f} messages/CPU-s, "
            f"{found.virtual_s / found.cpu_s:6.1f} virtual s/CPU-s, digest {found.digest}"
        )


if __name__ == "__main__":
    main()
