"""Target: a whole data directory whose files were changed, opened by the journal.

One rule: it opens or refuses, typed; and what it serves is what was written, unless a checksum was made right
over what was not.
"""

import struct
from random import Random
from typing import Final

import trio

from haqactor.env import NullProbe
from haqactor.errors import DataDamaged, StorageFailed, UnknownVersion
from haqactor.ids import GroupId
from haqactor.journal import Journal
from tests.builders.journal_bench import DIRECTORY, read_all
from tests.builders.journal_files import CONFIG, disk_of, journal_files, journal_written
from tests.fuzz import checksums
from tests.fuzz.mutator import mutated
from tests.fuzz.target import Contradiction, Target

_HEAD: Final = struct.Struct("<HII")
_FILE_BYTES_MAX: Final = 1 << 20
_PLAIN, _REPAIRED = b"P", b"R"
Files = dict[str, bytes]


def pack(files: Files, mark: bytes = _PLAIN) -> bytes:
    """One input: for each file its name, its size, and its bytes up to the zeros at its end."""
    found = [mark]
    for name, content in files.items():
        stored = content.rstrip(b"\0")
        found.append(_HEAD.pack(len(name.encode()), len(content), len(stored)) + name.encode() + stored)
    return b"".join(found)


def unpack(data: bytes) -> tuple[bytes, Files]:
    """The inverse of ``pack``."""
    files: Files = {}
    at = 1
    while at < len(data):
        name, size, stored = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        files[data[at : at + name].decode()] = data[at + name : at + name + stored].ljust(size, b"\0")
        at += name + stored
    return data[:1], files


def _repaired(name: str, content: bytes) -> bytes:
    if name.startswith("segment"):
        return checksums.segment(content)
    if name == "identity":
        return checksums.identity_slot(content[:65_536]) + checksums.identity_slot(content[65_536:])
    return checksums.sealed(content)


def _mutate(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    mark, files = unpack(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        name = random.choice(list(files))
        content = files[name]
        match random.randrange(16):
            case 0 if len(files) > 1:
                del files[name]
            case 1:
                other = random.choice(list(files))
                files[name], files[other] = files[other], files[name]
            case 2:
                kind = random.choice(
                    ("segment-{:016d}", "cold-00000001-{:016d}", "snapshot-00000001-{:016d}", "x{}")
                )
                files[kind.format(random.choice((0, 1, 2, 5, 6, 9, 10**15)))] = content
            case 3:
                files[name] = bytes(len(content))
            case 4:
                _mark, others = unpack(random.choice(corpus))
                files[name] = random.choice(list(others.values()))
            case 5:
                files[name] = content[: random.randrange(len(content) + 1)] if content else bytes(4096)
            case _:
                used = content.rstrip(b"\0") or content
                files[name] = (mutated(random, used, [used]) + content[len(used) :])[:_FILE_BYTES_MAX]
                if random.random() < 0.6:
                    files[name], mark = _repaired(name, files[name]), _REPAIRED
    return pack(files, mark)


async def _served(files: Files) -> list[bytes]:
    journal = await Journal.open(disk_of(files), DIRECTORY, CONFIG, probe=NullProbe())
    frames: list[bytes] = []
    refused: DataDamaged | None = None
    for group in journal.recovered:
        try:
            frames += [entry.frame for entry in await read_all(journal, group)]
            snapshot = journal.snapshot(GroupId(group))
            for number in range(0 if snapshot is None else min(snapshot.chunk_count, 100)):
                assert snapshot is not None
                await snapshot.chunk(number)
        except DataDamaged as error:
            refused = error
    await journal.aclose()
    if refused is not None:
        raise refused
    return frames


def _opened(data: bytes) -> int:
    mark, files = unpack(data)
    frames = trio.run(_served, files)
    if mark == _PLAIN and not journal_written().frames.issuperset(frames):
        raise Contradiction("an entry was served that nobody wrote")
    return len(frames)


def _corpus() -> list[bytes]:
    return [pack(dict(journal_files(clean=clean))) for clean in (True, False)]


TARGETS: Final = (
    Target(
        name="directory",
        corpus=_corpus,
        decode=_opened,
        errors=(DataDamaged, StorageFailed, UnknownVersion),
        mutate=_mutate,
    ),
)
