"""The programs of a run: which host publishes and consumes what, and how.

One rule: every queue has each kind of producer, and the first queue one consumer that returns nothing, so
that the order of first deliveries can be judged there.
"""

from typing import Final

from tests.chaos.churn import Churn
from tests.chaos.consumers import Consumer
from tests.chaos.history import History
from tests.chaos.hosts import Host
from tests.chaos.producers import Crowd, NamedProducer
from tests.chaos.relay import Relay

QUEUES: Final = ("q0", "q1", "q2", "q3")
ALONE: Final = QUEUES[:1]
HOSTS: Final = ("c0", "c1", "c2")
OBSERVER: Final = "eye"
LEASE_S: Final = 3.0
BACKOFF_S: Final = 0.1
_CROWD: Final = 4
_BATCHES: Final = {"q1": (False, True), "q2": (True, True), "q3": (False, False)}


def hosts(history: History, url: str, relay: Relay, seed: int) -> dict[str, Host]:
    """None of them runs yet."""
    found = {name: Host(name, url, relay, [], []) for name in HOSTS}
    places = list(found.values())
    for number, queue in enumerate(QUEUES):
        first, second, third = (places[(number + offset) % len(places)] for offset in range(3))
        first.producers.append(NamedProducer(history, queue, f"{queue}-one", (1,), seed))
        second.producers.append(NamedProducer(history, queue, f"{queue}-many", (2, 10, 40), seed))
        third.producers.append(Crowd(history, queue, f"{queue}-crowd", _CROWD, seed))
        if queue in ALONE:
            name = f"{queue}-only"
            second.consumers.append(Consumer(history, queue, name, seed, batches=False, orderly=True))
        for place, batches in zip((third, first), _BATCHES.get(queue, ()), strict=False):
            name = f"{queue}-{place.name}-{'batches' if batches else 'singles'}"
            place.consumers.append(Consumer(history, queue, name, seed, batches=batches))
    places[0].producers.append(Churn())
    for host in places:
        host.producing = dict.fromkeys(range(len(host.producers)))
    return found
