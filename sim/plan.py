"""What goes wrong in a run, as data: drawn before it begins, written down, and made smaller afterwards.

One rule: a fault names its victim by what it is (a host, or a role such as ``leader of queue orders``), and
everything else it needs it carries along; taking one fault away leaves the others as they were.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeAlias, cast

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

NS: Final = 1_000_000_000
EVERYBODY: Final = "all"
ROLES: Final = ("leader", "follower", "followers", "members")
SCOPES: Final = ("queue", "group")


class PlanError(ValueError):
    """A plan that was read cannot be one."""


class Roster(Protocol):
    """Who is who at this moment; ``scope`` is one of SCOPES."""

    def hosts(self) -> Sequence[str]:
        """Every host that can be a victim."""
        ...

    def leader(self, scope: str, name: str) -> str | None:
        """The leader; None while there is none."""
        ...

    def members(self, scope: str, name: str) -> Sequence[str]:
        """Every replica."""
        ...


class Target(NamedTuple):
    """Who is hit: ``names``, or the hosts that have a ``role`` in ``scope`` ``of`` when the fault comes."""

    names: tuple[str, ...] = ()
    role: str = ""
    scope: str = ""
    of: str = ""

    def resolve(self, roster: Roster) -> tuple[str, ...]:
        """The hosts, in the order of the roster; nobody where the role is vacant."""
        if self.names == (EVERYBODY,):
            return tuple(roster.hosts())
        if not self.role:
            return tuple(name for name in roster.hosts() if name in self.names)
        leader = roster.leader(self.scope, self.of)
        if self.role == "leader":
            return () if leader is None else (leader,)
        members = tuple(roster.members(self.scope, self.of))
        if self.role == "members":
            return members
        followers = tuple(name for name in members if name != leader)
        return followers if self.role == "followers" else followers[:1]


def target(text: str) -> Target:
    """Read ``""`` (the world itself), ``all``, ``n1``, ``n1, n2``, ``leader of queue orders``, ``followers of
    group 3``. Raises PlanError."""
    words = text.split(maxsplit=3)
    if len(words) > 1 and words[1] == "of":
        if len(words) != 4 or words[0] not in ROLES or words[2] not in SCOPES:
            raise PlanError(f"{text!r}: a role is one of {', '.join(ROLES)}, of one of {', '.join(SCOPES)}")
        return Target(role=words[0], scope=words[2], of=words[3])
    return Target(tuple(name.strip() for name in text.split(",") if name.strip()))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong at ``at_ns`` of true world time. ``args``: what ``kind`` needs besides, as
    JSON; spans of time in it are integers whose names end in ``_ns``."""

    at_ns: int
    kind: str
    target: str = ""
    args: Mapping[str, Json] = field(default_factory=dict[str, Json])

    def __str__(self) -> str:
        """One line for people."""
        said = [_said(name, value) for name, value in sorted(self.args.items())]
        return " ".join(part for part in (f"t={seconds(self.at_ns)}", self.kind, self.target, *said) if part)

    def to_json(self) -> dict[str, Json]:
        """Empty parts are left out."""
        out: dict[str, Json] = {"at_ns": self.at_ns, "kind": self.kind}
        if self.target:
            out["target"] = self.target
        if self.args:
            out["args"] = dict(self.args)
        return out

    @staticmethod
    def from_json(value: object) -> "Fault":
        """Raises PlanError."""
        row = mapping(value, "a fault")
        at_ns, kind, who, args = (
            row.get("at_ns"),
            row.get("kind"),
            row.get("target", ""),
            row.get("args", {}),
        )
        if not isinstance(at_ns, int) or at_ns < 0 or not isinstance(kind, str) or not kind:
            raise PlanError(f"a fault has at_ns, an integer of at least 0, and a kind: {value!r}")
        if not isinstance(who, str):
            raise PlanError(f"the target of a fault is text: {value!r}")
        target(who)
        return Fault(at_ns, kind, who, cast("Mapping[str, Json]", mapping(args, "args of a fault")))


@dataclass(frozen=True, slots=True)
class Plan:
    """Faults in the order in which they come."""

    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "faults", tuple(sorted(self.faults, key=lambda fault: fault.at_ns)))

    def __len__(self) -> int:
        return len(self.faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.faults)

    def kinds(self) -> tuple[str, ...]:
        """Each once, in the order of the alphabet."""
        return tuple(sorted(dict.fromkeys(fault.kind for fault in self.faults)))

    def where(self, keep: Callable[[Fault], bool]) -> "Plan":
        """Only the faults that ``keep`` wants."""
        return Plan(tuple(fault for fault in self.faults if keep(fault)))

    def to_json(self) -> list[Json]:
        """A list of faults."""
        return [fault.to_json() for fault in self.faults]

    @staticmethod
    def from_json(value: object) -> "Plan":
        """Raises PlanError."""
        if not isinstance(value, list):
            raise PlanError(f"a plan is a list of faults, not {type(value).__name__}")
        return Plan(tuple(Fault.from_json(item) for item in cast("list[object]", value)))


def seconds(at_ns: int) -> str:
    """Nanoseconds as seconds for people: at least milliseconds, and no digit is lost."""
    whole, part = divmod(at_ns, NS)
    digits = f"{part:09d}".rstrip("0")
    return f"{whole}.{digits:0<3}"


def mapping(value: object, what: str) -> Mapping[str, object]:
    """The value as an object of JSON. Raises PlanError."""
    if not isinstance(value, dict):
        raise PlanError(f"{what}: an object is wanted, not {type(value).__name__}")
    return cast("Mapping[str, object]", value)


def _said(name: str, value: Json) -> str:
    if name.endswith("_ns") and isinstance(value, int):
        return f"{name.removesuffix('_ns')}={seconds(value)}s"
    if isinstance(value, Sequence) and not isinstance(value, str):
        nested = any(isinstance(item, Sequence) and not isinstance(item, str) for item in value)
        return f"{name}={' | '.join(_joined(item) for item in value) if nested else _joined(value)}"
    return f"{name}={json.dumps(value) if isinstance(value, bool | Mapping) or value is None else value}"


def _joined(value: Json) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(item) for item in value)
    return str(value)
