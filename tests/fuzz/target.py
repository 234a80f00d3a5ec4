"""A fuzz target: one decoder, valid inputs for it, and what it may say to invalid ones.

One rule: whatever a decoder does that is not listed here (another error, a hang, too much memory, a second
meaning of the same bytes) is a finding.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

Tree = tuple[Any, Callable[[Any], bytes]]
"""A value of lists, maps and scalars that an input holds, and how the input is made with another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``corpus`` makes valid inputs. ``decode`` is what is under test; its result goes to ``encode``, where
    there is one: decoding that again must encode to the same bytes. ``errors``: what ``decode`` may raise.

    ``repair`` makes the checksums of a mutated input right, so that what lies behind them is reached.
    ``trees`` finds the CBOR in a valid input, to be changed as a value. ``sealed``: no input with one flipped
    bit may be taken, but for what ``same`` (what came of it, what it was before) says is no harm. ``mutate``:
    in place of the mutations that all targets share. ``bytes_max``: the memory that one input may take."""

    name: str
    corpus: Callable[[], list[bytes]]
    decode: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]
    encode: Callable[[Any], bytes] | None = None
    repair: Callable[[bytes], bytes] | None = None
    trees: Callable[[bytes], list[Tree]] | None = None
    mutate: Callable[[Random, bytes, list[bytes]], bytes] | None = None
    sealed: bool = False
    same: Callable[[Any, Any], bool] | None = None
    bytes_max: int = 64 * 1024 * 1024
    input_bytes_max: int = field(default=256 * 1024)


class Contradiction(Exception):
    """The decoder took an input and got something out of it that cannot be right."""
