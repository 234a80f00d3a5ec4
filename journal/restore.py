"""Putting a group together again: what its segments hold, and what its sealed files hold below and between.

One rule: an entry of a sealed file counts only where nothing newer stands: above the snapshot if it was
not overwritten
since, below it if the snapshot refers to it, by index and term.
"""

import trio

from haqactor.entry import Kind, parse
from haqactor.env import Disk, DiskError
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, Term
from haqactor.journal.cold import ColdColumns, open_cold, piece_of
from haqactor.journal.files import DataFile, damaged
from haqactor.journal.group import Group
from haqactor.journal.index import GroupIndex
from haqactor.journal.replay import GroupReplay
from haqactor.journal.snapshots import LiveTerms, open_snapshot

Configs = tuple[tuple[Index, bytes], ...]
"""(index, header) of CONFIG entries above the snapshot."""
_ABOVE_ALL = 2**63


async def restore(
    disk: Disk, directory: str, group_id: GroupId, replay: GroupReplay
) -> tuple[Group, Configs]:
    """The group and its configurations. Raises DataDamaged, also where entries above the snapshot are
    missing."""
    group = Group(group_id)
    try:
        return group, await _restore(disk, directory, group, replay)
    except BaseException:
        with trio.CancelScope(shield=True):
            await group.close_files()
        raise


async def _restore(disk: Disk, directory: str, group: Group, replay: GroupReplay) -> Configs:
    group_id = group.id
    group.hard, group.manifest = replay.hard, replay.manifest
    manifest, hot = replay.manifest, replay.hot
    live: LiveTerms = ()
    if manifest.snapshot is not None and manifest.snapshot_file is not None:
        group.snapshot = await open_snapshot(disk, directory, group_id, manifest.snapshot_file)
        live, group.live = group.snapshot.live_terms, group.snapshot.live
        if group.snapshot.meta != manifest.snapshot:
            raise damaged(
                group.snapshot.file.path, 0, "this is another snapshot than the journal names", (group_id,)
            )
    base = group.snapshot_index
    files: list[tuple[DataFile, ColdColumns]] = []
    for ref in manifest.cold:
        data, columns = await open_cold(disk, directory, group_id, ref)
        group.cold[ref.number] = data
        files.append((data, columns))
    first_hot = next((where.log_index for where in hot.locate(base + 1, hot.last_index)), hot.last_index + 1)
    ceiling = min(replay.ceiling, Index(first_hot - 1))
    configs = dict(replay.configs)
    index = await _cold_part(files, base, ceiling, live, configs)
    _join(index, hot)
    if index.last_index < base:
        index.last_index = base
        index.last_term = manifest.snapshot.term if manifest.snapshot is not None else Term(0)
    group.index = index
    held = sum(piece.position(index.last_index + 1) - piece.position(base + 1) for piece in index.pieces)
    if held != index.last_index - base:
        raise DataDamaged(
            f"{directory}: group {group_id} holds {held} of entries {base + 1}..{index.last_index}"
        )
    return tuple(
        (at, header)
        for at, (term, header) in sorted(configs.items())
        if base < at <= index.last_index and index.term_at(at) == term
    )


async def _cold_part(
    files: list[tuple[DataFile, ColdColumns]],
    base: Index,
    ceiling: Index,
    live: LiveTerms,
    configs: dict[Index, tuple[Term, bytes]],
) -> GroupIndex:
    """What counts of the cold segments. A later one overrides an earlier one from its first index on."""
    kept: list[tuple[DataFile, ColdColumns, list[int]]] = []
    above = _ABOVE_ALL
    for data, columns in reversed(files):
        rows = _valid_rows(columns, base, ceiling, above, live)
        if columns.indexes:
            above = min(above, columns.indexes[0])
        if rows:
            kept.append((data, columns, rows))
    index = GroupIndex()
    for data, columns, rows in reversed(kept):
        index.pieces.append(piece_of(data, columns, rows))
        for row in rows:
            index.add_run(columns.indexes[row], columns.terms[row])
            if columns.kinds[row] == Kind.CONFIG and columns.indexes[row] > base:
                at = columns.offsets[row]
                try:
                    entry = parse(await data.file.pread(at, columns.lengths[row]))
                except (DataDamaged, DiskError) as error:
                    raise damaged(data.path, at, error) from error
                configs[entry.index] = entry.term, bytes(entry.header)
    return index


def _join(index: GroupIndex, hot: GroupIndex) -> None:
    """Behind the cold entries go those in segments."""
    highest = index.pieces[-1].last if index.pieces else 0
    hot.drop_upto(highest)
    for start, term in zip(hot.run_firsts, hot.run_terms, strict=True):
        index.add_run(max(start, highest + 1), term)
    index.pieces += hot.pieces
    index.last_index, index.last_term = hot.last_index, hot.last_term


def _valid_rows(columns: ColdColumns, base: int, ceiling: int, above: int, live: LiveTerms) -> list[int]:
    """Rows that still stand: above the snapshot those not overwritten since, below it those that it refers
    to."""
    rows: list[int] = []
    at = 0
    for row, index in enumerate(columns.indexes):
        if index >= above:
            break
        if index > base:
            if index <= ceiling:
                rows.append(row)
            continue
        while at < len(live) and live[at][1] < index:
            at += 1
        if at < len(live) and live[at][0] <= index and columns.terms[row] == live[at][2]:
            rows.append(row)
    return rows
