"""Running a target: inputs in, outcomes counted, findings kept.

One rule: an input that led somewhere new joins the corpus; one that led where nobody should get to is a
finding, once for each place.
"""

import resource
import signal
import traceback
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from time import perf_counter
from types import FrameType
from typing import Any, Final

from tests.fuzz.mutator import next_input
from tests.fuzz.target import Contradiction, Target

SECONDS_MAX: Final = 1.0
"""What one input may take."""
_HUNG_SECONDS: Final = 10
_POOL_MAX: Final = 2000
_TRACED_EVERY: Final = 97


class Hung(BaseException):
    """An input did not come to an end."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that a decoder did wrong with. ``place``: what and where, the same for its like."""

    place: str
    data: bytes
    story: str


@dataclass(slots=True)
class Outcome:
    """What came of a target. ``outcomes``: how often each was met. ``seconds``: of the wall, making the
    inputs included."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    findings: dict[str, Finding] = field(default_factory=dict[str, Finding])


def _label(error: Exception) -> str:
    """The kind of error and the line that raised it."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return type(error).__name__
    return f"{type(error).__name__} at {step.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{step.tb_lineno}"


def _place(error: BaseException) -> str:
    """The kind of error, and the innermost line of ours that it came through."""
    found = ""
    for step in traceback.extract_tb(error.__traceback__):
        if "site-packages" not in step.filename and "/lib/python" not in step.filename:
            found = f"{step.filename.rsplit('/', 2)[-2]}/{step.filename.rsplit('/', 1)[-1]}:{step.lineno}"
    return f"{type(error).__name__} at {found}"


class Runner:
    """One target, one seed."""

    def __init__(self, target: Target, seed: int) -> None:
        self.target = target
        self.outcome = Outcome(target.name)
        self._random = Random(f"{seed} {target.name}")
        self._pool = list(target.corpus())
        self._resident = _resident_bytes()

    def begin(self) -> None:
        """The corpus itself: every valid input is taken. Then, where the format is sealed, each of its bits
        flipped in turn."""
        for data in self._pool:
            self.target.decode(data)
            self._consistent(data)
        if self.target.sealed:
            for data in self._pool:
                if len(data) <= 1000:
                    for at in range(len(data) * 8):
                        self.flipped(data, at)

    def flipped(self, data: bytes, at: int) -> None:
        """One bit of a valid input: nothing but an error may come of it."""
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        try:
            value = self.target.decode(bytes(changed))
        except self.target.errors:
            return
        if self.target.same is not None and self.target.same(value, self.target.decode(data)):
            return
        self._found(Contradiction("an input with a flipped bit was taken"), bytes(changed))

    def step(self) -> None:
        """One more input."""
        data = next_input(self._random, self.target, self._pool)
        label = self.tried(data)
        if label not in self.outcome.outcomes and len(self._pool) < _POOL_MAX and len(data) < 50_000 and data:
            try:
                if self.target.trees is not None:
                    self.target.trees(data)
                self._pool.append(data)
            except Exception:  # its trees cannot be found any more: it would be no base for new ones
                pass
        self.outcome.outcomes[label] = self.outcome.outcomes.get(label, 0) + 1

    def tried(self, data: bytes) -> str:
        """What came of one input: a label for it."""
        traced = self.outcome.inputs % _TRACED_EVERY == 0
        self.outcome.inputs += 1
        began = perf_counter()
        try:
            label = self._traced(data) if traced else self._once(data)
        except (Exception, Hung) as error:
            self._found(error, data)
            label = f"FOUND {_place(error)}"
        seconds = perf_counter() - began
        if seconds > SECONDS_MAX and not traced:
            self._found(Contradiction(f"an input took more than {SECONDS_MAX:g} s: {label}"), data)
        resident = _resident_bytes()
        if resident > self._resident + 4 * self.target.bytes_max:
            self._found(
                Contradiction(f"an input took {(resident - self._resident) >> 20} MiB: {label}"), data
            )
        self._resident = resident
        return label

    def _once(self, data: bytes) -> str:
        try:
            self.target.decode(data)
        except self.target.errors as error:
            return _label(error)
        self._consistent(data)
        return "taken"

    def _consistent(self, data: bytes) -> None:
        """What an input means is what its own encoding means."""
        target = self.target
        if target.encode is None:
            return
        once = target.encode(target.decode(data))
        again = target.encode(target.decode(once))
        if once != again:
            raise Contradiction("what was decoded changes when it is encoded and decoded again")

    def _traced(self, data: bytes) -> str:
        tracemalloc.start()
        try:
            label = self._once(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        if peak > self.target.bytes_max:
            raise Contradiction(f"an input of {len(data)} bytes took {peak} bytes of memory")
        return label

    def _found(self, error: BaseException, data: bytes) -> None:
        place = (
            _place(error) if error.__traceback__ is not None else f"{type(error).__name__}: {str(error)[:60]}"
        )
        if place not in self.outcome.findings:
            story = "".join(traceback.format_exception(error))
            self.outcome.findings[place] = Finding(place, data, story)


def _resident_bytes() -> int:
    """The most that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise Hung(f"no end within {_HUNG_SECONDS} s")


def run(
    target: Target,
    seed: int,
    *,
    seconds: float | None = None,
    inputs: int | None = None,
    watch: Callable[[Outcome], Any] | None = None,
) -> Outcome:
    """Fuzz one target for so long, or for so many inputs. ``watch`` is called now and then."""
    runner = Runner(target, seed)
    before = signal.signal(signal.SIGALRM, _alarm)
    began = perf_counter()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0)
        runner.begin()
        while (seconds is None or perf_counter() - began < seconds) and (
            inputs is None or runner.outcome.inputs < inputs
        ):
            if runner.outcome.inputs % 64 == 0:
                signal.setitimer(signal.ITIMER_REAL, _HUNG_SECONDS)
                if watch is not None:
                    watch(runner.outcome)
            runner.step()
            runner.outcome.seconds = perf_counter() - began
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return runner.outcome


def name_of(finding: Finding) -> str:
    """A file's name for it."""
    return blake2b(finding.data, digest_size=8).hexdigest()
