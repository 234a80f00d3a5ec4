"""Durable bytes: one journal a node, one writer, one sync for all groups that have something to write.

One rule: nothing is reported durable before it is on the medium, and nothing is handed out that does not
check out.

A caller's duties: 1. ``Journal.open`` and look at ``recovered``; 2. start ``run`` and end the node if it
raises;
3. ``submit``, and bound what is outstanding by ``backlog_bytes``; 4. ``save_snapshot`` for
``wanted_snapshots()``, report
``live`` entries, call ``compact`` until it is False, now and then; 5. stop publishes while ``space_low``;
6. ``cured``
once a tail-suspect group is whole again; 7. ``aclose``.

Files of a directory (numbers are decimal, and never used again)::

    lock                          held by the process that has it open
    identity                      two slots: who this is, boot epoch, clean mark, suspects (``identity``)
    segment-<number>              blocks, of all groups; zero-filled to full size before it gets its name
    cold-<group>-<number>         entries that outlived their segment, one group each, sealed
    snapshot-<group>-<number>     a group's machine state and which entries it refers to, sealed
    *.tmp                         unfinished; removed by the next open

A segment is blocks one behind the other, each at a multiple of 512 bytes, then zeros. Little endian
throughout.
Block header, 112 bytes and 24 a group::

    0    u32  crc32c of bytes 4..header length
    4    4s   "HQB1"
    8    u16  version, 1
    10   u8   kind: 0 data, 1 end of a clean stop
    11   u8   flags: 1 first block of its segment (restates all groups), 2 section is zstd
    12   u32  header length
    16   u32  payload length as stored
    20   u32  crc32c of the payload as stored
    24   u64  number of the segment        \\
    32   u64  epoch: boot that created it   } a block found elsewhere, or from an earlier life, is garbage
    40   u64  size of the segment           }
    48   u64  offset of this block          /
    56   u64  sequence, rising by 1 from the first block of the directory
    64   u64  durable_upto: blocks up to this sequence were synced when this one was built
    72   u64  boot that wrote it
    80   u64  oldest segment that still counts
    88   u32  checksum of the previous block's header (the chain)
    92   u32  length of the records, in the unpacked section
    96   u32  length of the section as stored
    100  u32  length of the section unpacked
    104  u16  groups
    106  u16  0
    108  u32  entries
    112  a row a group: u32 group, u32 entries, u64 first index, u64 last index

Payload: the section, then entry frames (``haqactor.entry``) one behind the other, as they are. The section
is the
records, and if it is packed the small entry frames behind them. Within a block a group's indexes follow
each other; an
entry that overwrites begins another block. What is not above the group's last index replaces it and all
behind it.

Records, each ``u8 kind, u8 flags, u16 cold segments, u32 length, u32 group`` and::

    1 hard state   u64 term, i64 vote (-1: none)
    2 state        u64 term, i64 vote, u64 last index, u64 last term;
                   flag 1, snapshot: u64 index, u64 term, u16 voters, u16 learners, i64 each; u64 file, u64
                   size, u32 crc
                   each cold segment: u64 file, u64 size, u32 crc of its trailer
                   flag 2, reset: what the log held so far is void (a snapshot was installed over it)
    3 drop         the group was deleted

A sealed file: ``u32 crc32c, 4s magic ("HQC1" cold, "HQS1" snapshot), u32 group, u64 number, u64 boot``;
frames, or chunks
of ``u32 crc32c, u32 length, bytes``; a footer (``cold``, ``snapshots``); a trailer ``u32 crc32c, 4s magic,
u32 group,
u64 number, u64 footer offset, u64 footer length, u32 crc32c of the footer``.

The end of the journal is where only zeros follow. A bad block is torn only if it is the last, the stop was
not clean, and
nothing believable lies behind it; then it is cut, and its groups are tail-suspect until ``cured``. All
else is damage.
"""

from haqactor.journal.config import JournalConfig
from haqactor.journal.group import RecoveredGroup
from haqactor.journal.identity import Identity, IdentityFile
from haqactor.journal.install import Install
from haqactor.journal.journal import Journal
from haqactor.journal.snapshots import SnapshotReader
from haqactor.journal.statistics import JournalStatistics
from haqactor.journal.tail import TailCache
from haqactor.journal.writer import Persist

__all__ = [
    "Identity",
    "IdentityFile",
    "Install",
    "Journal",
    "JournalConfig",
    "JournalStatistics",
    "Persist",
    "RecoveredGroup",
    "SnapshotReader",
    "TailCache",
]
