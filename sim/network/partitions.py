"""What can be done to the network, by name and with plain arguments: a plan of faults holds it as data.

One rule: an operation takes strings, numbers and lists of them only, and draws, if it draws, from a stream of
its own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from haqactor.sim.network.fabric import Cut, Fabric
from haqactor.sim.network.links import LinkSettings
from haqactor.sim.network.machine import FATES, Fate


class Operation(NamedTuple):
    """``name``: one of OPERATIONS. ``arguments``: as its function takes them behind the fabric."""

    name: str
    arguments: tuple[Any, ...] = ()


# -- cuts: what is sent is lost, and sent again after heal


def partition(fabric: Fabric, groups: Sequence[Sequence[str]], label: str = "partition") -> int:
    """No group hears another one; names in no group hear all. Returns the cut's number."""
    pairs = [
        (source, target)
        for here, group in enumerate(groups)
        for there, other in enumerate(groups)
        if here != there
        for source in group
        for target in other
    ]
    return fabric.cut(Cut(label=label, pairs=frozenset(pairs)))


def one_way(fabric: Fabric, sources: Sequence[str], targets: Sequence[str], label: str = "one-way") -> int:
    """What ``sources`` send to ``targets`` is lost; the other direction works."""
    pairs = [(source, target) for source in sources for target in targets if source != target]
    return fabric.cut(Cut(label=label, pairs=frozenset(pairs)))


def isolate(fabric: Fabric, name: str, spared: Sequence[str] = (), label: str = "isolate") -> int:
    """``name`` and all others but ``spared`` do not hear each other."""
    return fabric.cut(Cut(label=label, alone=(name,), spared=tuple(spared)))


def deafen(fabric: Fabric, name: str, spared: Sequence[str] = (), label: str = "deafen") -> int:
    """``name`` hears nobody, and is heard."""
    return fabric.cut(Cut(label=label, alone=(name,), spared=tuple(spared), outward=False))


def mute(fabric: Fabric, name: str, spared: Sequence[str] = (), label: str = "mute") -> int:
    """``name`` hears all, and nobody hears it."""
    return fabric.cut(Cut(label=label, alone=(name,), spared=tuple(spared), inward=False))


def bridge(fabric: Fabric, name: str, names: Sequence[str], label: str = "bridge") -> int:
    """Two halves of ``names`` that hear each other only through ``name``, which both hear."""
    others = [other for other in names if other != name]
    half = (len(others) + 1) // 2
    return partition(fabric, (others[:half], others[half:]), label)


def ring(fabric: Fabric, names: Sequence[str], label: str = "ring") -> int:
    """Each hears only the one before and the one behind it."""
    count = len(names)
    pairs = [
        (source, target)
        for here, source in enumerate(names)
        for there, target in enumerate(names)
        if (here - there) % count not in (0, 1, count - 1)
    ]
    return fabric.cut(Cut(label=label, pairs=frozenset(pairs)))


def swizzle(fabric: Fabric, names: Sequence[str], gap_ns: int, hold_ns: int) -> None:
    """Cut a drawn part of ``names`` off, one after the other within ``gap_ns`` of each other, and after
    ``hold_ns`` let them back in another order (FoundationDB's swizzle-clogging)."""
    fabric.swizzles += 1
    number, world = fabric.swizzles, fabric.world
    draw = world.random("swizzle", number)
    chosen = draw.sample(list(names), draw.randint(1, len(names)))
    back = draw.sample(chosen, len(chosen))
    begun: dict[str, int] = {}

    def begin(name: str) -> None:
        if fabric.swizzles == number:
            begun[name] = isolate(fabric, name, label="swizzle")

    def end(name: str) -> None:
        if name in begun:
            fabric.heal(begun.pop(name))

    at_ns = 0
    for name in chosen:
        world.call_after(at_ns, partial(begin, name))
        at_ns += draw.randint(0, gap_ns)
    at_ns += hold_ns
    for name in back:
        world.call_after(at_ns, partial(end, name))
        at_ns += draw.randint(0, gap_ns)


def heal(fabric: Fabric, label: str | None = None) -> None:
    """All cuts are over, or those of that label; a swizzle that goes on ends with them."""
    if label in (None, "swizzle"):
        fabric.swizzles += 1
    for number, cut in list(fabric.cuts.items()):
        if label in (None, cut.label):
            fabric.heal(number)


# -- links


def clog(fabric: Fabric, source: str, target: str, for_ns: int) -> None:
    """Hold everything back from one to the other for so long; nothing is lost."""
    fabric.link(source, target).clog(for_ns)


def unclog(fabric: Fabric) -> None:
    """Nothing is held back any longer."""
    for link in fabric.links.values():
        link.unclog()


def degrade(fabric: Fabric, source: str, target: str, changes: Mapping[str, Any]) -> None:
    """Change settings of links by name (see LinkSettings); "*" stands for all hosts. Raises ValueError."""
    unknown = [name for name in changes if name not in LinkSettings.__slots__]
    if unknown:
        raise ValueError(f"a link has no setting {unknown[0]!r}")
    fabric.change(source, target, dict(changes))


def calm(fabric: Fabric, names: Sequence[str]) -> None:
    """For ever from now on nothing goes wrong between those."""
    fabric.calm(names)


# -- streams and machines


def reset(fabric: Fabric, source: str, target: str) -> None:
    """Break all streams between the two; both ends hear of it."""
    for stream in fabric.streams(source, target):
        if not stream.out.is_forgotten:  # from its other end
            fabric.fired("reset", stream)
            stream.out.reset()
            stream.into.reset()
            stream.out.forget()


def half_open(fabric: Fabric, source: str, target: str) -> None:
    """Break all streams between the two; only ``source`` hears of it, ``target`` when it sends."""
    for stream in fabric.streams(source, target):
        if not stream.out.is_forgotten:
            fabric.fired("half-open", stream)
            stream.into.reset()
            stream.out.forget()


def late(fabric: Fabric, source: str, target: str, for_ns: int) -> None:
    """As ``half_open``; and the bytes under way to ``target`` come so late that a new stream may be at work
    there by then."""
    for stream in fabric.streams(source, target):
        stream.out.be_late(for_ns)
    half_open(fabric, source, target)


def fate(fabric: Fabric, name: str, what: Fate | None) -> None:
    """What the peers of a machine are told whenever it crashes (see ``machine.Fate``); None: drawn. Raises
    ValueError."""
    if what is not None and what not in FATES:
        raise ValueError(f"a crash ends in one of {', '.join(FATES)}, not in {what!r}")
    machine = fabric.machine(name)
    if machine is None:
        raise ValueError(f"there is no machine {name!r}")
    machine.fate = what


OPERATIONS: Final[dict[str, Callable[..., object]]] = {
    operation.__name__: operation
    for operation in (
        *(partition, one_way, isolate, deafen, mute, bridge, ring, swizzle, heal),
        *(clog, unclog, degrade, calm, reset, half_open, late, fate),
    )
}
"""Name to function."""


def apply(fabric: Fabric, name: str, *arguments: Any) -> None:
    """Do what a plan says. Raises ValueError for a name that is none."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise ValueError(f"nothing called {name!r} can be done to a network; it has {', '.join(OPERATIONS)}")
    operation(fabric, *arguments)
