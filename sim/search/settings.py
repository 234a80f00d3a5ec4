"""What a person wants to be otherwise than the seed draws it.

One rule: it is asked for by name and checked before anything runs; what is not asked for stays as drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from haqactor.sim.drawn import SAFETY_NS, Drawn
from haqactor.sim.network.links import LinkSettings
from haqactor.sim.profiles import draw

_LARGEST: Final = {"nodes": 9, "groups": 64, "producers": 100, "consumers": 100}


class SettingError(ValueError):
    """There is no such setting, or not with such a value."""


def _names() -> dict[str, Any]:
    """Settings of a run that are one plain value, with their defaults."""
    default = Drawn()
    found = {known.name: getattr(default, known.name) for known in fields(Drawn)}
    return {name: value for name, value in found.items() if isinstance(value, bool | int | float)}


NAMES: Final = _names()
SHARES: Final = (*(known.name for known in fields(LinkSettings) if known.name.endswith("_share")), "buggify")
LISTS: Final = ("work", "core")


@dataclass(frozen=True, slots=True)
class Settings:
    """``safety_ns``: how long faults come; ``values``: fields of ``Drawn``; ``chances``: added to the drawn
    ones."""

    safety_ns: int = SAFETY_NS
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    chances: Mapping[str, float] = field(default_factory=dict[str, float])

    def of(self, seed: int, profile: str) -> Drawn:
        """The run of a seed. Raises ValueError for a profile that is none."""
        drawn = draw(seed, profile, self.safety_ns)
        if not self.values and not self.chances:
            return drawn
        values = dict(self.values)
        if "nodes" in values and "core" not in values:
            values["core"] = ()  # what was drawn may name nodes that are not there
        return replace(drawn, **values, chances={**drawn.chances, **self.chances})


def read(pairs: Mapping[str, str], safety_ns: int = SAFETY_NS) -> Settings:
    """From text: fields of ``Drawn`` (``producers``, ``pause_s``, ``steady`` ...), shares of links such as
    ``reset_share``, and ``buggify``; lists are joined by commas. Raises SettingError."""
    values: dict[str, Any] = {}
    chances: dict[str, float] = {}
    for name, text in pairs.items():
        if name in SHARES:
            chances[name] = _number(name, text, float)
            if not 0 <= chances[name] <= 1:
                raise SettingError(f"{name}: a share is between 0 and 1, not {text}")
        elif name in LISTS:
            values[name] = tuple(part.strip() for part in text.split(",") if part.strip())
        elif name in NAMES and name != "safety_ns":
            values[name] = _value(name, text)
        else:
            known = sorted([*(name for name in NAMES if name != "safety_ns"), *LISTS, *SHARES])
            raise SettingError(f"there is no setting {name!r}; there are {', '.join(known)}")
    return Settings(safety_ns, values, chances)


def _value(name: str, text: str) -> Any:
    default = NAMES[name]
    if isinstance(default, bool):
        if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise SettingError(f"{name}: yes or no is wanted, not {text}")
        return text.lower() in ("true", "1", "yes")
    value = _number(name, text, type(default))
    least = 1 if name in _LARGEST else 0
    if value < least or value > _LARGEST.get(name, value):
        most = f" and at most {_LARGEST[name]}" if name in _LARGEST else ""
        raise SettingError(f"{name}: at least {least}{most} is wanted, not {text}")
    return value


def _number(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise SettingError(f"{name}: a number is wanted, not {text!r}") from None
