"""What is going to happen, as data drawn from a seed.

One rule: the same seed, length, nodes and kinds give the same plan, byte for byte; what a fault finds when it
comes (who leads, who is down already) is not part of it.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

LEADER: Final = "leader"
"""As a victim: whoever leads some queue at that time."""
QUIET_S: Final = 2.0
"""Before the first fault."""

WEIGHTS: Final = {
    "kill": 6,  # SIGKILL, started again when it is over
    "restart": 2,  # SIGTERM, in order, and started again
    "pause": 4,  # SIGSTOP, and SIGCONT when it is over
    "kill_all": 1,  # every node at once
    "cut": 3,  # two nodes cannot connect, either way
    "cut_one_way": 3,  # one node cannot connect to another, which can
    "split": 3,  # a minority and the rest do not hear each other; clients hear both
    "isolate": 3,  # a node is cut off from all nodes and clients
    "silence": 3,  # the same, but connections stay and say nothing
    "deafen": 2,  # nothing reaches it, it is heard
    "mute": 2,  # it hears, nothing leaves it
    "stall": 2,  # one direction between two nodes says nothing
    "delay": 3,  # all that it says and hears is late
    "reset": 3,  # its connections end with an RST, again and again
    "client_crash": 2,  # a host of clients loses its power
    "damage": 1,  # a journal file of a stopped node is truncated, or a bit of it flips
    "disk_full": 1,  # its disk has little room left, or none
    "outage": 1,  # the loopback of all is down: no packet arrives
}
KINDS: Final = tuple(WEIGHTS)
FULL_S: Final = 2.0
"""For which a disk is full at least: a journal has some room in its last segment."""
ALONE: Final = ("kill_all", "outage", "damage", "disk_full")
"""Not while another fault goes on: the first two leave no other victims, and a node whose data may be gone is
as much as a cluster of three bears."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``victims``: names of nodes or hosts, or LEADER; of a link: from and to. ``amount``: a drawn number in
    [0, 1) that the kind makes something of (a delay, a place in a file)."""

    at_s: float
    lasts_s: float
    kind: str
    victims: tuple[str, ...]
    amount: float = 0.0

    @property
    def until_s(self) -> float:
        """When it is over."""
        return self.at_s + self.lasts_s

    def __str__(self) -> str:
        return f"{self.at_s:7.2f} s  {self.kind:<12} {' '.join(self.victims):<12} for {self.lasts_s:.2f} s"


def draw(
    seed: int, seconds: float, nodes: Sequence[str], hosts: Sequence[str], kinds: Iterable[str] = KINDS
) -> list[Fault]:
    """In the order of their times; all are over after ``seconds``. One fault at a time for each node that the
    cluster can miss; sometimes more nodes than that at once, but not for long. Raises KeyError for a kind
    that is not there."""
    chance = random.Random(f"chaos {seed}")
    allowed = list(kinds)
    weights = [WEIGHTS[kind] for kind in allowed]
    faults: list[Fault] = []
    for track in range(max(1, (len(nodes) - 1) // 2)):
        at_s = QUIET_S + track * 0.7
        while allowed:
            at_s += chance.choice([0.1, 0.5, 1.0, 2.0]) * chance.uniform(0.5, 1.5)
            kind = chance.choices(allowed, weights)[0]
            fault = _fault(chance, round(at_s, 2), kind, nodes, hosts)
            if fault.until_s > seconds:
                break
            if not (kind in ALONE and track):
                faults.append(fault)
            at_s = fault.until_s
    faults.sort(key=lambda fault: (fault.at_s, fault.kind, fault.victims))
    return _spaced(faults)


def _fault(
    chance: random.Random, at_s: float, kind: str, nodes: Sequence[str], hosts: Sequence[str]
) -> Fault:
    lasts_s = round(chance.choice([0.3, 1.0, 2.0, 4.0]) * chance.uniform(0.5, 1.5), 2)
    if kind == "disk_full":
        lasts_s += FULL_S
    if kind in ("kill_all", "outage"):
        victims = tuple(nodes)
    elif kind in ("cut", "cut_one_way", "stall"):
        victims = tuple(chance.sample(list(nodes), 2))
    elif kind == "split":
        side = chance.sample(list(nodes), (len(nodes) - 1) // 2)
        victims = (LEADER, *side[1:]) if chance.random() < 0.5 else tuple(side)
    elif kind == "client_crash":
        victims = (chance.choice(list(hosts)),)
    elif kind in ("kill", "pause") and chance.random() < 0.2:
        victims = tuple(chance.sample(list(nodes), min(len(nodes), 2)))
    elif kind not in ALONE and chance.random() < 0.4:
        victims = (LEADER,)
    else:
        victims = (chance.choice(list(nodes)),)
    return Fault(at_s, lasts_s, kind, victims, round(chance.random(), 4))


def _spaced(faults: list[Fault]) -> list[Fault]:
    """Without those that would overlap one that has to be alone."""
    alone = [fault for fault in faults if fault.kind in ALONE]
    return [
        fault
        for fault in faults
        if fault.kind in ALONE
        or not any(fault.at_s < each.until_s and each.at_s < fault.until_s for each in alone)
    ]


def to_json(seed: int, faults: Sequence[Fault]) -> str:
    """For the artefacts, and for ``from_json``."""
    return json.dumps({"seed": seed, "faults": [asdict(fault) for fault in faults]}, indent=1) + "\n"


def from_json(text: str) -> tuple[int, list[Fault]]:
    """The seed and the faults."""
    read: dict[str, Any] = json.loads(text)
    rows: list[dict[str, Any]] = read["faults"]
    for row in rows:
        row["victims"] = tuple(row["victims"])
    return read["seed"], [Fault(**row) for row in rows]
