"""What happens to disks: they rot, lose, refuse, stall and lie.

One rule: where a fault strikes is drawn into the plan as plain numbers, and found on the disk by counting;
only what the atlas lets through takes durable bytes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from haqactor.errors import DataDamaged
from haqactor.journal.block import MAGIC, BlockHeader, decode_header
from haqactor.journal.files import parse_name
from haqactor.journal.quarantine import QUARANTINE
from haqactor.sim.cluster import DIRECTORY, SimNode
from haqactor.sim.disk.fates import SECTOR
from haqactor.sim.disk.faults import STALL_CHANCE, Kind
from haqactor.sim.disk.faults import Fault as DiskFault
from haqactor.sim.disk.medium import Medium
from haqactor.sim.nemesis.stage import Act, Stage, span
from haqactor.sim.plan import NS, Fault

_STALLS: Final = 0.3
"""Of the operations of a disk that stands still for seconds: a leader is to notice."""
_FOR_GOOD_NS: Final = 120 * NS
_BACK_NS: Final = 200_000_000
_SEGMENT: Final = f"{DIRECTORY}/segment-"
_AGAIN_NS: Final = 10_000_000
_TRIES: Final = 30
"""So often it is looked whether the log has a packed block to rot, if the plan asks for a recent one."""
_WIPES: Final = ("wipe", "lost_disk")

SWITCHED: Final[Mapping[str, Kind]] = {
    "sync_error": Kind.SYNC_ERROR,
    "disk_full": Kind.FULL,
    "disk_slow": Kind.SLOW,
    "disk_hang": Kind.SLOW,
    "sync_lie": Kind.SYNC_LIE,
    "lost_write": Kind.LOST_WRITE,
}
"""Faults that last for a while, and what they switch on."""
LIES: Final = ("sync_lie", "lost_write")
_ONCE: Final = ("sync_error", "lost_write")


class Disks:
    """``kinds``: what it can do to a node's disk."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._switched: list[tuple[str, SimNode, DiskFault]] = []
        self._hurts: Mapping[str, Callable[[Fault, SimNode], bool]] = {
            "bit_rot": _rot,
            "read_error": _spoil,
            "misdirected": _misdirect,
            "truncated_file": _truncate,
            "emptied_file": _empty,
            "lost_file": _lose,
            "lost_disk": _wipe,
            "wipe": self._wiped,
        }
        self.kinds: Mapping[str, Act] = {
            **dict.fromkeys(self._hurts, self._hurt),
            **dict.fromkeys(SWITCHED, self._switch),
        }

    # -- what takes durable bytes

    def _hurt(self, fault: Fault, node: SimNode, tries: int = _TRIES) -> None:
        """Let it, if the atlas does; where the plan says so, the node crashes soon after, and has to read
        what is left."""
        stage, name = self._stage, node.host.name
        if fault.args.get("recent") and tries and node.host.alive and not _packed(node):
            stage.after(_AGAIN_NS, partial(self._hurt, fault, node, tries - 1))
            return
        wipe = fault.kind in _WIPES
        if not stage.founded() or not stage.atlas.may_damage(name, wipe=wipe):
            return
        if not self._hurts[fault.kind](fault, node):
            return
        stage.atlas.damaged(name, fault.kind, wipe=wipe)
        stage.count(fault)
        if wipe or fault.args.get("crash"):
            stage.later(fault, partial(self._come_back, node))

    def _come_back(self, node: SimNode) -> None:
        self._stage.crash(node)
        self._stage.after(_BACK_NS, partial(self._stage.start, node))

    def _wiped(self, fault: Fault, node: SimNode) -> bool:
        """Its machine comes back with an empty disk."""
        self._stage.crash(node)
        return _wipe(fault, node)

    # -- what lasts for a while

    def _switch(self, fault: Fault, node: SimNode) -> None:
        stage, kind = self._stage, SWITCHED[fault.kind]
        name, faults = node.host.name, node.medium.faults
        if kind is Kind.SYNC_ERROR:
            if not stage.atlas.may_tear(name):
                return
            stage.atlas.arm(name)
        times = 1 if fault.kind in _ONCE else None
        strength, stall_ns = float(span(fault, "strength")), span(fault, "stall_ns")
        often = _STALLS if stall_ns >= NS else STALL_CHANCE
        if fault.kind == "disk_hang":  # every operation takes seconds
            often = 1.0
        on = faults.switch_on(
            kind, DIRECTORY, times=times, strength=strength, stall_ns=stall_ns, stall_chance=often
        )
        self._switched.append((fault.kind, node, on))
        stage.cluster.world.trace.add("fault", name, str(fault))

        def end() -> None:
            faults.switch_off(kind, DIRECTORY)
            if kind is Kind.SYNC_ERROR:
                stage.atlas.disarm(name)

        stage.later(fault, end)

    def hang_for_good(self, node: SimNode) -> None:
        """A disk of which every operation takes seconds takes minutes from now on."""
        for fault in node.medium.faults.active():
            if fault.kind is Kind.SLOW and fault.stall_chance >= 1.0:
                fault.stall_ns = _FOR_GOOD_NS

    def note(self) -> None:
        """Tell the atlas whose disk has refused or lied by now."""
        for kind, node, on in self._switched:
            if on.fired and kind in LIES:
                self._stage.atlas.lied(node.host.name)
            elif on.fired:
                self._stage.atlas.trouble(node.host.name)

    def fired(self) -> dict[str, int]:
        """How many of the faults that last for a while did hit something."""
        counted: dict[str, int] = {}
        for kind, _node, on in self._switched:
            if on.fired:
                counted[kind] = counted.get(kind, 0) + 1
        return counted

    def stop(self) -> None:
        """No more syncs fail anywhere; what is slow or full elsewhere than in the core stays so."""
        self.note()
        for kind, node, _on in self._switched:
            if kind == "sync_error":
                node.medium.faults.switch_off(Kind.SYNC_ERROR)
                self._stage.atlas.disarm(node.host.name)


# -- where it strikes


def _files(medium: Medium) -> list[str]:
    """Whatever has bytes on the medium, but for locks, what is unfinished, and what was put aside."""
    return [
        path
        for path in medium.paths()
        if path.startswith(DIRECTORY)
        and not path.endswith((".tmp", "/lock"))
        and f"/{QUARANTINE}/" not in path
        and any(medium.image(path))
    ]


def _written(image: bytes) -> list[int]:
    """Offsets of the sectors that hold something."""
    return [at for at in range(0, len(image), SECTOR) if any(image[at : at + SECTOR])]


def _aim(fault: Fault, node: SimNode) -> tuple[str, int] | None:
    """A file, and a place where it holds something."""
    paths = _files(node.medium)
    if not paths:
        return None
    path = paths[span(fault, "file") % len(paths)]
    image = node.medium.image(path)
    sectors, place = _written(image), span(fault, "place")
    sector = sectors[place % len(sectors)]
    return path, sector + place // len(sectors) % min(SECTOR, len(image) - sector)


def _blocks(node: SimNode) -> tuple[str, list[BlockHeader]]:
    """The good blocks of the newest segment."""
    segments = [path for path in _files(node.medium) if path.startswith(_SEGMENT)]
    found: list[BlockHeader] = []
    if not segments:
        return "", found
    path = segments[-1]
    _kind, _group, number = parse_name(path.rpartition("/")[2]) or ("", 0, 0)
    image = node.medium.image(path)
    for at in _written(image):
        if image[at + 4 : at + 8] == MAGIC:
            try:
                found.append(decode_header(image, at, number, at, len(image)))
            except DataDamaged:
                continue
    return path, found


def _tail(fault: Fault, node: SimNode) -> tuple[str, int] | None:
    """A place in the log's last block, where it says something."""
    path, blocks = _blocks(node)
    return _within(fault, path, blocks[-1]) if blocks else None


def _packed(node: SimNode) -> list[BlockHeader]:
    """The packed ones of them, but for the last."""
    return [block for block in _blocks(node)[1][:-1] if block.packed]


def _recent(fault: Fault, node: SimNode) -> tuple[str, int] | None:
    """The same in a block before the last one, a packed one if there is any: the next start reads it."""
    path, blocks = _blocks(node)
    before = _packed(node) or blocks[:-1]
    return _within(fault, path, before[span(fault, "file") % len(before)]) if before else None


def _within(fault: Fault, path: str, block: BlockHeader) -> tuple[str, int]:
    """In its header, or behind it: as often here as there."""
    place, size = span(fault, "place"), block.payload_bytes
    inside = place // 2
    if place % 2 and size:
        return path, block.offset + block.header_bytes + inside % size
    return path, block.offset + inside % block.header_bytes


def _rot(fault: Fault, node: SimNode) -> bool:
    """A bit flips: where the plan says so in the log's last block, which then looks like a torn one, or
    shortly before it."""
    if fault.args.get("tail"):
        aim = _tail(fault, node)
    else:
        aim = _recent(fault, node) if fault.args.get("recent") else _aim(fault, node)
    if aim is not None:
        node.medium.flip(*aim, span(fault, "bit") % 8)
    return aim is not None


def _spoil(fault: Fault, node: SimNode) -> bool:
    """A sector cannot be read any more."""
    aim = _aim(fault, node)
    if aim is not None:
        node.medium.spoil(*aim)
    return aim is not None


def _misdirect(fault: Fault, node: SimNode) -> bool:
    """A sector lies where another one should. Never one of a log's last block: had that not arrived at all,
    nobody could know (such disks lie, see the profile of that name)."""
    found: list[tuple[str, list[int]]] = []
    for path in node.medium.paths():
        if path.startswith(_SEGMENT) and not path.endswith(".tmp"):
            image = node.medium.image(path)
            sectors = _written(image)
            heads = [at for at in sectors if image[at + 4 : at + 8] == MAGIC]
            before = [at for at in sectors if heads and at < heads[-1]]
            if len(sectors) > 1 and before:
                found.append((path, before))
    if not found:
        return False
    path, sectors = found[span(fault, "file") % len(found)]
    place = span(fault, "place")
    source = sectors[place % len(sectors)]
    places = [at for at in range(0, len(node.medium.image(path)), SECTOR) if at != source]
    node.medium.misdirect(path, source, places[place // len(sectors) % len(places)])
    return True


def _truncate(fault: Fault, node: SimNode) -> bool:
    """The end of a file is gone, with something in it."""
    aim = _aim(fault, node)
    if aim is not None:
        node.medium.shorten(*aim)
    return aim is not None


def _empty(fault: Fault, node: SimNode) -> bool:
    """All of a file is gone, but its name."""
    aim = _aim(fault, node)
    if aim is not None:
        node.medium.shorten(aim[0], 0)
    return aim is not None


def _lose(fault: Fault, node: SimNode) -> bool:
    """A file is gone. Not the newest segment of a node that runs: it is open there, and written to though it
    has no name any more."""
    paths = _files(node.medium)
    if node.host.alive:
        segments = [path for path in paths if path.startswith(_SEGMENT)]
        paths = [path for path in paths if path not in segments[-1:]]
    if not paths:
        return False
    node.medium.lose(paths[span(fault, "file") % len(paths)])
    return True


def _wipe(_fault: Fault, node: SimNode) -> bool:
    """Another disk, an empty one."""
    node.medium.wipe()
    return True
