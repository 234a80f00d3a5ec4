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
haqactor by its own, which is Python). Made by `make bench-peers-install`, `python -m benchmarks.peers` and
`python -m benchmarks.peers.page`: no number here is typed. Figures of different machines or runs cannot be
compared; the ratios of one run can.
"""
CONFIRMS: Final = {
    "haqactor": "two of three nodes have it fsynced",
    "rabbitmq-quorum": "two of three nodes have it fsynced",
    "nats-r3": "two of three nodes have it in memory; each syncs every two minutes, as it comes",
    "nats-r3-always": "two of three nodes have it fsynced",
    "redis-wait1-always": "the master has it fsynced, and one replica has it",
    "redis-wait1-everysec": "the master and one replica have it in memory; each syncs every second",
    "pysyncobj": "two of three nodes have it in memory",
}
"""What a confirm means, by whose name it has."""
_NOTES: Final = """
- haqactor's client is a Python program on the same machine as its nodes (`client_cpu_s_per_1M`); the
  servers' clients are in C. So its rates are those of cluster and client together.
- `_single` rows: each message is a publish of its own with its own confirm. RabbitMQ, Redis and PySyncObj
  have no batches of their own beyond that (Redis's pipelines are what its client does anyway), so one figure
  stands for both.
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
    """All of it."""
    names = list(dict.fromkeys(each["peer"] for each in figures if each["peer"] != _OURS))
    servers = [name for name in names if name not in _PYTHON]
    clients = [name for name in names if name in _PYTHON]
    ceiling = next((float(each["value"]) for each in figures if each["name"] == "ceiling_100B"), None)
    lines = [
        _HEAD,
        f"Measured on: {where}. " + ", ".join(f"{key} {value}" for key, value in known.items()) + ".",
    ]
    lines += ["", "In brackets: how many times better haqactor does (below 1: worse).", ""]
    if ceiling is not None:
        lines += [
            f"The ceiling of this run, a bare program that moves and syncs the same bytes on three disks "
            f"without consensus and without a queue: {shown(ceiling)} messages of 100 B a second.",
            "",
        ]
    for title, peers in (("## Servers", servers), ("## What a Python program gets", clients)):
        if peers:
            lines += [title, "", *table(figures, peers), ""]
    lines += ["## Equal footing", "", "| name | a confirm means |", "|---|---|"]
    measured = [_OURS, *names]
    lines += [f"| `{name}` | {text} |" for name, text in CONFIRMS.items() if name in measured]
    return "\n".join([*lines, _NOTES])


def main() -> None:
    """Write the page. Exits where the run was none of all messages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=OUT / "peers.json", help="what the run wrote")
    wanted = parser.parse_args()
    told = json.loads(wanted.results.read_text(encoding="utf-8"))
    if told["quick"] or told["scale"] != 1:
        raise SystemExit(f"{wanted.results} is of a look with fewer messages; run python -m benchmarks.peers")
    PAGE.write_text(page(told["figures"], told["versions"], told["where"]), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
