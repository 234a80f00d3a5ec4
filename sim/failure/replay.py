"""A failed run as files, and back: the same run again, and whether it went the same way.

One rule: a replay is judged by the digest of its trace; one that differs is no replay, and is told as such.
"""

from dataclasses import replace
from typing import Any, Final, Protocol

from haqactor.sim.failure.artefact import Artefact, dumps
from haqactor.sim.failure.contradiction import records
from haqactor.sim.report import html, text
from haqactor.sim.report.frames import Frames
from haqactor.sim.run import Result, run
from haqactor.sim.trace import Event, Trace
from haqactor.sim.verdict import Verdict

JSON: Final = "fail.json"
HTML: Final = "fail.html"
TEXT: Final = "fail.txt"


class Path(Protocol):
    """What is needed of a ``pathlib.Path``."""

    def joinpath(self, name: str, /) -> Any:
        """One in it."""
        ...

    def read_text(self, encoding: str) -> str:
        """All of it. Raises OSError."""
        ...

    def write_text(self, data: str, encoding: str) -> int:
        """Make it hold that."""
        ...


def of(result: Result, *, commit: str = "", planned: int | None = None, shrink_runs: int = 0) -> Artefact:
    """The artefact of a run; its records point into the trace if that was recorded. ``commit``: see
    ``commit_of``."""
    events = result.trace.events if result.trace is not None else ()
    return Artefact(
        seed=result.seed,
        profile=result.profile,
        run=result.drawn,
        verdict=result.verdict,
        digest=result.digest,
        invariant=result.invariant,
        message=result.message,
        at_ns=result.at_ns,
        event=result.event,
        records=records(result.violations[0], events) if result.violations else (),
        bugs=result.bugs,
        commit=commit,
        planned=planned,
        shrink_runs=shrink_runs,
    )


def replay(artefact: Artefact, *, recording: bool = True) -> Result:
    """Run it again. Where the digest is another than it was, the verdict is NONDETERMINISM, and ``note`` says
    how it ended, and what differs here from where it was written."""
    result = run(artefact.seed, artefact.profile, drawn=artefact.run, bugs=artefact.bugs, recording=recording)
    foreign = artefact.foreign_versions()
    if result.digest != artefact.digest:
        lines = [
            f"this went another way than what was written down: trace {result.digest[:16]}, not "
            f"{artefact.digest[:16]}; it ended as {_ended(result.verdict, result.invariant)}, not as "
            f"{_ended(artefact.verdict, artefact.invariant)}",
            *(f"another version: {line}" for line in foreign),
        ]
        if not foreign:
            code = f", {artefact.commit[:12]}," if artefact.commit else ""
            lines.append(
                f"the versions are the same: either the code has changed since{code} or a run is not decided "
                "by its seed alone; `haq sim diff` runs it twice and shows where they part"
            )
        result.verdict, result.note = Verdict.NONDETERMINISM, "\n".join(lines)
    elif foreign:
        result.note = "the same though versions differ: " + "; ".join(foreign)
    return result


def _ended(verdict: Verdict, invariant: str) -> str:
    return f"{verdict.value} {invariant}".strip()


def upto(result: Result) -> list[Event]:
    """What was recorded, up to the violation and with it; all of it where there was none."""
    events = result.trace.events if result.trace is not None else []
    return events if result.event is None else events[: result.event + 1]


def files(artefact: Artefact, events: list[Event], trace: Trace, *, where: str = "") -> dict[str, str]:
    """The three files by their names. ``trace``: of a recording run; ``events``: those of it that are shown,
    see ``upto``; ``where``: the directory, as people type it."""
    place = f"{where.rstrip('/')}/" if where else ""
    again = f"haq sim replay {place}{JSON}"
    frames = Frames(events, trace.bodies)
    return {
        JSON: dumps(artefact),
        HTML: html.page(artefact, events, describe=frames, replay=again),
        TEXT: text.report(artefact, events, replay=again, html=f"{place}{HTML}", describe=frames) + "\n",
    }


def write(directory: Path, artefact: Artefact, result: Result | None = None) -> list[str]:
    """Write fail.json, fail.html and fail.txt into a directory that is there; returns their paths.
    ``result``: of a recording run of ``artefact``; without it one is made. Records point into its trace.
    Raises OSError."""
    if result is None or result.trace is None:
        result = replay(artefact)
    trace = result.trace or Trace()
    if result.digest == artefact.digest:
        artefact = replace(artefact, records=of(result).records)
    made = files(artefact, upto(result), trace, where=str(directory))
    for name, content in made.items():
        directory.joinpath(name).write_text(content, encoding="utf-8")
    return [str(directory.joinpath(name)) for name in made]


def commit_of(root: Path) -> str:
    """The commit that is checked out at ``root``; "" where there is none."""
    try:
        head = str(root.joinpath(".git/HEAD").read_text(encoding="utf-8")).strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        try:
            return str(root.joinpath(f".git/{name}").read_text(encoding="utf-8")).strip()
        except OSError:
            packed = str(root.joinpath(".git/packed-refs").read_text(encoding="utf-8"))
            found = [line.split()[0] for line in packed.splitlines() if line.endswith(f" {name}")]
            return found[0] if found else ""
    except OSError:
        return ""
