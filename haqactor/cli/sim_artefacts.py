"""Failures as files on a real disk: written when a run fails, read by ``replay``, ``shrink`` and ``diff``.

One rule: a failure is run once more before it is written, so that what is written is known to come back.
"""

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from haqactor.cli.output import say

if TYPE_CHECKING:
    from haqactor.sim.failure.artefact import Artefact
    from haqactor.sim.run import Result
    from haqactor.sim.search.settings import Settings
    from haqactor.sim.trace import Event

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_ZSTD: Final = ".zst"


def folder(artefacts: str, seed: int, profile: str, bugs: tuple[str, ...] = ()) -> Path:
    """Where a seed's failure goes."""
    return Path(artefacts) / "-".join((profile, *bugs, str(seed)))


def commit() -> str:
    """Of the code that runs, where it is a checkout."""
    from haqactor.sim.failure.replay import commit_of

    return commit_of(ROOT)


def failure(result: "Result", where: Path) -> "tuple[Artefact, Result, str]":
    """Run a failed run again, write it down, and hand back what came of it and the report of it."""
    from haqactor.sim.failure.replay import TEXT, of, replay, write

    artefact = of(result, commit=commit())
    again = replay(artefact) if result.trace is None else result
    if result.trace is None and again.digest == artefact.digest:
        artefact = of(again, commit=artefact.commit)  # its records point into the trace now
    where.mkdir(parents=True, exist_ok=True)
    write(where, artefact, again)
    return artefact, again, (where / TEXT).read_text(encoding="utf-8")


def failed_seed(
    where: str, seed: int, profile: str, settings: "Settings", bugs: tuple[str, ...]
) -> tuple[str, str]:
    """Work for a worker: run a seed, and write its failure into a folder. The verdict, and the report; ""
    where it passed."""
    from haqactor.sim.run import run

    result = run(seed, profile, drawn=settings.of(seed, profile), bugs=bugs, recording=True)
    if not result.verdict.failed:
        return result.verdict.value, ""
    return result.verdict.value, failure(result, Path(where))[2]


def load(path: str) -> "Artefact":
    """Read ``fail.json``. Raises UsageError for what is none."""
    from haqactor.sim.checkers.canary import CANARY
    from haqactor.sim.failure.artefact import ArtefactError, loads
    from haqactor.sim.planted.bugs import BUGS

    try:
        artefact = loads(Path(path).read_bytes())
    except ArtefactError as error:
        raise click.UsageError(f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{path}: not JSON: hand in the fail.json that a failed run wrote") from None
    known = [CANARY, *(bug.name for bug in BUGS.values())]
    gone = [name for name in artefact.bugs if name not in known]
    if gone:
        raise click.UsageError(f"{path}: there is no planted bug {', '.join(gone)} in this version")
    return artefact


# -- traces


def write_trace(path: str, events: "Iterable[Event]") -> None:
    """Lines of JSON; compressed where the name ends in ``.zst``."""
    from haqactor.sim.failure.tracefile import lines

    text = "".join(f"{line}\n" for line in lines(events))
    data = text.encode()
    if path.endswith(_ZSTD):
        import zstandard

        data = zstandard.ZstdCompressor().compress(data)
    Path(path).write_bytes(data)
    say(f"wrote {path}")


def read_trace(path: str) -> "Iterator[Event]":
    """What ``write_trace`` wrote. Raises UsageError for anything else."""
    from haqactor.sim.failure.tracefile import TraceError, parse

    data = Path(path).read_bytes()
    try:
        if path.endswith(_ZSTD):
            import zstandard

            try:
                with zstandard.ZstdDecompressor().stream_reader(data) as reader:
                    data = reader.read()
            except zstandard.ZstdError as error:
                raise click.UsageError(f"{path}: {error}") from None
        yield from parse(io.StringIO(data.decode()))
    except (TraceError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path}: {error}") from None


def is_artefact(path: str) -> bool:
    """Whether a file is a failure, and not a trace."""
    if path.endswith(_ZSTD):
        return False
    try:
        value: Any = json.loads(Path(path).read_bytes())
    except ValueError:
        return False
    return isinstance(value, dict) and "sim-format" in value


def write_page(path: str, result: "Result") -> None:
    """The page of a recorded run, whatever came of it."""
    from haqactor.sim.failure.replay import of, upto
    from haqactor.sim.report import html
    from haqactor.sim.report.frames import Frames

    if result.trace is None:
        raise ValueError("the run was not recorded")
    artefact, events = of(result, commit=commit()), upto(result)
    again = f"haq sim run --seed {result.seed} --profile {result.profile}"
    page = html.page(artefact, events, describe=Frames(events, result.trace.bodies), replay=again)
    Path(path).write_text(page, encoding="utf-8")
    say(f"wrote {path}")
