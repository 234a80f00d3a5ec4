"""What a node tells all others of itself beside its address: versions and load, in a few bytes.

One rule: it is small, and told anew only where it is noticeably different: each time costs news to everybody.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from haqactor import codec
from haqactor.errors import ProtocolError
from haqactor.machine.versions import Versions
from haqactor.nodes import peerwire
from haqactor.nodes.context import Context

_HEALTH_STEP: Final = 2


@dataclass(frozen=True, slots=True)
class Load:
    """``leads``: groups; ``clients``: connections; ``journal_mb``: bytes in segments, in 2^20; ``health``:
    the awareness score, 0 is well."""

    leads: int = 0
    clients: int = 0
    journal_mb: int = 0
    health: int = 0


def own_load(context: Context, clients: int) -> Load:
    """Of now."""
    leads = sum(actor.leading for actor in context.groups.values())
    statistics = context.journal.statistics()
    return Load(leads, clients, (statistics.segments * context.limits.segment_bytes) >> 20)


def differs(new: Load, told: Load) -> bool:
    """Would it be news? Led groups always; what is counted in large numbers from a quarter more or less."""
    return (
        new.leads != told.leads
        or abs(new.health - told.health) >= _HEALTH_STEP
        or _moved(new.clients, told.clients)
        or _moved(new.journal_mb, told.journal_mb)
    )


def _moved(new: int, told: int) -> bool:
    return abs(new - told) * 4 > max(new, told, 4)


def meta_of(load: Load, versions: Versions) -> bytes:
    """CBOR for ``Member.meta``: far below its 256 bytes."""
    return codec.dumps(
        {
            "machine": list(versions),
            "peer": [peerwire.VERSION_MIN, peerwire.VERSION_MAX],
            "load": list(asdict(load).values()),
        }
    )


def read_meta(meta: bytes) -> dict[str, Any]:
    """What another node says of itself, by name: ``machine`` and ``peer`` versions [oldest, newest], and
    ``load``; {} where it says nothing that can be read (a newer release may say other things)."""
    try:
        told = codec.loads(meta) if meta else {}
    except ProtocolError:
        return {}
    if not isinstance(told, dict):
        return {}
    read: dict[str, Any] = {}
    for name in ("machine", "peer"):
        if _numbers(told.get(name), 2):
            read[name] = told[name][:2]
    names = list(Load.__dataclass_fields__)
    if _numbers(told.get("load"), len(names)):
        read["load"] = dict(zip(names, told["load"], strict=False))
    return read


def _numbers(value: object, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= count
        and all(type(each) is int and 0 <= each < 1 << 63 for each in value)
    )
