"""``fail.json``: all that is needed to see a failure again, on any machine.

One rule: a format that is not ours, or newer than ours, is refused by a typed error and never guessed at.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Final, cast

from haqactor.sim.drawn import Drawn
from haqactor.sim.plan import Json, PlanError, mapping
from haqactor.sim.verdict import Verdict

FORMAT: Final = 1
FORMAT_KEY: Final = "sim-format"
PACKAGES: Final = ("trio", "cbor2", "zstandard")
_NUMBERS: Final = ("term", "index", "at_ns", "event")


class ArtefactError(ValueError):
    """This cannot be replayed; the text says why, and what to do."""


class ForeignFormat(ArtefactError):
    """It is not a failure of this simulator."""


class NewerFormat(ArtefactError):
    """A newer simulator wrote it; ``found`` is its format."""

    def __init__(self, found: int) -> None:
        super().__init__(f"written in format {found}, this version reads up to {FORMAT}: update haqactor")
        self.found = found


class DamagedArtefact(ArtefactError):
    """It is ours, but parts are missing or make no sense."""


@dataclass(frozen=True, slots=True)
class Record:
    """One of the facts that cannot be true together. ``event``: its number in the trace; ``at_ns``: true
    world time; None where it has none."""

    text: str
    host: str = ""
    term: int | None = None
    index: int | None = None
    at_ns: int | None = None
    event: int | None = None

    def to_json(self) -> dict[str, Json]:
        """Unknown parts are left out."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        known = {name: number for name, number in numbers.items() if number is not None}
        return {"text": self.text, "host": self.host, **known}


def versions() -> dict[str, str]:
    """Of what a replay depends on, here and now."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A failed run. ``run``: what it was given besides seed and profile; ``bugs``: the planted
    ones that were switched on; ``digest``: of its trace; ``invariant``: the id of what was broken (``S1``) or
    empty; ``planned``: how many faults there were before shrinking, after ``shrink_runs`` runs; ``commit``:
    of the code that ran."""

    seed: int
    profile: str
    run: Drawn
    verdict: Verdict
    digest: str
    invariant: str = ""
    message: str = ""
    at_ns: int | None = None
    event: int | None = None
    records: tuple[Record, ...] = ()
    bugs: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=versions)
    commit: str = ""
    planned: int | None = None
    shrink_runs: int = 0

    def foreign_versions(self) -> tuple[str, ...]:
        """What differs here from where it was written, one line each; a replay may then go another way."""
        here = versions()
        return tuple(
            f"{name} {self.versions.get(name, 'none')} there, {here[name]} here"
            for name in here
            if self.versions.get(name) != here[name]
        )


def dumps(artefact: Artefact) -> str:
    """The text of ``fail.json``; the same for equal artefacts."""
    out: dict[str, Json] = {
        FORMAT_KEY: FORMAT,
        "seed": artefact.seed,
        "profile": artefact.profile,
        "verdict": artefact.verdict.value,
        "invariant": artefact.invariant,
        "message": artefact.message,
        "at_ns": artefact.at_ns,
        "event": artefact.event,
        "digest": artefact.digest,
        "records": [record.to_json() for record in artefact.records],
        "run": artefact.run.to_json(),
        "bugs": list(artefact.bugs),
        "versions": dict(artefact.versions),
        "commit": artefact.commit,
        "planned": artefact.planned,
        "shrink_runs": artefact.shrink_runs,
    }
    return json.dumps(out, indent=1, ensure_ascii=False) + "\n"


def loads(text: str | bytes) -> Artefact:
    """Read what ``dumps`` wrote. Raises ForeignFormat, NewerFormat, DamagedArtefact."""
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise ForeignFormat(f"not JSON ({error}): hand in the fail.json that a failed run wrote") from None
    if not isinstance(value, dict) or FORMAT_KEY not in value:
        raise ForeignFormat(f"it has no {FORMAT_KEY!r}: hand in the fail.json that a failed run wrote")
    row = cast("dict[str, object]", value)
    found = row[FORMAT_KEY]
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ForeignFormat(f"{FORMAT_KEY} is {found!r}: no version of this simulator wrote that")
    if found > FORMAT:
        raise NewerFormat(found)
    try:
        return _read(row)
    except (KeyError, TypeError, ValueError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DamagedArtefact(f"{said}: the file was cut or edited; run the seed again") from None


def _read(row: Mapping[str, object]) -> Artefact:
    records, found = row["records"], mapping(row["versions"], "versions")
    if not isinstance(records, list):
        raise PlanError("records: a list is wanted")
    return Artefact(
        seed=_int(row, "seed"),
        profile=_text(row, "profile"),
        run=Drawn.from_json(row["run"]),
        verdict=Verdict(_text(row, "verdict")),
        digest=_text(row, "digest"),
        invariant=_text(row, "invariant"),
        message=_text(row, "message"),
        at_ns=_maybe(row, "at_ns"),
        event=_maybe(row, "event"),
        records=tuple(_record(item) for item in cast("list[object]", records)),
        bugs=_texts(row, "bugs"),
        versions={name: _text(found, name) for name in found},
        commit=_text(row, "commit"),
        planned=_maybe(row, "planned"),
        shrink_runs=_int(row, "shrink_runs"),
    )


def _record(value: object) -> Record:
    row = mapping(value, "a record")
    numbers = {name: _maybe(row, name) for name in _NUMBERS}
    return Record(_text(row, "text"), _text(row, "host"), **numbers)


def _int(row: Mapping[str, object], name: str) -> int:
    value = row[name]
    if not isinstance(value, int):
        raise PlanError(f"{name}: an integer is wanted, not {value!r}")
    return value


def _maybe(row: Mapping[str, object], name: str) -> int | None:
    return None if row.get(name) is None else _int(row, name)


def _text(row: Mapping[str, object], name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise PlanError(f"{name}: text is wanted, not {value!r}")
    return value


def _texts(row: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = row[name]
    if not isinstance(value, list):
        raise PlanError(f"{name}: a list is wanted, not {value!r}")
    return tuple(_text({name: item}, name) for item in cast("list[object]", value))
