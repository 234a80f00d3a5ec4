"""Damage to the journal of a node that does not run, and the way back.

One rule: a copy is kept of every file before it is touched, so that a node that refuses its damaged data, as
it should, gets back what it had.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SECTOR: Final = 512


@dataclass(frozen=True, slots=True)
class Damage:
    """What was done to ``path``; ``saved`` is what it held."""

    path: Path
    text: str
    saved: bytes

    def undo(self) -> None:
        """As it was."""
        self.path.write_bytes(self.saved)


def damage(data: Path, amount: float) -> Damage | None:
    """Flip a bit of a segment, or cut off its end, as ``amount`` in [0, 1) says; None where none has
    content."""
    segments = sorted(data.glob("segment-*"))
    filled = [(path, content) for path in segments if (content := path.read_bytes()).rstrip(b"\0")]
    if not filled:
        return None
    path, content = filled[int(amount * 1000) % len(filled)]
    used = len(content.rstrip(b"\0"))
    place = int(amount * used)
    if int(amount * 10_000) % 2:
        while not content[place]:  # zeros between blocks mean nothing
            place += 1
        changed = bytearray(content)
        changed[place] ^= 1 << int(amount * 100_000) % 8
        path.write_bytes(changed)
        return Damage(path, f"flipped a bit of {path.name} at {place} of {used}", content)
    place -= place % _SECTOR
    path.write_bytes(content[:place])
    return Damage(path, f"cut {path.name} from {place} on, of {used} used", content)
