"""Who this data directory is: a small file with two slots, each complete, written in turn.

One rule: the newest valid slot is the truth; a failed or torn write harms only the slot that was the older
one.

Layout: slot n at n * 65,536. A slot is ``u32 crc32c of the rest, 4s "HQID", u32 length, u64 sequence, CBOR
map``.
"""

import struct
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any, Final

import cbor2
import google_crc32c

from haqactor import codec
from haqactor.env import Disk, DiskError, File, FileMissing
from haqactor.errors import DataDamaged, ProtocolError, StorageFailed
from haqactor.journal.files import IDENTITY, TEMPORARY

SLOT_BYTES: Final = 65_536
_HEAD: Final = struct.Struct("<I4sIQ")
_MAGIC: Final = b"HQID"


@dataclass(frozen=True, slots=True)
class CleanMark:
    """Where the end block of a clean stop lies: while it stands, every bad block is corruption."""

    segment: int
    offset: int
    sequence: int
    crc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a directory knows of itself. ``members``: (node id, address, nonce) as last known.

    ``durable_upto``: blocks up to this sequence were durable when the directory was last opened.
    ``suspects``/``suspect_all``/``cured``: groups that lost a tail and were not cured yet (``cured`` are
    exempt of *all*)."""

    cluster_id: bytes | None = None
    node_id: int | None = None
    nonce: bytes = b""
    members: tuple[tuple[int, str, bytes], ...] = ()
    boot: int = 0
    clean: CleanMark | None = None
    durable_upto: int = 0
    suspects: tuple[int, ...] = ()
    suspect_all: bool = False
    cured: tuple[int, ...] = ()

    def tail_suspect(self, group: int) -> bool:
        """Did this group lose a tail that nobody has given back yet?"""
        return group in self.suspects or (self.suspect_all and group not in self.cured)


def encode(identity: Identity, sequence: int) -> bytes:
    """A slot's bytes."""
    body = cbor2.dumps(asdict(identity), canonical=True)
    if _HEAD.size + len(body) > SLOT_BYTES:
        raise DataDamaged(f"an identity of {len(body)} bytes does not fit its slot of {SLOT_BYTES}")
    rest = _HEAD.pack(0, _MAGIC, len(body), sequence)[4:] + body
    crc: int = google_crc32c.value(rest)
    return crc.to_bytes(4, "little") + rest


def decode(slot: bytes) -> tuple[int, Identity] | None:
    """(sequence, identity), or None where the slot is not valid. Raises DataDamaged where it is valid and
    says what no release writes: the older slot is no answer to that."""
    if len(slot) < _HEAD.size:
        return None
    crc, magic, length, sequence = _HEAD.unpack_from(slot)
    end = _HEAD.size + length
    if magic != _MAGIC or end > len(slot) or google_crc32c.value(slot[4:end]) != crc:
        return None
    try:
        return sequence, _identity(codec.loads(slot[_HEAD.size : end]))
    except (ProtocolError, KeyError, TypeError, ValueError) as error:
        raise DataDamaged(f"copy {sequence} of the identity cannot be read: {error}") from error


def _identity(fields: dict[str, Any]) -> Identity:
    """Of the fields of a slot. Raises KeyError, TypeError, ValueError."""
    clean = fields["clean"]
    identity = replace(
        Identity(),
        **{
            **fields,
            "members": tuple((node, address, nonce) for node, address, nonce in fields["members"]),
            "clean": None if clean is None else CleanMark(**clean),
            "suspects": tuple(fields["suspects"]),
            "cured": tuple(fields["cured"]),
        },
    )
    mark = () if identity.clean is None else astuple(identity.clean)
    numbers = (identity.boot, identity.durable_upto, *identity.suspects, *identity.cured, *mark)
    right = all(type(number) is int and 0 <= number < 1 << 63 for number in numbers)
    for node, address, nonce in identity.members:
        right = right and type(node) is int and type(address) is str and type(nonce) is bytes
    right = right and type(identity.suspect_all) is bool and type(identity.nonce) is bytes
    right = right and type(identity.node_id) in (int, type(None))
    if not (right and type(identity.cluster_id) in (bytes, type(None))):
        raise ValueError("a field is of another type than it should be")
    return identity


class IdentityFile:
    """The open file. ``current`` is what is durable."""

    def __init__(self, file: File, current: Identity, sequence: int) -> None:
        self._file = file
        self._sequence = sequence
        self.current = current

    @classmethod
    async def load(cls, disk: Disk, directory: str) -> "IdentityFile":
        """The newest valid slot. Raises FileMissing, and DataDamaged when no slot is valid."""
        file = await disk.open(f"{directory}/{IDENTITY}")
        try:
            size = await file.size()
            if (
                size < 2 * SLOT_BYTES
            ):  # what is stored next would change its size, and might not be durable (J8)
                raise DataDamaged(f"the file ends at {size}, and should at {2 * SLOT_BYTES}")
            slots = [decode(await file.pread(number * SLOT_BYTES, SLOT_BYTES)) for number in (0, 1)]
            valid = [slot for slot in slots if slot is not None]
            if not valid:
                raise DataDamaged(f"neither copy at offset 0 nor at {SLOT_BYTES} is valid")
        except DataDamaged as error:
            await file.aclose()
            raise DataDamaged(f"{directory}/{IDENTITY}: {error}") from error
        sequence, current = max(valid, key=lambda slot: slot[0])
        return cls(file, current, sequence)

    @classmethod
    async def create(cls, disk: Disk, directory: str, identity: Identity) -> "IdentityFile":
        """A new file, complete under its name or not there at all."""
        path = f"{directory}/{IDENTITY}"
        try:
            await disk.unlink(path + TEMPORARY)
        except FileMissing:
            pass
        file = await disk.allocate(path + TEMPORARY, 2 * SLOT_BYTES)
        await file.write_durable(SLOT_BYTES, [encode(identity, 1)])
        await file.aclose()
        await disk.rename(path + TEMPORARY, path)
        await disk.sync_directory(directory)
        return await cls.load(disk, directory)

    async def store(self, identity: Identity) -> None:
        """Make it durable, in the older slot. Raises StorageFailed."""
        sequence = self._sequence + 1
        try:
            await self._file.write_durable(sequence % 2 * SLOT_BYTES, [encode(identity, sequence)])
        except DiskError as error:
            raise StorageFailed(f"{self._file.path}: {error}") from error
        self._sequence = sequence
        self.current = identity

    async def aclose(self) -> None:
        """Close the file."""
        await self._file.aclose()
