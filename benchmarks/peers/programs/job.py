"""A client program's job and its account of what arrived: the same arguments and the same JSON as our C
programs.

One rule: every body is compared with what was sent, byte by byte; what comes twice is counted, what is
missing is an error.
"""

import gc
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


class Wrong(Exception):
    """The peer refused something, or what arrived is not what was sent."""


@dataclass(slots=True)
class Job:
    """``MODE name=value ...``; ``window``: in flight at once; ``batch``: acknowledged at once."""

    mode: str
    queue: str = ""
    bodies: str = ""
    ports: list[int] = field(default_factory=list[int])
    count: int = 0
    size: int = 0
    window: int = 1_000
    batch: int = 100
    credit: int = 1_000
    rate: int = 100
    warm: int = 0
    audit: bool = False
    anywhere: bool = False

    @classmethod
    def parse(cls, arguments: list[str]) -> "Job":
        """Raises Wrong for what is not understood."""
        if not arguments:
            raise Wrong("usage: MODE name=value ...")
        job = cls(arguments[0])
        for argument in arguments[1:]:
            name, separator, value = argument.partition("=")
            if not separator or name == "mode" or name not in cls.__slots__:
                raise Wrong(f"not understood: {argument}")
            match getattr(job, name):
                case bool():
                    setattr(job, name, value != "0")
                case int():
                    setattr(job, name, int(value))
                case list():
                    setattr(job, name, [int(port) for port in value.split(",")])
                case _:
                    setattr(job, name, value)
        return job

    def load(self) -> list[bytes]:
        """The bodies. Raises Wrong if the file holds fewer."""
        data = Path(self.bodies).read_bytes()
        if self.size < 8 or len(data) < self.count * self.size:
            raise Wrong(f"{self.bodies} does not hold {self.count} bodies of {self.size} bytes")
        bodies = [data[at : at + self.size] for at in range(0, self.count * self.size, self.size)]
        gc.collect()
        gc.freeze()  # as haqactor's programs: what they keep is not looked through while they are measured
        return bodies


class Arrivals:
    """What arrived, by the number in a body's first eight bytes."""

    def __init__(self, bodies: list[bytes]) -> None:
        self._bodies = bodies
        self._seen = bytearray(len(bodies))
        self.different = 0
        self.duplicates = 0

    def take(self, body: bytes) -> None:
        """Raises Wrong for one that was not sent."""
        number = int.from_bytes(body[:8], "big")
        if number >= len(self._bodies) or body != self._bodies[number]:
            raise Wrong("a message arrived that was not sent")
        if self._seen[number]:
            self.duplicates += 1
        else:
            self._seen[number] = 1
            self.different += 1

    @property
    def complete(self) -> bool:
        """Whether each has arrived."""
        return self.different == len(self._bodies)


def report(count: int, seconds: float, duplicates: int = 0) -> None:
    """The result, on standard output."""
    answer = {"count": count, "seconds": seconds, "duplicates": duplicates, "redelivered": 0}
    print(json.dumps(answer), flush=True)


def fail(error: BaseException) -> None:
    """Exit code 1, the reason on standard error."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1)


def now() -> float:
    """Seconds of the clock that every process of the machine shares."""
    return time.monotonic()
