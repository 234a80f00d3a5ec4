"""The events that the example brings along: made from a seed, the same on every machine.

One rule: every history makes sense; people are hired once, change while they are there, and do nothing once
they left.
"""

import random
from dataclasses import replace
from typing import Final

from examples.departments.events import DEPARTMENTS, Event

SEED: Final = 20_160_412
_FIRST: Final = (
    "Ada",
    "Alan",
    "Barbara",
    "Edsger",
    "Frances",
    "Grace",
    "Jim",
    "Ken",
    "Leslie",
    "Nancy",
    "Radia",
    "Tony",
)
_LAST: Final = (
    "Allen",
    "Dijkstra",
    "Gray",
    "Hoare",
    "Hopper",
    "Lamport",
    "Liskov",
    "Lovelace",
    "Lynch",
    "Perlman",
    "Turing",
)
_ROLES: Final = {
    "engineering": ("engineer", "senior engineer", "staff engineer", "architect"),
    "sales": ("representative", "account manager", "team lead", "director"),
}
_CITIES: Final = ("Berlin", "Lisbon", "Nairobi", "Osaka", "Toronto", "Warsaw")
_STAFF: Final = 1_000


def generate(count: int, seed: int = SEED) -> list[Event]:
    """``count`` events, in the order in which they happened."""
    rng = random.Random(seed)
    present: list[Event] = []
    events: list[Event] = []
    for number in range(1, count + 1):
        name = f"e{number:07d}"
        if len(present) < 10 or (len(present) < _STAFF and rng.random() < 0.3):
            event = _hire(rng, name, number)
            present.append(event)
        else:
            at = rng.randrange(len(present))
            event = _change(rng, present[at], name)
            if event.kind == "left":
                present[at] = present[-1]
                present.pop()
            else:
                present[at] = event
        events.append(event)
    return events


def _hire(rng: random.Random, event: str, number: int) -> Event:
    department = rng.choice(DEPARTMENTS)
    return Event(
        event=event,
        department=department,
        kind="hired",
        employee=f"p{number:06d}",
        version=1,
        name=f"{rng.choice(_FIRST)} {rng.choice(_LAST)}",
        role=_ROLES[department][0],
        city=rng.choice(_CITIES),
        salary=100 * rng.randrange(350, 600),
    )


def _change(rng: random.Random, before: Event, event: str) -> Event:
    after = replace(before, event=event, version=before.version + 1)
    roles = _ROLES[before.department]
    chance = rng.random()
    if chance < 0.05:
        return replace(after, kind="left")
    if chance < 0.2 and before.role != roles[-1]:
        role = roles[roles.index(before.role) + 1]
        return replace(after, kind="promoted", role=role, salary=before.salary + 5_000)
    if chance < 0.4:
        return replace(after, kind="relocated", city=rng.choice(_CITIES))
    return replace(after, kind="raised", salary=before.salary + 100 * rng.randrange(1, 20))
