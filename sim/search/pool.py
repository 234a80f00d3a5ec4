"""Worker processes, each with a hash seed of its own: one task at a time each, fresh interpreters.

One rule: a worker that dies or hangs costs its own task and nothing else; it is replaced, and the task is
told to have failed.

They are plain processes and not forks: nothing of this one reaches them, and whoever starts them needs no
guard in its main module.
"""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from types import TracebackType
from typing import Any, Final, NamedTuple

from haqactor.sim.search.stopwatch import wall_s
from haqactor.sim.search.worker import packed, receive

CPU_LIMIT_S: Final = 120.0
"""Of one task; a seed takes about one."""
_WALL_FACTOR: Final = 10
_SAID_MAX: Final = 4000
HASH_SEEDS: Final = ("0", "20240229")
"""Workers alternate between them: what hangs on the order of a set differs between two of them."""
RANDOM: Final = "random"


class Done(NamedTuple):
    """A task's end. ``value``: what the function returned; ``error``: the traceback of what it raised, or how
    its worker died; ``died``: whether it did; ``hash_seed``: under which it ran."""

    key: Any
    value: Any
    error: str
    died: bool
    cpu_s: float
    hash_seed: str


class _Worker:
    """One process, and what it is at."""

    def __init__(self, hash_seed: str) -> None:
        self.hash_seed = str(int.from_bytes(os.urandom(4), "big")) if hash_seed == RANDOM else hash_seed
        self.key: Any = None
        self.busy = False
        self.since_s = 0.0
        self.limit_s = 0.0
        self.said = b""
        self._answer = bytearray()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "haqactor.sim.search.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONHASHSEED": self.hash_seed},
            process_group=0,  # Ctrl-C is for the one who started it
        )
        if self.process.stdin is None or self.process.stdout is None or self.process.stderr is None:
            raise RuntimeError("a process without pipes")
        self.tasks, self.answers, self.errors = (
            self.process.stdin,
            self.process.stdout,
            self.process.stderr,
        )
        os.set_blocking(self.answers.fileno(), False)
        os.set_blocking(self.errors.fileno(), False)

    def give(self, key: Any, task: bytes, limit_s: float) -> None:
        """The next task."""
        self.key, self.busy, self.since_s, self.limit_s = key, True, wall_s(), limit_s
        try:
            self.tasks.write(task)
        except BrokenPipeError:
            pass  # its end is seen when its answer is waited for

    def hear(self) -> tuple[Any, str, float] | None:
        """Read what there is; its answer, once it is whole. Raises EOFError when it has ended."""
        self.listen()
        data = self.answers.read(1 << 20)
        if data is None:
            return None
        if not data:
            raise EOFError
        self._answer += data
        size = 4 + int.from_bytes(self._answer[:4], "big")
        if len(self._answer) < 4 or len(self._answer) < size:
            return None
        answer: tuple[Any, str, float] = receive(BytesIO(self._answer))
        self._answer.clear()
        self.busy = False
        return answer

    def listen(self) -> None:
        """Keep the last of what it says."""
        said = self.errors.read(1 << 16)
        if said:
            self.said = (self.said + said)[-_SAID_MAX:]

    def end(self) -> str:
        """Make sure that it has ended; how it did, in words."""
        overdue = self.busy and wall_s() - self.since_s > self.limit_s * _WALL_FACTOR
        self.process.kill()
        code = self.process.wait()
        self.listen()
        for pipe in (self.tasks, self.answers, self.errors):
            pipe.close()
        if overdue:
            how = f"hung for {wall_s() - self.since_s:.0f} s"
        elif code == -signal.SIGVTALRM:
            how = f"took more than {self.limit_s:g} s of CPU time"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        said = self.said.decode(errors="replace").strip()
        return f"the process that ran it {how}" + (f"; it said last:\n{said}" if said else "")


class Pool:
    """``jobs`` workers, started when they are first needed. ``hash_seeds``: which they are given in turn,
    ``random``: one that is drawn; ``fresh``: each ends with its first task. Use it as a context manager:
    leaving it ends them all."""

    def __init__(
        self,
        jobs: int,
        *,
        hash_seeds: Sequence[str] = HASH_SEEDS,
        fresh: bool = False,
    ) -> None:
        self.jobs = max(1, jobs)
        self._hash_seeds = [hash_seeds[number % len(hash_seeds)] for number in range(self.jobs)]
        self._fresh = fresh
        self._workers: list[_Worker | None] = [None] * self.jobs
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def busy(self) -> list[Any]:
        """The keys of the tasks that are being worked at."""
        return [worker.key for worker in self._workers if worker is not None and worker.busy]

    @property
    def free(self) -> bool:
        """Is anybody idle?"""
        return len(self.busy) < self.jobs

    def submit(
        self,
        key: Any,
        function: Callable[..., Any],
        *arguments: Any,
        limit_s: float = CPU_LIMIT_S,
        unlike: str | None = None,
    ) -> bool:
        """Give a task to somebody idle; False if nobody is. ``function`` and all arguments are pickled;
        ``unlike``: only to a worker with another hash seed than this, where there is one at all."""
        if unlike is not None and all(seed == unlike for seed in self._hash_seeds):
            unlike = None
        for place, hash_seed in enumerate(self._hash_seeds):
            worker = self._workers[place]
            if hash_seed != unlike and (worker is None or not worker.busy):
                if worker is None:
                    worker = self._start(place)
                worker.give(key, packed((function, arguments, limit_s)), limit_s)
                return True
        return False

    def wait(self, timeout_s: float = 1.0) -> list[Done]:
        """What has ended; waits until something has, at most so long."""
        done: list[Done] = []
        for worker in self._workers:
            if worker is not None:
                worker.listen()  # else it would wait for somebody to read
        for key, _mask in self._selector.select(timeout_s):
            ready: _Worker = key.data
            try:
                answer = ready.hear()
            except EOFError:
                done += self._died(ready)
                continue
            if answer is not None:
                value, error, cpu_s = answer
                done.append(Done(ready.key, value, error, False, cpu_s, ready.hash_seed))
                if self._fresh:
                    self._end(ready)
        now_s = wall_s()
        for worker in self._workers:
            if worker is not None and worker.busy and now_s - worker.since_s > worker.limit_s * _WALL_FACTOR:
                done += self._died(worker)
        return done

    def drop(self) -> None:
        """Give up what is being worked at."""
        for worker in self._workers:
            if worker is not None and worker.busy:
                self._end(worker)

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            if worker is not None:
                self._end(worker)

    def _start(self, place: int) -> _Worker:
        worker = self._workers[place] = _Worker(self._hash_seeds[place])
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)
        return worker

    def _end(self, worker: _Worker) -> str:
        self._selector.unregister(worker.answers)
        self._workers[self._workers.index(worker)] = None
        return worker.end()

    def _died(self, worker: _Worker) -> list[Done]:
        key, busy = worker.key, worker.busy
        how = self._end(worker)
        return [Done(key, None, how, True, 0.0, worker.hash_seed)] if busy else []
