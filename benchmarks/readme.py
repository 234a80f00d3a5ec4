"""``python -m benchmarks.readme``: the figures of ``out/results.json`` as the table of README.md.

One rule: a figure is copied from one run, never typed, and stands beside what it means and where it was
measured.
"""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any, Final

from benchmarks.clusters import OUT

README: Final = Path(__file__).resolve().parent.parent / "README.md"
BEGIN: Final = "<!-- figures -->\n"
END: Final = "<!-- end of figures -->"

MEANING: Final = {
    "ceiling_100B": "a bare program that moves and syncs the same bytes: no consensus, no queue",
    "publish_100B": "`publish_many` of 100 messages of 100 B",
    "end_to_end_100B": "the same, consumed with `consume_batches` and acknowledged",
    "broker_cpu_s_per_1M": "CPU seconds that the three nodes took for a million of these",
    "client_cpu_s_per_1M": "what the program took that published and consumed them",
    "publish_100B_single": "1,000 single publishes of 100 B in flight",
    "end_to_end_100B_single": "the same, consumed and acknowledged",
    "end_to_end_1KiB": "as `end_to_end_100B`, with 1 KiB",
    "end_to_end_64KiB": "single publishes of 64 KiB, 256 in flight, consumed and acknowledged",
    "publish_await": "1,000 tasks, each awaiting its own publish",
    "consume_each": "one task, `async with message`",
    "confirm_p50_ms": "from when a publish was due, at 100 a second, to its confirm, half are faster",
    "confirm_p99_ms": "the same, 1 % are slower",
    "confirm_p999_ms": "the same, 0.1 % are slower",
    "confirm_1000_p50_ms": "the same at 1,000 a second, half are faster",
    "confirm_1000_p99_ms": "the same, 1 % are slower",
    "confirm_1000_p999_ms": "the same, 0.1 % are slower",
    "confirm_10000_p50_ms": "the same at 10,000 a second, half are faster",
    "confirm_10000_p99_ms": "the same, 1 % are slower",
    "confirm_10000_p999_ms": "the same, 0.1 % are slower",
    "confirm_floor_p50_ms": "what that costs here without consensus and queues: sockets and three syncs",
    "confirm_floor_p99_ms": "the same, 1 % are slower",
    "failover_ms_median": "`kill -9` of the leader to the confirm of a publish begun after it, median",
    "failover_ms_max": "the same, the slowest",
    "failover_lost": "confirmed messages lost over all these kills",
    "failover_duplicates": "messages stored twice over all these kills",
    "failover_stop_ms_median": "`SIGSTOP` of the leader to the confirm of a publish begun after it, median",
    "failover_stop_ms_max": "the same, the slowest",
    "failover_stop_lost": "confirmed messages lost over all these stops",
    "failover_stop_duplicates": "messages stored twice over all these stops",
    "failover_partition_ms_median": "the leader cut off from the other nodes to the next confirm, median",
    "failover_partition_ms_max": "the same, the slowest",
    "failover_partition_lost": "confirmed messages lost over all these cuts",
    "failover_partition_duplicates": "messages stored twice over all these cuts",
    "start_s": "three fresh nodes to the first confirm",
    "rss_idle_mb": "resident memory of a node, idle",
    "rss_1M_mb": "resident memory of a node that holds a million messages",
    "rss_1M_beside_cache_mb": "the same, less the tail cache (`limits.tail_cache_bytes`), which is full then",
    "restart_1M_s": "`kill -9` of a node with a million messages: from its start until it is level again",
    "restart_clean_1M_s": "three nodes with a million messages, stopped in order: start to confirm",
    "restart_crash_1M_s": "the same after `kill -9` of all three at once",
    "catch_up_mb_s": "a node that lost its journal is given 1 GB of live messages",
    "beside_catch_up_mb_s": "the same, while others publish and consume at half of what the cluster can do",
    "beside_load": "what they publish and consume",
    "beside_throughput": "what they get meanwhile, by what they get without it",
    "beside_p99": "their slowest 1 % of confirms meanwhile, by those without it",
    "beside_p99_ms": "the same, in time",
    "beside_alone_p99_ms": "those without it",
    "producers_1": "one producer with one batch of 100 messages of 100 B in flight",
    "producers_10": "ten of them at once, a connection each",
    "producers_100": "a hundred, on ten connections",
    "producers_1000": "a thousand, on ten connections",
    "backlog_0": "published, consumed and acknowledged at once, nothing else waiting",
    "backlog_100k": "the same behind 100,000 messages that wait",
    "backlog_1M": "the same behind a million",
    "backlog_of_empty": "that by what it is with nothing waiting",
    "backlog_0_cpu_s_per_1M": "CPU seconds of the nodes for a million of these, nothing else waiting",
    "backlog_100k_cpu_s_per_1M": "the same behind 100,000",
    "backlog_1M_cpu_s_per_1M": "the same behind a million",
    "slow_consumer_beside": "end to end, beside a queue whose consumer takes 10 ms for each",
    "slow_consumer_throughput": "that by what it is without the slow one",
    "broker_cpu_s_per_1M_batch_1": "CPU seconds of the nodes for a million of 100 B, published singly",
    "broker_cpu_s_per_1M_batch_10": "the same, 10 at once",
    "broker_cpu_s_per_1M_batch_100": "the same, 100 at once",
    "broker_cpu_s_per_1M_batch_1000": "the same, 1,000 at once",
    "client_cpu_s_per_1M_batch_1": "what the program took that published them singly and consumed them",
    "client_cpu_s_per_1M_batch_10": "the same, 10 at once",
    "client_cpu_s_per_1M_batch_100": "the same, 100 at once",
    "client_cpu_s_per_1M_batch_1000": "the same, 1,000 at once",
    "broker_cpu_s_per_1M_100B": "CPU seconds of the three nodes for a million messages of 100 B, 100 at once",
    "broker_cpu_s_per_1M_1KiB": "the same of 1 KiB",
    "broker_cpu_s_per_1M_64KiB": "the same of 64 KiB, 16 at once",
    "client_cpu_s_per_1M_100B": "what the program took that published and consumed those of 100 B",
    "client_cpu_s_per_1M_1KiB": "the same of 1 KiB",
    "client_cpu_s_per_1M_64KiB": "the same of 64 KiB",
    "declare_1000_queues_s": "1,000 queues declared by one program, 100 declarations at a time",
    "rss_1000_queues_mb": "by how much the largest node grew with them",
    "disk_bytes_per_message": "bytes on one node's disk for a 100 B record in JSON",
}
"""What each figure is; one that is not named here is shown by its name alone."""


def table(results: list[dict[str, Any]], where: str) -> str:
    """The Markdown table of one run. ``where``: the machine."""
    rows = ["| figure | value | of the ceiling | what it is |", "|---|---:|---:|---|"]
    for result in results:
        name, value, unit = result["name"], float(result["value"]), result["unit"]
        shown = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.3g}"
        ratio = result.get("ratio_to", {}).get("ceiling")
        share = "" if ratio is None else f"{ratio:.3f}"
        rows.append(f"| `{name}` | {shown} {unit} | {share} | {MEANING.get(name, '')} |")
    return "\n".join([*rows, "", f"One run of `make bench`: {where}. Three nodes on that machine."])


def here() -> str:
    """This machine in a few words."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cores} cores, {platform.system()} {platform.release()} {platform.machine()}, {python}"


def filled(page: str, results: list[dict[str, Any]], where: str) -> str:
    """The page with the table between its marks. Raises ValueError where they are missing."""
    before, rest = page.split(BEGIN, 1)
    _old, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{table(results, where)}\n\n{END}{after}"


def main() -> None:
    """Rewrite README.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__)
    parser.add_argument("--results", type=Path, default=OUT / "results.json", help="what make bench wrote")
    parser.add_argument("--where", default=here(), help="the machine; by default this one")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text(encoding="utf-8"))
    README.write_text(filled(README.read_text(encoding="utf-8"), results, arguments.where), encoding="utf-8")


if __name__ == "__main__":
    main()
