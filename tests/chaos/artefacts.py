"""What a run leaves in its directory: ``plan.json``, ``history.jsonl``, ``result.json``, ``timeline.svg``,
and the logs of nodes and clients.

One rule: the picture and the verdict are kept of every run, the rest only of one that failed (the clients'
log always, since it is written on the way).
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tests.chaos import picture
from tests.chaos.plan import to_json
from tests.chaos.run import Result, Run
from tests.chaos.timeline import Figures, figures
from tests.chaos.workload import HOSTS

SCHEMA: Final = "haq.chaos/1"
BREAKS_MAX: Final = 50


def lanes(result: Result) -> list[str]:
    """Nodes first, then hosts."""
    return [*(f"n{number}" for number in range(result.settings.nodes)), *HOSTS]


def figures_of(result: Result) -> Figures:
    """While the programs published."""
    return figures(result.history.records, result.faults_until_s)


def until_s(result: Result) -> float:
    """The end of what there is to see."""
    return max(result.faults_until_s, result.drained_s, 1.0)


def summary(result: Result) -> dict[str, Any]:
    """For programs."""
    return {
        "schema": SCHEMA,
        "seed": result.settings.seed,
        "seconds": result.settings.seconds,
        "nodes": result.settings.nodes,
        "verdict": "pass" if result.passed else "fail",
        "promises": {promise: breaks[:BREAKS_MAX] for promise, breaks in result.broken.items()},
        "faults": result.fired,
        "figures": asdict(figures_of(result)),
        "drained_s": result.drained_s,
        "notes": [list(note) for note in result.notes],
        "spans": [asdict(span) for span in result.spans],
    }


def keep_picture(result: Result, directory: Path) -> Path:
    """The picture; returns where it is."""
    path = directory / "timeline.svg"
    verdict = "every promise held" if result.passed else "BROKEN: " + ", ".join(broken(result))
    found = figures_of(result)
    title = (
        f"seed {result.settings.seed}, {result.settings.nodes} nodes: {found.confirmed:,} messages "
        f"confirmed, {sum(result.fired.values())} faults; {verdict}"
    )
    picture.draw(path, title, lanes(result), result.spans, result.history.records, found, until_s(result))
    return path


def broken(result: Result) -> Sequence[str]:
    """The promises that did not hold."""
    return [promise for promise, breaks in result.broken.items() if breaks]


def keep(run: Run, directory: Path) -> None:
    """All that is needed to understand a failure; works at any moment of a run."""
    directory.mkdir(parents=True, exist_ok=True)
    result = run.result
    (directory / "plan.json").write_text(to_json(result.settings.seed, result.plan), encoding="utf-8")
    run.history.write(directory / "history.jsonl")
    for node in run.nodes.values():
        if node.log.exists():
            shutil.copyfile(node.log, directory / f"{node.name}.log")
    (directory / "result.json").write_text(json.dumps(summary(result), indent=1) + "\n", encoding="utf-8")
