"""``python -m benchmarks.peers.page``: ``out/peers.json`` as ``docs/performance.md``.

One rule: every number and every version comes from that file; a peer that was not measured is not in the
page, and what is no full run makes none.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from benchmarks.clusters import OUT
from benchmarks.readme import MEANING

PAGE: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "performance.md"
_OURS: Final = "haqactor"
_PYTHON: Final = ("aio-pika", "nats-py", "redis-py")
_LESS_IS_BETTER: Final = ("s", "ms", "MB", "B", "messages")
_HEAD: Final = """# Performance

haqactor and its peers on one machine, in one run, row by row: three nodes each on loopback, every message on
all three, driven by the fastest client at hand (programs in C for the peers' servers, written for this;
haqactor by its own, which is Python) and by the Python client that people use. Made by
`make bench-peers-install`, `make bench` and `python -m benchmarks.peers.page`: no number here is typed.
Figures of different machines or runs cannot be compared; the ratios of one run can.
"""
CONFIRMS: Final = {
    "haqactor": ("two of three nodes have it fsynced", "before each confirm, on each node"),
    "rabbitmq-quorum": ("two of three nodes have it fsynced", "before each confirm, on each node"),
    "nats-r3": ("two of three nodes have it in memory", "every two minutes, as it comes"),
    "nats-r3-always": ("two of three nodes have it fsynced", "before each confirm, on each node"),
    "redis-wait1-always": ("the master has it fsynced, and one replica has it", "before each answer"),
    "redis-wait1-everysec": ("the master and one replica have it in memory", "every second"),
    "pysyncobj": ("two of three nodes have it in memory", "never"),
    "aio-pika": ("as `rabbitmq-quorum`", "as `rabbitmq-quorum`"),
    "nats-py": ("as `nats-r3`", "as `nats-r3`"),
    "redis-py": ("as `redis-wait1-everysec`", "as `redis-wait1-everysec`"),
}
"""What a confirm means, and when it is on a disk, by whose name it has."""
SETTINGS: Final = {
    "haqactor": "defaults",
    "rabbitmq-quorum": "quorum queues of three members, credit 2,000, 100 acknowledged at once",
    "nats-r3": "work queue streams, its own batches (fast ingest), push consumer, credit 10,000",
    "nats-r3-always": "as `nats-r3`, and `sync_interval: always`",
    "redis-wait1-always": "streams, WAIT 1 behind a pipeline, `appendfsync always`, sentinels for failover",
    "redis-wait1-everysec": "as `redis-wait1-always`, but `appendfsync everysec`",
    "pysyncobj": "ReplQueue, journal and dump file, the load in the leader, a tenth of the messages",
    "aio-pika": "1,000 publishes awaited at once, credit 2,000",
    "nats-py": "1,000 publishes awaited at once, credit 10,000",
    "redis-py": "pipelines of 1,000",
}
"""What is set, by whose name it has; all else is as it comes."""
SECTIONS: Final = (
    ("Throughput", ("publish_", "end_to_end_", "broker_cpu", "client_cpu", "consume_")),
    ("Latency at fixed rates", ("confirm_",)),
    ("Failover", ("failover_",)),
    ("Start, memory, disk, many queues", ("",)),
)
"""Of the servers' figures: titles, and how the names begin; what fits none before is in the last."""
_NOTES: Final = """
- haqactor's client is a Python program on the same machine as its nodes (`client_cpu_s_per_1M`); the
  servers' clients are in C. So its rates are those of cluster and client together.
- `_single` rows: each message is a publish of its own with its own confirm. RabbitMQ, Redis and PySyncObj
  have no batches of their own beyond that (Redis's pipelines are what its client does anyway), so one figure
  stands for both.
- Latency is counted from when a publish was due, whether or not those before it were confirmed, so no wait is
  left out; at 100 a second each figure is the median of five runs, in which all take turns. A rate that
  one cannot keep up with shows as waits that grow for as long as the run lasts.
- Failover: a new publish, over and over, until one begun after the failure is confirmed. The peers' clients
  go elsewhere once a connection breaks, or after some silence (RabbitMQ's after five seconds, NATS's after
  two, Redis's after one): where a leader is stopped, that is a part of the figure. haqactor's client notices
  by itself. What is confirmed is in memory alone for some of them: a killed process loses none of that, a
  loss of power would.
- `restart_*_1M_s` is a clean stop and a `kill -9` of all three nodes; PySyncObj, which would take hours, has
  no row with a million messages or with 64 KiB each.
- Bodies are random bytes, so that nobody gains by compressing; `disk_bytes_per_message` is measured with
  records. Python programs keep the bodies where garbage collection does not look (`gc.freeze`).
"""


def shown(value: float) -> str:
    """Three or four digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(figures: list[dict[str, Any]], peers: list[str]) -> list[str]:
    """One row a figure; behind each peer's value how many times better haqactor is."""
    values = {(each["peer"], each["name"]): float(each["value"]) for each in figures}
    units = {each["name"]: each["unit"] for each in figures}
    lines = [
        "| figure | what it is | unit | haqactor | " + " | ".join(peers) + " |",
        "|---|---|---|---:|" + "---:|" * len(peers),
    ]
    for name, unit in units.items():
        ours = values.get((_OURS, name))
        if not any((peer, name) in values for peer in peers):
            continue
        cells = ["" if ours is None else f"**{shown(ours)}**"]
        for peer in peers:
            theirs = values.get((peer, name))
            cells.append("" if theirs is None else f"{shown(theirs)}{_times(ours, theirs, unit)}")
        lines.append(f"| `{name}` | {MEANING.get(name, '')} | {unit} | " + " | ".join(cells) + " |")
    return lines


def _times(ours: float | None, theirs: float, unit: str) -> str:
    if not ours or not theirs:
        return ""
    ratio = theirs / ours if unit in _LESS_IS_BETTER else ours / theirs
    return f" ({ratio:.2g}x)"


def page(figures: list[dict[str, Any]], known: dict[str, str], where: str) -> str:
    """All of it: first who syncs when, for what follows is read by that."""
    names = list(dict.fromkeys(each["peer"] for each in figures if each["peer"] != _OURS))
    servers = [name for name in names if name not in _PYTHON]
    clients = [name for name in names if name in _PYTHON]
    lines = [
        _HEAD,
        f"Measured on: {where}. " + ", ".join(f"{key} {value}" for key, value in known.items()) + ".",
        "",
        *_footing([_OURS, *names]),
        "In brackets: how many times better haqactor does (below 1: worse).",
        "",
        *_ceiling(figures),
    ]
    if servers:
        lines += ["## Servers", ""]
        for title, own in _sections(figures, servers):
            lines += [f"### {title}", "", *table(own, servers), ""]
    if clients:
        lines += ["## What a Python program gets", "", *table(figures, clients), ""]
    theirs = {"ceiling_100B", *(each["name"] for each in figures if each["peer"] in names)}
    alone = [each for each in figures if each["name"] not in theirs]
    if alone:
        lines += [
            "## haqactor alone: how cost grows, backlogs, producers, coming back",
            "",
            *_alone(alone),
            "",
        ]
    return "\n".join([*lines, "## How it is measured", _NOTES])


def _footing(measured: list[str]) -> list[str]:
    lines = [
        "## Equal footing",
        "",
        "| name | a confirm means | it is fsynced | settings |",
        "|---|---|---|---|",
    ]
    for name in measured:
        means, synced = CONFIRMS[name]
        lines.append(f"| `{name}` | {means} | {synced} | {SETTINGS[name]} |")
    return [*lines, ""]


def _ceiling(figures: list[dict[str, Any]]) -> list[str]:
    found = [float(each["value"]) for each in figures if each["name"] == "ceiling_100B"]
    if not found:
        return []
    return [
        f"The ceiling of this run, a bare program that moves and syncs the same bytes on three disks "
        f"without consensus and without a queue: {shown(found[0])} messages of 100 B a second.",
        "",
    ]


def _sections(figures: list[dict[str, Any]], peers: list[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Those that have figures of these peers."""
    found: dict[str, list[dict[str, Any]]] = {title: [] for title, _ in SECTIONS}
    theirs = {each["name"] for each in figures if each["peer"] in peers}
    for each in figures:
        if each["name"] in theirs:
            title = next(title for title, starts in SECTIONS if each["name"].startswith(starts))
            found[title].append(each)
    return [(title, own) for title, own in found.items() if own]


def _alone(figures: list[dict[str, Any]]) -> list[str]:
    lines = ["| figure | what it is | value |", "|---|---|---:|"]
    for each in figures:
        name, value = each["name"], float(each["value"])
        lines.append(f"| `{name}` | {MEANING.get(name, '')} | {shown(value)} {each['unit']} |")
    return lines


def main() -> None:
    """Write the page. Exits where the run was none of all messages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=OUT / "peers.json", help="what the run wrote")
    wanted = parser.parse_args()
    told = json.loads(wanted.results.read_text(encoding="utf-8"))
    if told["quick"] or told["scale"] != 1:
        raise SystemExit(f"{wanted.results} is of a look with fewer messages; run make bench")
    PAGE.write_text(page(told["figures"], told["versions"], told["where"]), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
