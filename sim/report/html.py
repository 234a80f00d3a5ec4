"""``fail.html``: one file with the whole story of a failed run, for a browser, without a network.

One rule: whatever the run said is data; it is written as JSON in which no markup can hide, and shown as text.
The page stays below a size: what is near the violation is kept, and a sample of what is far from it.
"""

import html
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final

from haqactor.sim.failure.artefact import Artefact
from haqactor.sim.plan import seconds
from haqactor.sim.report import text
from haqactor.sim.report.choice import QUIET, Choice, choose
from haqactor.sim.report.story import BEATS, Describe, Row, Story, tell
from haqactor.sim.trace import Event

BYTES_MAX: Final = 200_000
BUCKETS: Final = 200
SPANS_MAX: Final = 300
_REPLAY: Final = "haq sim replay fail.json"


def page(
    artefact: Artefact,
    events: Sequence[Event],
    *,
    clients: Iterable[str] = (),
    describe: Describe | None = None,
    replay: str = _REPLAY,
    bytes_max: int = BYTES_MAX,
) -> str:
    """The page, of at most ``bytes_max`` bytes as UTF-8. ``clients``: hosts that are none of ours;
    ``describe``: names messages and tells what is in them."""
    story = tell(events, clients=clients, describe=describe)
    report = text.report(artefact, events, replay=replay, describe=describe)
    frame = _part("page.html")
    fixed = {
        "title": html.escape(f"{artefact.verdict.value} {artefact.invariant} seed {artefact.seed}"),
        "style": _part("page.css"),
        "script": _part("page.js"),
        "report": html.escape(report),
    }
    most = bytes_max - sum(len(part.encode()) for part in (frame, *fixed.values()))
    room = most
    while True:
        choice = choose(story, artefact, room)
        run = _embedded(_data(artefact, story, choice, replay))
        over = len(run) - most
        if over <= 0 or room <= 0:
            break
        room -= max(over, room // 20)
    return re.sub("@([a-z]+)@", lambda found: {**fixed, "run": run}.get(found[1], found[0]), frame)


def _part(name: str) -> str:
    return files("haqactor.sim.report").joinpath(name).read_text("utf-8")


def _embedded(value: object) -> str:
    """JSON that can stand in a script element: no end of it, and no entity, can appear."""
    written = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return written.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _data(artefact: Artefact, story: Story, choice: Choice, replay: str) -> dict[str, Any]:
    words: dict[str, int] = {"": 0}
    places = {row.event.number: place for place, row in enumerate(choice.rows)}
    rows = _rows(story, choice, places, words)
    spans = [
        [span.kind, span.lane, span.from_ns, span.to_ns, words.setdefault(span.text, len(words))]
        for span in choice.spans
    ]
    facts = [
        [
            *(record.text, record.host, record.term, record.index, record.at_ns),
            -1 if record.event is None else places.get(record.event, -1),
        ]
        for record in artefact.records
    ]
    origin = f"seed {artefact.seed}, profile {artefact.profile}, trace {artefact.digest}"
    versions = ", ".join(f"{name} {version}" for name, version in artefact.versions.items())
    until = f", until {seconds(artefact.run.until_ns)} s" if artefact.run.until_ns else ""
    return {
        "verdict": f"FAIL {artefact.verdict.value}" if artefact.verdict.failed else artefact.verdict.value,
        "failed": artefact.verdict.failed,
        "invariant": artefact.invariant,
        "message": artefact.message,
        "begin": story.begin_ns,
        "end": max(story.end_ns, story.begin_ns + 1),
        "lanes": [[lane.name, int(lane.client)] for lane in story.lanes],
        "rows": rows,
        "words": list(words),
        "spans": spans,
        "facts": facts,
        "violation": places.get(choice.violation, -1),
        "plan": [[fault.at_ns, str(fault)] for fault in artefact.run.plan][:SPANS_MAX],
        "quiet": QUIET,
        "beats": BEATS,
        "density": _density(story),
        "total": len(story.rows),
        "replay": replay,
        "origin": f"{origin}, {versions}{until}",
    }


def _rows(story: Story, choice: Choice, places: dict[int, int], words: dict[str, int]) -> list[list[int]]:
    """Differences to the row before; lanes from 1; the cause as how many rows back, the message with
    which one travelled as how many rows on; zeros at the end left out."""
    rows: list[list[int]] = []
    number, at_ns = 0, story.begin_ns
    for place, row in enumerate(choice.rows):
        event = row.event
        cause, skipped = _shown_cause(story, row, places)
        arrived = event.kind in ("recv", "drop") and cause in places
        label, body = story.words(event.number)
        if arrived and body == story.words(cause)[1]:
            body = ""
        packed = [
            event.number - number,
            event.at_ns - at_ns,
            words.setdefault(event.kind, len(words)),
            row.lane + 1,
            row.peer + 1,
            words.setdefault(label, len(words)),
            words.setdefault(body, len(words)),
            place - places[cause] if cause in places else 0,
            int(row.guessed) | skipped << 1,
            places.get(story.joined.get(event.number, -1), place) - place,
        ]
        while packed and not packed[-1]:
            packed.pop()
        rows.append(packed)
        number, at_ns = event.number, event.at_ns
    return rows


def _shown_cause(story: Story, row: Row, places: dict[int, int]) -> tuple[int, int]:
    """The nearest cause on the page, and how many were passed over."""
    cause, skipped = story.joined.get(row.event.number, row.cause), 0
    while cause in story.rows and cause not in places:
        cause, skipped = story.rows[cause].cause, skipped + 1
    return (cause, skipped) if cause in places and cause < row.event.number else (-1, 0)


def _density(story: Story) -> list[int]:
    counts = [0] * BUCKETS
    span = max(1, story.end_ns - story.begin_ns + 1)
    for row in story.rows.values():
        counts[(row.event.at_ns - story.begin_ns) * BUCKETS // span] += 1
    return counts
