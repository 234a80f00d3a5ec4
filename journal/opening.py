"""From a directory to a journal that can be written to: what is found, what is believed, where it goes on.

One rule: before anything of a directory is believed its identity file says, durably, that it was opened
again, and which groups may have lost something.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from haqactor.env import Disk, DiskError, FileMissing, LockHeld, Probe
from haqactor.errors import DataDamaged, StorageFailed
from haqactor.ids import GroupId
from haqactor.journal.config import JournalConfig
from haqactor.journal.files import IDENTITY, LOCK, parse_name
from haqactor.journal.identity import Identity, IdentityFile
from haqactor.journal.quarantine import Quarantine
from haqactor.journal.recovery import Found, Recovery, erase
from haqactor.journal.salvage import Damage, Salvage
from haqactor.journal.scan import BadBlock, last_written
from haqactor.journal.segments import Segments
from haqactor.journal.writer import BlockWriter

Repair = Callable[[Identity], bool]
"""May a damaged directory of this identity be opened with what is sound of it?"""


@dataclass(frozen=True, slots=True)
class Opened:
    """``damages``: what was found to be damaged, if the directory was salvaged."""

    identity: IdentityFile
    found: Found
    recovery: Recovery
    damages: tuple[Damage, ...] = ()


async def recover(
    disk: Disk,
    directory: str,
    config: JournalConfig,
    probe: Probe,
    on_unclean: Callable[[BadBlock], None] | None,
    repair: Repair | None,
    distrust: bool,
) -> Opened:
    """Read a locked directory. ``distrust``: it was damaged when it was last looked at, so that each byte of
    it is read. Raises DataDamaged, DiskError."""
    identity = await _load_identity(disk, directory)
    may_repair = repair is not None and repair(identity.current)
    if distrust and may_repair:
        return await _salvage(disk, directory, config, probe, identity)
    recovery = Recovery(disk, directory, identity.current, probe)
    try:
        found = await recovery.run()
    except (DataDamaged, DiskError):  # a sector that cannot be read is damage, too
        await recovery.close()
        if not may_repair:
            await identity.aclose()
            raise
        return await _salvage(disk, directory, config, probe, identity)
    await recovery.settle()
    current, boot = _believed(identity)
    if found.cut is not None:
        probe.mark("journal.tail_cut")
        if on_unclean is not None:
            on_unclean(found.cut)
        if not probe.bug("journal.cut_without_suspicion"):
            current = current.hurt(found.cut.groups, damaged=False)
    await _begin(identity, replace(current, boot=boot, clean=None, durable_upto=found.sequence))
    recovery.describe(identity.current)
    return Opened(identity, found, recovery)


async def _begin(identity: IdentityFile, begun: Identity) -> None:
    """Both copies get an epoch that was jumped to: else the older one, left alone, would lead there again."""
    jumped = begun.boot > identity.current.boot + 1
    await identity.store(begun)
    if jumped:
        await identity.store(begun)


def _believed(identity: IdentityFile) -> tuple[Identity, int]:
    """What the identity file says, and the next boot epoch. Where one copy is bad there may have been a newer
    one, with a higher epoch, and with groups that had lost their tails."""
    current = identity.current
    if not identity.doubtful:
        return current, current.boot + 1
    return current.hurt(None, damaged=False), current.boot + 2


async def _salvage(
    disk: Disk, directory: str, config: JournalConfig, probe: Probe, identity: IdentityFile
) -> Opened:
    probe.mark("journal.salvaged")
    salvage = Salvage(disk, directory, identity.current, probe, config)
    found = await salvage.run()
    await salvage.settle()
    current, boot = _believed(identity)
    if not probe.bug("journal.salvaged_without_suspicion") and salvage.lost != ():
        current = current.hurt(salvage.lost, damaged=True)
    newest = 0 if found.last is None else found.last.boot
    boot = max(boot, newest + 2 if newest > current.boot else 0)  # no epoch that peers may have heard of
    await _begin(identity, replace(current, boot=boot, clean=None, durable_upto=found.sequence))
    salvage.describe(identity.current)
    return Opened(identity, found, salvage, tuple(salvage.damages))


@dataclass(frozen=True, slots=True)
class Looked:
    """A directory that was read whole, and left as it is. ``lost``: groups that lost something, None for
    all."""

    identity: IdentityFile
    found: Found
    damages: tuple[Damage, ...]
    lost: tuple[GroupId, ...] | None


async def look(disk: Disk, directory: str, config: JournalConfig, probe: Probe) -> Looked:
    """What opening a directory with a repair would find. Raises StorageFailed while somebody uses it, and
    DataDamaged where it does not say whose it is."""
    try:
        unlock = await disk.lock(f"{directory}/{LOCK}")
    except LockHeld as error:
        raise StorageFailed(f"{directory} is in use by another process; stop that one first") from error
    try:
        identity = await _load_identity(disk, directory)
        salvage = Salvage(disk, directory, identity.current, probe, config)
        found = await salvage.run()
        await salvage.close()
        await identity.aclose()
        return Looked(identity, found, tuple(salvage.damages), salvage.lost)
    finally:
        unlock()


async def resume(opened: Opened, segments: Segments, writer: BlockWriter, probe: Probe) -> None:
    """Tell the writer where it goes on. Raises DiskError."""
    if opened.damages:
        await _resume_anew(opened, segments, writer)
        return
    found = opened.found
    segments.current = found.current
    for number, file in found.segments.items():
        if number <= found.current:
            segments.files[number] = file
        elif not segments.adopt(file):
            segments.files[number] = file
            await segments.remove(file)
    if found.cut is not None and not probe.bug("journal.tail_not_erased"):
        data = segments.files[found.current]
        await erase(found.cut, data, await last_written(data.file, found.offset, data.size))
    if found.last is not None:
        writer.sequence, writer.previous_crc = found.last.sequence + 1, found.last.crc
        writer.oldest = found.last.oldest
        if found.last.file_id == found.current:
            writer.epoch = found.last.file_epoch
    writer.offset = found.offset
    writer.file = segments.files.get(found.current)
    if writer.file is None:
        writer.file = await segments.first()
        writer.oldest = segments.current
    if not writer.offset:  # its first block was torn: nothing in it says where it begins
        writer.file.first_sequence = writer.sequence


async def _resume_anew(opened: Opened, segments: Segments, writer: BlockWriter) -> None:
    """In a new segment, behind all that there ever were: those are left as they are until they are
    evacuated."""
    found = opened.found
    segments.files.update(found.segments)
    segments.current = max(opened.identity.current.newest, *found.segments, 0)
    if found.last is not None:
        writer.sequence, writer.previous_crc = found.last.sequence + 1, found.last.crc
    writer.file = await segments.first()
    writer.file.first_sequence = writer.sequence
    writer.oldest = min(segments.files)


async def clear_away(opened: Opened, quarantine: Quarantine) -> None:
    """What no record names goes; of a damaged directory only what is unfinished, the rest is put aside.
    Raises DiskError."""
    if not opened.damages:
        await opened.recovery.remove_leftovers()
        return
    for name in opened.found.leftover:
        if parse_name(name) is not None:
            await quarantine.put(name)
    await opened.recovery.remove_leftovers()


async def _load_identity(disk: Disk, directory: str) -> IdentityFile:
    try:
        return await IdentityFile.load(disk, directory)
    except FileMissing:
        names = [name for name in await disk.list_directory(directory) if parse_name(name) is not None]
        if names:
            raise DataDamaged(f"{directory}/{IDENTITY} is missing, though {names[0]} is there") from None
        return await IdentityFile.create(disk, directory, Identity())
