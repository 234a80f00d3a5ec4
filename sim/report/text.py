"""A failure in at most 25 lines: what was broken, the facts that contradict each other, how to see it again.

One rule: what matters most stands first, and what does not fit is counted, not dropped silently.
"""

from collections.abc import Sequence
from heapq import nlargest
from typing import Final

from haqactor.sim.failure.artefact import Artefact, Record
from haqactor.sim.plan import NS
from haqactor.sim.report.story import BEATS, MESSAGES, MILESTONES, Describe
from haqactor.sim.report.words import data_text, message_text
from haqactor.sim.trace import Event
from haqactor.sim.verdict import Verdict

LINES_MAX: Final = 25
WIDTH: Final = 110
_RECORDS_MAX: Final = 4
_FAULTS_MAX: Final = 6
_EVENTS_MAX: Final = 20
_UNFAILED: Final = {
    Verdict.PASS: "PASS",
    Verdict.UNRECOVERABLE: "PASS unrecoverable: refused, as it should",
    Verdict.UNDETERMINED: "NOT DETERMINED",
}


def report(
    artefact: Artefact,
    events: Sequence[Event] = (),
    *,
    replay: str = "haq sim replay fail.json",
    html: str = "",
    describe: Describe | None = None,
) -> str:
    """``events``: the trace, in order, as far as it was recorded; ``html``: the path of the page;
    ``describe``: names messages and tells what is in them. At most LINES_MAX lines of WIDTH characters, no
    line's end after the last."""
    head = _head(artefact)
    facts = _section(
        "these contradict each other", [_record(record) for record in artefact.records], _RECORDS_MAX
    )
    faults = _section(_plan_title(artefact), [str(fault) for fault in artefact.run.plan], _FAULTS_MAX)
    foot = [_origin(artefact), f"replay   {replay}"]
    if html:
        foot.append(f"look at  {html}")
    room = LINES_MAX - len(head) - len(facts) - len(faults) - len(foot) - 1
    last = _last(artefact, events, min(room, _EVENTS_MAX), describe)
    return "\n".join(_cut(line) for line in (*head, *facts, *faults, *last, *foot))


def _head(artefact: Artefact) -> list[str]:
    verdict = f"FAIL {artefact.verdict.value}" if artefact.verdict.failed else _UNFAILED[artefact.verdict]
    invariant = f"  {artefact.invariant}" if artefact.invariant else ""
    when = "" if artefact.at_ns is None else f"  at {artefact.at_ns / NS:.6f} s"
    event = "" if artefact.event is None else f", event {artefact.event}"
    lines = [f"{verdict}{invariant}{when}{event}"]
    return [*lines, *(f"  {line}" for line in artefact.message.splitlines()[:2])]


def _section(title: str, lines: list[str], most: int) -> list[str]:
    if not lines:
        return []
    shown = lines if len(lines) <= most else [*lines[: most - 1], f"... and {len(lines) - most + 1} more"]
    return [title, *(f"  {line}" for line in shown)]


def _record(record: Record) -> str:
    parts = [record.host or "-"]
    if record.term is not None:
        parts.append(f"term {record.term}")
    if record.index is not None:
        parts.append(f"index {record.index}")
    if record.at_ns is not None:
        parts.append(f"{record.at_ns / NS:.6f} s")
    return f"{' '.join(parts)}: {' '.join(record.text.split())}"


def _plan_title(artefact: Artefact) -> str:
    run = artefact.run
    title = f"fault plan: {len(run.plan)}"
    if artefact.planned is not None and artefact.shrink_runs:
        title += f" of {artefact.planned}, shrunk in {artefact.shrink_runs} runs"
    chances = ", ".join(f"{kind} {chance:g}" for kind, chance in sorted(run.chances.items()) if chance)
    limits = ", ".join(f"{name} {bound:g}" for name, bound in sorted(run.limits.items()))
    return title + (f"; by chance: {chances}" if chances else "") + (f"; limits: {limits}" if limits else "")


def _origin(artefact: Artefact) -> str:
    versions = " ".join(f"{name} {version}" for name, version in artefact.versions.items())
    commit = f" at {artefact.commit[:12]}" if artefact.commit else ""
    return (
        f"seed {artefact.seed}, profile {artefact.profile}{commit}, trace {artefact.digest[:16]}, {versions}"
    )


def _last(artefact: Artefact, events: Sequence[Event], most: int, describe: Describe | None) -> list[str]:
    """The events before the violation at the hosts that the records name; messages and writes give way to
    what happens more rarely."""
    if most < 2:
        return []
    hosts = dict.fromkeys(record.host for record in artefact.records if record.host)
    own = [
        event
        for event in events
        if _before(event, artefact)
        and (not hosts or event.host in hosts or event.kind in ("partition", "heal"))
    ]
    if not own:
        return []
    sends = {event.number: event for event in events if event.kind == "send"}
    near = _telling(own, sends, most * 4, describe)
    told = nlargest(most, near, key=lambda event: (_weight(event), event.number))
    names = ", ".join(hosts) or "all hosts"
    said = _sayings(events, told, describe)
    return [
        f"last events of {names}",
        *(_event(event, said) for event in sorted(told, key=lambda event: event.number)),
    ]


def _telling(own: list[Event], sends: dict[int, Event], most: int, describe: Describe | None) -> list[Event]:
    """The last ones, without messages that only say "still here"."""
    if describe is None:
        return own[-most:]
    found: list[Event] = []
    for event in reversed(own):
        if len(found) >= most:
            break
        sent = sends.get(event.number if event.kind == "send" else event.cause)
        said = None if sent is None else describe(sent)
        if said is None or said[0] not in BEATS:
            found.append(event)
    return found[::-1]


def _before(event: Event, artefact: Artefact) -> bool:
    """Not later than the violation."""
    if artefact.event is not None:
        return event.number <= artefact.event
    return artefact.at_ns is None or event.at_ns <= artefact.at_ns


def _sayings(events: Sequence[Event], told: list[Event], describe: Describe | None) -> dict[int, str]:
    """What was in the messages, by the number of their ``send``."""
    if describe is None:
        return {}
    wanted = {event.number if event.kind == "send" else event.cause: None for event in told}
    found = {event.number: describe(event) for event in events if event.number in wanted}
    return {number: words[1] for number, words in found.items() if words is not None}


def _weight(event: Event) -> int:
    if event.kind in MILESTONES or event.kind.startswith("client."):
        return 3
    return 1 if event.kind in MESSAGES else 2 if event.kind in ("log", "mark") else 0


def _event(event: Event, said: dict[int, str]) -> str:
    data = event.data
    if event.kind in MESSAGES and len(data) > 1:
        body = said.get(event.number if event.kind == "send" else event.cause) or message_text(data)
        text = f"{event.kind} {data_text(data[:1])} > {data_text(data[1:2])} {body}"
    else:
        text = f"{event.kind} {data_text(data)}"
    return f"  {event.at_ns / NS:>12.6f} {event.host:<8} {text}".rstrip()


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
