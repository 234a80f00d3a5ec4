"""Reading a journal that is damaged: what is sound of it, and whose groups have lost something.

One rule: a group that damage may have touched keeps at most its log as it stood before the first of it (PAR,
FAST '18: what is known to be there is kept, what is not is asked of others); the groups that no damage
touched lose nothing. Nothing is written here, and nothing removed.

Which groups a bad block has touched its header says, if that is good; if it is not, or if it is not known
which blocks are missing (the chain of checksums tells), it may have been any.
"""

from dataclasses import dataclass

from haqactor.env import Disk, DiskError, Probe
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index
from haqactor.journal.block import BlockHeader
from haqactor.journal.config import SECTOR_BYTES, JournalConfig
from haqactor.journal.files import IDENTITY, DataFile, segment_name
from haqactor.journal.group import Group
from haqactor.journal.identity import Identity
from haqactor.journal.reading import read_entries
from haqactor.journal.record import DropRecord, HardRecord, decode
from haqactor.journal.recovery import Recovery
from haqactor.journal.replay import GroupReplay
from haqactor.journal.restore import restore
from haqactor.journal.scan import Block, SegmentScan


@dataclass(frozen=True, slots=True)
class Damage:
    """One place. ``what``: place and cause, for people. ``path``: the file. ``groups``: whose entries or
    records it may have taken; None: any; empty: nobody's."""

    what: str
    path: str
    groups: tuple[GroupId, ...] | None


class Salvage(Recovery):
    """One attempt. After ``run``: ``damages`` in the order of their finding; ``lost``: the groups that are
    not what they were, None for all."""

    def __init__(
        self, disk: Disk, directory: str, identity: Identity, probe: Probe, config: JournalConfig
    ) -> None:
        super().__init__(disk, directory, identity, probe)
        self._config = config

    def _begin(self) -> None:
        super()._begin()
        self.damages: list[Damage] = []
        self._groups: dict[GroupId, GroupReplay] = self._replay.groups
        self._broken: dict[GroupId, None] = {}
        self._all = False
        self._chain: tuple[int, int] | None = None  # (checksum, sequence) of the block before the next one
        self._doubt: Damage | None = None  # something is bad; whether anything is lost the next block tells

    @property
    def lost(self) -> tuple[GroupId, ...] | None:
        """Groups that lost something; None: all have to be taken for it."""
        return None if self._all else tuple(self._broken)

    # -- segments

    async def _scan_from(self, numbers: list[int]) -> int:
        found = self._found
        for number in numbers:
            before = f"{self._directory}/{segment_name(number - 1)}"
            if number != numbers[0] and number - 1 not in found.segments:
                self._doubts(f"{before} is missing, but {number} is there", before)
            path = f"{self._directory}/{segment_name(number)}"
            file = await self._disk.open(path)
            data = found.segments[number] = DataFile(file, number, await file.size())
            await self._segment(data)
        self._settle_doubt(None)
        if found.last is None:
            if numbers and numbers[0] > 1:
                gone = f"{self._directory}/{segment_name(numbers[0] - 1)}"
                self._note(f"{gone} is missing, and no block behind it is good", gone, None)
            return numbers[0] if numbers else 0
        oldest = found.last.oldest
        if oldest < numbers[0]:
            gone = f"{self._directory}/{segment_name(oldest)}"
            self._note(f"{gone} is missing", gone, None)
            return numbers[0]
        return oldest if oldest in numbers else numbers[0]

    async def _segment(self, data: DataFile) -> None:
        scan = SegmentScan(data.file, data.number, data.size, self._probe, short=True)
        declared = 0
        while True:
            try:
                block = await scan.next()
                if block is not None:
                    declared = block.header.file_bytes
                    self._take(data, block)
                elif scan.bad is None:
                    break
                else:
                    if scan.bad.header is not None:  # what it says of its file is true, whatever it holds
                        declared = max(declared, scan.bad.header.file_bytes)
                    if not await self._skip(data, scan):
                        break
            except (DiskError, DataDamaged) as error:
                # One sector cannot be read; what lies behind it may be readable.
                self._doubts(f"{data.path} at offset {scan.offset}: {error}", data.path)
                if not await self._skip_on(scan):
                    return
        if data.size < max(declared, SECTOR_BYTES):
            self._doubts(f"{data.path} at offset {data.size}: the file ends here", data.path)

    async def _skip(self, data: DataFile, scan: SegmentScan) -> bool:
        """Behind a bad block; False where nothing good follows in this file."""
        bad = scan.bad
        if bad is None:
            return False
        what = f"{bad.path} at offset {bad.offset}: {bad.what}"
        header = bad.header
        if header is not None and self._follows(header):
            # The first one of all begins every group, also those that it has no entries of.
            self._note(what, bad.path, None if self._chain is None else bad.groups)
            self._went_by(data, header)
            scan.skip_to(header.end)
            return header.end < data.size
        self._doubts(what, bad.path)
        return await self._skip_on(scan)

    async def _skip_on(self, scan: SegmentScan) -> bool:
        """To the next block whose header is good; False where none is."""
        following = await scan.good_header(scan.offset + SECTOR_BYTES)
        if following is None:
            return False
        scan.skip_to(following)
        return True

    def _follows(self, header: BlockHeader) -> bool:
        return self._chain is None or self._chain == (header.previous_crc, header.sequence - 1)

    def _went_by(self, data: DataFile, header: BlockHeader) -> None:
        """The journal goes on behind this block, whether it is good or not."""
        found = self._found
        if not header.offset:
            data.first_sequence = header.sequence
        if found.last is None or header.sequence > found.last.sequence:
            found.last, found.current, found.offset = header, data.number, header.end
        self._chain = header.crc, header.sequence

    def _take(self, data: DataFile, block: Block) -> None:
        header = block.header
        self._settle_doubt(header)
        if not self._follows(header):
            what = f"block {header.sequence} does not follow block {self._chain and self._chain[1]}"
            self._note(f"{data.path} at offset {header.offset}: {what}", data.path, None)
        self._went_by(data, header)
        ordinal = 0
        if header.packed:
            ordinal = data.add_packed(header.section_offset, header.section_bytes, header.section_raw_bytes)
        self._records(data, block)
        start = 0
        for row in header.rows:
            frames = block.payload.frames[start : start + row.entries]
            start += row.entries
            if not frames or self._is_broken(row.group):
                continue
            try:
                self._groups.setdefault(row.group, GroupReplay()).add(data, frames, ordinal, block)
            except DataDamaged as error:
                self._note(f"{data.path} at offset {header.offset}: {error}", data.path, (row.group,))

    def _records(self, data: DataFile, block: Block) -> None:
        place = f"{data.path} at offset {block.header.offset}"
        try:
            records = list(decode(block.payload.records))
        except DataDamaged as error:
            self._note(f"{place}: {error}", data.path, tuple(row.group for row in block.header.rows))
            return
        for record in records:
            if isinstance(record, DropRecord):
                self._groups.pop(record.group, None)
                self._broken.pop(record.group, None)
                continue
            known = record.group in self._groups
            group = self._groups.setdefault(record.group, GroupReplay())
            if isinstance(record, HardRecord) or self._is_broken(record.group):
                group.hard = record.hard_state  # what it promised lately binds it, whatever else is gone
                continue
            try:
                group.restate(record, known)
            except DataDamaged as error:
                group.hard = record.hard_state
                self._note(f"{place}: {error}", data.path, (record.group,))

    # -- what is known to be lost

    def _is_broken(self, group: GroupId) -> bool:
        return self._all or group in self._broken

    def _note(self, what: str, path: str, groups: tuple[GroupId, ...] | None) -> None:
        """Damage that has taken something."""
        self.damages.append(Damage(what, path, groups))
        if groups is None:
            self._all = True
        else:
            self._broken.update(dict.fromkeys(groups))

    def _doubts(self, what: str, path: str) -> None:
        """Something is bad; perhaps nobody needs it."""
        if self._doubt is not None:
            self._note(self._doubt.what, self._doubt.path, None)
        self._doubt = Damage(what, path, ())

    def _settle_doubt(self, following: BlockHeader | None) -> None:
        """The next good block is here (None: there is none): does it follow the last one?"""
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return
        if following is not None and self._chain is not None and self._follows(following):
            self.damages.append(doubt)
            return
        self._note(doubt.what, doubt.path, None)
        if following is not None:
            self._chain = following.previous_crc, following.sequence - 1  # said once, that is enough

    # -- the end, and the sealed files

    def _check_end(self) -> None:
        """Is the end where the identity file says that it must be at least?"""
        identity, clean, last = self._identity, self._identity.clean, self._found.last
        path = f"{self._directory}/{segment_name(self._found.current)}"
        if clean is not None and (last is None or (last.sequence, last.crc) != (clean.sequence, clean.crc)):
            path = f"{self._directory}/{segment_name(clean.segment)}"
            self._note(f"{path}: the end block {clean.sequence} of a clean stop is not there", path, None)
        elif self._found.sequence < identity.durable_upto:
            what = f"blocks {self._found.sequence + 1}..{identity.durable_upto} were durable and are gone"
            self._note(f"{path}: {what}", path, None)
        newest = max(self._found.segments, default=0)
        if newest < identity.newest and not self._all:
            path = f"{self._directory}/{segment_name(identity.newest)}"
            self._note(f"{path} is missing, and it may have held the end of the log", path, None)
        if last is not None and last.boot > identity.boot:
            path = f"{self._directory}/{IDENTITY}"
            self._note(f"{path}: the newest copy is gone, that of boot {last.boot}", path, None)

    async def _restore(self) -> None:
        """Every group with its sealed files, each of which is read whole; what is not sound is left out."""
        for group_id, replay in self._groups.items():
            configs: tuple[tuple[Index, bytes], ...] = ()
            try:
                group, configs = await restore(self._disk, self._directory, group_id, replay)
                try:
                    await self._verify(group)
                except BaseException:
                    await group.close_files()
                    raise
            except (DataDamaged, DiskError) as error:
                self._note(str(error), _path_in(str(error)), (group_id,))
                group, configs = Group(group_id), ()
                group.hard = replay.hard
            self._found.groups[group_id], self._found.configs[group_id] = group, configs

    async def _verify(self, group: Group) -> None:
        """Read what start-up takes on trust: the chunks of the snapshot, the frames of cold segments. Raises
        DataDamaged."""
        if group.snapshot is not None:
            for number in range(len(group.snapshot.offsets)):
                await group.snapshot.chunk(number)
        for first, last in group.live:
            present = len(list(group.index.locate(first, last)))
            if present != last - first + 1:
                raise DataDamaged(
                    f"{self._directory}: group {group.id} holds {present} of the live entries {first}..{last}"
                )
        cold = [
            where
            for where in group.index.locate(1, group.index.last_index)
            if group.cold.get(where.file.number) is where.file
        ]
        step = 256
        for at in range(0, len(cold), step):
            await read_entries(group.id, cold[at : at + step], self._config)


def _path_in(text: str) -> str:
    """The file that an error about damage names first."""
    return text.partition(" ")[0]
