"""Opening a journal: find its end, tell a torn tail from corruption, and rebuild every group.

One rule: only the last block after an unclean stop may be bad, and then it is cut and its groups are
suspect. Anything else that does not fit is damage, and is refused by name (J2-J4).
"""

from dataclasses import dataclass, field

from haqactor.env import Disk, FileMissing, Probe
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId
from haqactor.journal.block import END, BlockHeader
from haqactor.journal.config import SECTOR_BYTES
from haqactor.journal.files import IDENTITY, DataFile, damaged, parse_name, segment_name
from haqactor.journal.group import Group, RecoveredGroup
from haqactor.journal.identity import Identity
from haqactor.journal.replay import Replay
from haqactor.journal.restore import Configs, restore
from haqactor.journal.scan import BadBlock, SegmentScan, first_written, last_written


@dataclass(slots=True)
class Found:
    """What the directory holds. ``cut``: the bad last block, to be erased. ``offset``: where the next
    block goes."""

    segments: dict[int, DataFile] = field(default_factory=dict[int, DataFile])
    groups: dict[GroupId, Group] = field(default_factory=dict[GroupId, Group])
    recovered: dict[GroupId, RecoveredGroup] = field(default_factory=dict[GroupId, RecoveredGroup])
    configs: dict[GroupId, Configs] = field(default_factory=dict[GroupId, Configs])
    current: int = 0
    offset: int = 0
    last: BlockHeader | None = None
    cut: BadBlock | None = None
    empty: list[int] = field(default_factory=list[int])
    leftover: list[str] = field(default_factory=list[str])

    @property
    def sequence(self) -> int:
        """Of the last good block; 0: none."""
        return 0 if self.last is None else self.last.sequence


class Recovery:
    """One attempt to open a directory, which is locked."""

    def __init__(self, disk: Disk, directory: str, identity: Identity, probe: Probe) -> None:
        self._probe = probe
        self._disk = disk
        self._directory = directory
        self._identity = identity
        self._found = Found()
        self._begin()

    def _begin(self) -> None:
        """Nothing has been replayed yet."""
        self._replay = Replay()

    async def run(self) -> Found:
        """All of it. Raises DataDamaged."""
        names = await self._disk.list_directory(self._directory)
        numbers = sorted(
            each[2] for each in map(parse_name, names) if each is not None and each[0] == "segment"
        )
        oldest = await self._scan_from(numbers)
        if numbers and oldest > numbers[0]:
            for number in numbers:
                if number < oldest:
                    self._found.leftover.append(segment_name(number))
            await self.close()
            leftover = self._found.leftover
            self._found = Found(leftover=leftover)
            self._begin()
            await self._scan_from([number for number in numbers if number >= oldest])
        self._check_end()
        await self._restore()
        await self._orphans(names)
        return self._found

    async def close(self) -> None:
        """Close what was opened; nobody will use it."""
        for file in self._found.segments.values():
            await file.retire()
        for group in self._found.groups.values():
            await group.close_files()

    async def _restore(self) -> None:
        for group_id, replay in self._replay.groups.items():
            group, configs = await restore(self._disk, self._directory, group_id, replay)
            self._found.groups[group_id], self._found.configs[group_id] = group, configs

    async def _scan_from(self, numbers: list[int]) -> int:
        """Replay these segments; returns the oldest that counts."""
        found = self._found
        for number in numbers:
            if number != numbers[0] and number - 1 not in found.segments:
                raise DataDamaged(
                    f"{self._directory}/{segment_name(number - 1)} is missing, but {number} is there"
                )
            path = f"{self._directory}/{segment_name(number)}"
            file = await self._disk.open(path)
            data = DataFile(file, number, await file.size())
            found.segments[number] = data
            if data.size < SECTOR_BYTES:  # it had its full size before its name: all that it held is gone
                raise damaged(path, data.size, f"the file ends here: no segment has {data.size} bytes")
            await self._segment(data)
        if found.last is None:
            if numbers and numbers[0] > 1:  # an older one goes only when a block in a newer one says so
                gone = f"{self._directory}/{segment_name(numbers[0] - 1)}"
                raise DataDamaged(f"{gone} is missing, and no block behind it is good")
            return numbers[0] if numbers else 0
        if found.last.oldest < numbers[0]:
            raise DataDamaged(f"{self._directory}/{segment_name(found.last.oldest)} is missing")
        return found.last.oldest

    async def _segment(self, data: DataFile) -> None:
        found = self._found
        if found.cut is not None or found.empty:
            written = await first_written(data.file, 0, data.size)
            if written is None:
                found.empty.append(data.number)
                return
            if found.cut is not None:
                cut = found.cut
                raise damaged(
                    cut.path, cut.offset, f"{cut.what}, but {data.path} goes on behind it", cut.groups or ()
                )
            raise damaged(data.path, written, f"segment {found.empty[0]} before it is empty")
        scan = SegmentScan(data.file, data.number, data.size, self._probe)
        while True:
            block = await scan.next()
            if block is None:
                break
            header = block.header
            groups = tuple(row.group for row in header.rows)
            self._check_chain(data, header)
            if (header.offset == 0) != bool(header.flags & 1):
                raise damaged(
                    data.path,
                    header.offset,
                    "a segment's first block, and no other, restates the groups",
                    groups,
                )
            try:
                self._replay.block(data, block)
            except DataDamaged as error:
                raise damaged(data.path, header.offset, error, groups) from error
            if not header.offset:
                data.first_sequence = header.sequence
            found.last, found.current, found.offset = header, data.number, header.end
        if scan.bad is not None:
            await self._check_torn(data, scan, scan.bad)
            found.cut, found.current, found.offset = scan.bad, data.number, scan.bad.offset
        elif not scan.offset:
            found.empty.append(data.number)

    async def _check_torn(self, data: DataFile, scan: SegmentScan, bad: BadBlock) -> None:
        """Can it be the log's torn end? A block is written when the one before it is durable, and what is cut
        is erased first: then nothing is behind it, and it follows the last good one."""
        behind = await scan.later_block()
        torn = bad.header
        if torn is not None and behind is None:
            self._check_chain(data, torn)
            if await last_written(data.file, torn.end, data.size) > torn.end:
                behind = "more was written behind it"
        if behind is not None and not self._probe.bug("journal.corrupt_taken_for_torn"):
            raise damaged(
                data.path, bad.offset, f"{bad.what}, but {behind}: this is corruption", bad.groups or ()
            )

    def _check_chain(self, data: DataFile, header: BlockHeader) -> None:
        """Does the block follow the last good one? One that is torn has to, too."""
        last = self._found.last
        if last is not None and (header.previous_crc, header.sequence) != (last.crc, last.sequence + 1):
            what = f"block {header.sequence} does not follow block {last.sequence}: the chain is broken"
            raise damaged(data.path, header.offset, what, tuple(row.group for row in header.rows))

    def _check_end(self) -> None:
        """Is the end where the identity file says it must be at least?"""
        found, clean, last = self._found, self._identity.clean, self._found.last
        if clean is not None:
            cut = found.cut
            if cut is not None:
                raise damaged(
                    cut.path,
                    cut.offset,
                    f"{cut.what}, after a clean stop: this is corruption",
                    cut.groups or (),
                )
            marked = last is not None and last.kind == END
            if (
                last is None
                or not marked
                or (last.file_id, last.offset, last.sequence, last.crc)
                != (
                    clean.segment,
                    clean.offset,
                    clean.sequence,
                    clean.crc,
                )
            ):
                path = f"{self._directory}/{segment_name(clean.segment)}"
                raise damaged(
                    path, clean.offset, f"the end block {clean.sequence} of a clean stop is not there"
                )
        if last is not None and last.boot > self._identity.boot:
            what = f"the newest copy is gone: block {last.sequence} is of boot {last.boot}"
            raise damaged(f"{self._directory}/{IDENTITY}", 0, f"{what}, this one of {self._identity.boot}")
        newest = max(found.segments, default=0)
        if newest < self._identity.newest:
            gone = f"{self._directory}/{segment_name(self._identity.newest)}"
            raise DataDamaged(f"{gone} is missing, and it may have held the end of the log")
        if found.sequence < self._identity.durable_upto:
            at = found.cut
            path = f"{self._directory}/{segment_name(found.current)}" if at is None else at.path
            what = f"blocks {found.sequence + 1}..{self._identity.durable_upto} were durable and are gone"
            raise damaged(path, found.offset, what, () if at is None else at.groups or ())

    async def settle(self) -> None:
        """Make what was found durable before anybody believes it: a program that was killed leaves blocks and
        names in the cache of the operating system, and the power may go yet. Raises DiskError."""
        found = self._found
        last = found.segments.get(found.current)
        if last is not None:
            await last.file.sync()
            await self._disk.sync_directory(self._directory)

    def describe(self, identity: Identity) -> None:
        """Fill ``recovered``, with the suspicion that ``identity`` holds by now."""
        for group_id, group in self._found.groups.items():
            self._found.recovered[group_id] = RecoveredGroup(
                hard_state=group.hard,
                snapshot=group.manifest.snapshot,
                runs=tuple(group.index.runs_above(group.snapshot_index)),
                last_index=group.index.last_index,
                last_term=group.index.last_term,
                configs=self._found.configs[group_id],
                tail_suspect=identity.tail_suspect(group_id),
            )

    async def _orphans(self, names: list[str]) -> None:
        """Sealed files that no record names, and temporary ones: remains of steps that a crash ended."""
        found = self._found
        for name in names:
            parsed = parse_name(name)
            if name.endswith(".tmp"):
                found.leftover.append(name)
            elif parsed is not None and parsed[0] != "segment":
                kind, group_number, number = parsed
                group = found.groups.get(GroupId(group_number))
                if group is not None:
                    group.next_number = max(group.next_number, number + 1)
                named = group is not None and (
                    number in group.cold
                    if kind == "cold"
                    else group.snapshot is not None and group.snapshot.ref.number == number
                )
                if not named:
                    found.leftover.append(name)

    async def remove_leftovers(self) -> None:
        """Only after everything that is named was found sound (R20)."""
        for name in self._found.leftover:
            try:
                await self._disk.unlink(f"{self._directory}/{name}")
            except FileMissing:
                continue
        if self._found.leftover:
            await self._disk.sync_directory(self._directory)


async def erase(cut: BadBlock, file: DataFile, end: int) -> None:
    """Zero a bad tail, its first sector last, so that a crash in between leaves the same judgement. Raises
    DiskError."""
    step = 1024 * 1024
    for offset in range(cut.offset + 512, end, step):
        await file.file.pwrite(offset, [bytes(min(step, end - offset))])
    await file.file.sync()
    await file.file.write_durable(cut.offset, [bytes(min(512, file.size - cut.offset))])
