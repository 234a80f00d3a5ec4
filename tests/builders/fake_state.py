"""What the fake cluster remembers: queues, their messages, consumers.

One rule: plain records; the cluster keeps them right.
"""

from dataclasses import dataclass, field
from typing import Any

from haqactor import batch


@dataclass
class FakeMessage:
    body: batch.Content
    failures: int = 0
    lease: tuple[int, int] | None = None
    holder: "FakeConsumer | None" = None
    done: bool = False
    ready_ns: int = 0
    lease_ends_ns: int = 0


@dataclass
class FakeQueue:
    name: str
    uid: int
    group: int
    settings: dict[str, Any]
    version: int = 1
    messages: list[FakeMessage] = field(default_factory=list[FakeMessage])
    windows: dict[bytes, list[tuple[int, int, int, int]]] = field(default_factory=dict[bytes, Any])
    epochs: dict[bytes, int] = field(default_factory=dict[bytes, int])
    duplicates: int = 0
    dead: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    nacks: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    released: list[int] = field(default_factory=list[int])
    started: list[list[int]] = field(default_factory=list[list[int]])


@dataclass(eq=False)
class FakeConsumer:
    connection: Any
    group: int
    uid: int
    number: int
    messages: int
    size: int
