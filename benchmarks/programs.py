"""All programs by their names, with the figures that each gives.

One rule: names are fixed, since others compare against them, the peers' rows among them.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from benchmarks import (
    backlog,
    beside,
    ceiling,
    comeback,
    cost,
    failover,
    footprint,
    latency,
    partition,
    producers,
    restarts,
    scale,
    throughput,
)
from benchmarks.clusters import OUT
from benchmarks.result import QUICK, Result


async def _ceiling() -> list[Result]:
    OUT.mkdir(exist_ok=True)
    found = await trio.to_thread.run_sync(lambda: ceiling.measure(parent=OUT))
    return [Result("ceiling_100B", found.rate, "msg/s")]


def _costs(*names: str) -> tuple[str, ...]:
    return tuple(f"{who}_cpu_s_per_1M_{name}" for who in ("broker", "client") for name in names)


PROGRAMS: Final[dict[str, tuple[tuple[str, ...], Callable[[], Awaitable[list[Result]]]]]] = {
    "ceiling": (("ceiling_100B",), _ceiling),
    "publish": (("publish_100B",), throughput.publish_100b),
    "end-to-end": (
        ("end_to_end_100B", "broker_cpu_s_per_1M", "client_cpu_s_per_1M"),
        throughput.end_to_end_100b,
    ),
    "publish-single": (("publish_100B_single",), throughput.publish_100b_single),
    "end-to-end-single": (("end_to_end_100B_single",), throughput.end_to_end_100b_single),
    "end-to-end-1KiB": (("end_to_end_1KiB",), throughput.end_to_end_1kib),
    "end-to-end-64KiB": (("end_to_end_64KiB",), throughput.end_to_end_64kib),
    "publish-await": (("publish_await",), throughput.publish_await),
    "consume-each": (("consume_each",), throughput.consume_each),
    "latency": (
        (
            "confirm_p50_ms",
            "confirm_p99_ms",
            "confirm_p999_ms",
            "confirm_floor_p50_ms",
            "confirm_floor_p99_ms",
        ),
        latency.confirm_latency,
    ),
    "latency-1000": (
        ("confirm_1000_p50_ms", "confirm_1000_p99_ms", "confirm_1000_p999_ms"),
        latency.confirm_latency_1000,
    ),
    "latency-10000": (
        ("confirm_10000_p50_ms", "confirm_10000_p99_ms", "confirm_10000_p999_ms"),
        latency.confirm_latency_10000,
    ),
    "failover": (
        ("failover_ms_median", "failover_ms_max", "failover_lost", "failover_duplicates"),
        failover.failover,
    ),
    "failover-stop": (
        ("failover_stop_ms_median", "failover_stop_ms_max", "failover_stop_lost", "failover_stop_duplicates"),
        failover.failover_stop,
    ),
    "failover-partition": (
        (
            "failover_partition_ms_median",
            "failover_partition_ms_max",
            "failover_partition_lost",
            "failover_partition_duplicates",
        ),
        partition.failover_partition,
    ),
    "start": (("start_s", "rss_idle_mb"), footprint.start),
    "memory": (("rss_1M_mb", "rss_1M_beside_cache_mb"), footprint.memory),
    "disk": (("disk_bytes_per_message",), footprint.disk),
    "queues": (("declare_1000_queues_s", "rss_1000_queues_mb"), footprint.queues),
    "restart": (("restart_1M_s",), comeback.restart),
    "restart-all": (("restart_clean_1M_s", "restart_crash_1M_s"), restarts.restart_all),
    "catch-up": (("catch_up_mb_s",), comeback.catch_up),
    "catch-up-beside-load": (
        (
            "beside_catch_up_mb_s",
            "beside_load",
            "beside_throughput",
            "beside_p99",
            "beside_p99_ms",
            "beside_alone_p99_ms",
        ),
        beside.beside_load,
    ),
    "producers": (tuple(f"producers_{count}" for count in producers.PRODUCERS), producers.producers),
    "backlog": (
        (
            *(f"backlog_{name}" for name in backlog.BACKLOGS),
            "backlog_of_empty",
            *(f"backlog_{name}_cpu_s_per_1M" for name in backlog.BACKLOGS),
        ),
        backlog.backlog,
    ),
    "slow-consumer": (("slow_consumer_beside", "slow_consumer_throughput"), backlog.slow_consumer),
    "cost-of-batches": (_costs(*(f"batch_{batch}" for batch in cost.BATCHES)), cost.cost_of_batches),
    "cost-of-sizes": (_costs(*cost.SIZES), cost.cost_of_sizes),
    "cold-readers-beside-load": (
        (
            "cold_read_mb_s",
            "cold_beside_load",
            "cold_beside_throughput",
            "cold_beside_p99",
            "cold_beside_p99_ms",
            "cold_alone_p99_ms",
        ),
        beside.cold_readers_beside_load,
    ),
    "ten-million": (
        (
            "rss_10M_mb",
            "rss_10M_idle_mb",
            "rss_10M_beside_cache_mb",
            "restart_10M_clean_s",
            "restart_10M_crash_s",
        ),
        scale.ten_million,
    ),
    "ten-thousand-queues": (
        ("declare_10000_queues_s", "rss_10000_queues_mb", "idle_cpu_10000_queues"),
        scale.ten_thousand_queues,
    ),
}
"""Program to the figures it gives, in the order in which they run."""

TIMES: Final = {"latency": 1 if QUICK else 5}
"""How often a row is measured, where that is not once: the entrants take turns, and the medians count."""


def add_ratios(results: list[Result]) -> None:
    """To the ceiling, for what moved messages of its size."""
    base = next((result.value for result in results if result.name == "ceiling_100B"), None)
    if not base:
        return
    for result in results:
        if result.unit == "msg/s" and "KiB" not in result.name:
            result.ratio_to["ceiling"] = result.value / base
