"""A consumer's core by itself, and connections that write down what it sends.

One rule: nothing is answered but what a test answers.
"""

from types import SimpleNamespace
from typing import Any, cast

from haqactor import wire
from haqactor.client.consuming import Subscription
from haqactor.client.lane import Lane
from haqactor.client.link import Link
from haqactor.env import NullProbe

SIZE = 40
LEASE_NS = 10**9


class Wire:
    """A connection that writes down what is sent, and who waits for an answer."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.waiting: list[Any] = []
        self.has_room = True

    def ask(self, entry: Any, message: Any) -> int:
        self.sent.append(message)
        self.waiting.append(entry)
        return len(self.sent)

    def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def link(self) -> Link:
        return cast(Link, self)

    def answer(self, result: Any) -> None:
        """To the oldest that waits."""
        self.waiting.pop(0).replied(self.link, result, b"")


class Clock:
    """The core's time."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def nothing(*_what: object) -> None:
    """The lane's part."""


def redirect(lane: Lane, link: Link, answer: wire.Failed) -> None:
    """Nobody turns anybody away here."""


def subscription(credit: int, clock: Clock | None = None) -> Subscription:
    """Of consumer 1 to queue 5, in group 1."""
    lane = SimpleNamespace(
        group=1, probe=NullProbe(), touch=nothing, add=nothing, answered=nothing, drop=nothing
    )
    return Subscription(cast(Lane, lane), 5, 1, (credit, credit * SIZE), redirect, clock or Clock())


def subscribe(one: Subscription, way: Wire) -> None:
    """At the end of this way: it knows of the consumer now."""
    one.fill(way.link)
    assert isinstance(way.sent[-1], wire.Subscribe)
    way.waiting.pop().replied(way.link, {"lease_ns": LEASE_NS, "lost": []}, b"")


def deliver(one: Subscription, way: Wire, counter: int, *seqs: int) -> None:
    """Messages in parts of their own, under the same lease."""
    rows = [[1, counter, -1, [[seq, seq]], [], 0, SIZE] for seq in seqs]
    one.delivered(way.link, LEASE_NS, rows, b"x" * SIZE * len(seqs))
