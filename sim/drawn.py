"""One run as data: everything that a run is given besides seed, profile and planted bugs.

One rule: it is plain and can be written down; who shrinks a failure changes nothing but this.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, cast

from haqactor.sim.plan import NS, Json, Plan, PlanError, mapping

SAFETY_NS: Final = 6 * NS
PATIENCE_NS: Final = 60 * NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One seed's run: ``safety_ns`` of faults, then a liveness phase, in which everything has to come to rest
    within ``patience_ns``.

    ``operations``: how many messages all producers publish at most. ``chances``: what goes wrong by chance
    all the time, by the name of the share in ``LinkSettings``, and ``buggify``. ``limits``: bounds of the
    nodes that are smaller than those of ``cluster.TINY``, by their names in ``Limits``. ``work``: what
    clients do besides publishing and consuming, see ``workload.kinds``. ``core``: the nodes that work for
    ever in the liveness phase; empty: all. ``until_ns``: the run ends there at the latest, whatever phase it
    is in; it is then judged by what was seen, and passes undetermined, for nobody had time to come to rest;
    0: at its own end. ``steady``: every message and every disk operation takes equally long, and bytes come
    as they were sent; ``oldest_first``: tasks run in the order of their ages."""

    nodes: int = 3
    groups: int = 1
    producers: int = 1
    consumers: int = 1
    pause_s: float = 0.05
    operations: int = 60
    safety_ns: int = SAFETY_NS
    patience_ns: int = PATIENCE_NS
    plan: Plan = field(default_factory=Plan)
    chances: Mapping[str, float] = field(default_factory=dict[str, float])
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    work: tuple[str, ...] = ()
    core: tuple[str, ...] = ()
    until_ns: int = 0
    steady: bool = False
    oldest_first: bool = False

    def to_json(self) -> dict[str, Json]:
        """All of it."""
        out: dict[str, Json] = {}
        for name in _NAMES:
            value = getattr(self, name)
            if isinstance(value, Plan):
                out[name] = value.to_json()
            elif isinstance(value, Mapping):
                out[name] = dict(sorted(cast("Mapping[str, float]", value).items()))
            else:
                out[name] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
        return out

    @staticmethod
    def from_json(value: object) -> "Drawn":
        """What ``to_json`` gave. Raises PlanError for anything else, more and less included."""
        row = mapping(value, "a run")
        wrong = [name for name in (*row, *_NAMES) if name not in row or name not in _NAMES]
        if wrong:
            raise PlanError(f"a run has {', '.join(_NAMES)}, each once; see {', '.join(wrong)}")
        return Drawn(**{name: _read(name, row[name]) for name in _NAMES})

    def key(self) -> str:
        """The same for equal ones, and for no others."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))


_NAMES: Final = tuple(known.name for known in fields(Drawn))
_DEFAULT: Final = Drawn()


def _read(name: str, value: object) -> Any:
    """As the type of the field asks for it."""
    default = getattr(_DEFAULT, name)
    if isinstance(default, Plan):
        return Plan.from_json(value)
    if isinstance(default, Mapping):
        rates = mapping(value, name)
        return {kind: float(_number(f"{name}: {kind}", rate)) for kind, rate in rates.items()}
    if isinstance(default, tuple):
        texts = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise PlanError(f"{name}: a list of texts is wanted, not {value!r}")
        return tuple(texts)
    if isinstance(default, float):
        return float(_number(name, value))
    if type(value) is not type(default):
        raise PlanError(f"{name}: {type(default).__name__} is wanted, not {value!r}")
    if isinstance(value, int) and value < 0:
        raise PlanError(f"{name}: at least 0 is wanted, not {value}")
    return value


def _number(name: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanError(f"{name} is a number, not {value!r}")
    return value
