"""Changes to inputs, from seeded randomness alone.

One rule: the same random numbers change the same input in the same way.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from tests.fuzz import hostile
from tests.fuzz.target import Target

_BOUNDARIES: Final = (0, 1, 2, 3, 4, 7, 8, 15, 16, 127, 128, 255, 256, 511, 512, 65_535, 65_536, 1 << 20)


def flip(random: Random, data: bytes) -> bytes:
    """One to eight bits."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        at = random.randrange(len(changed) * 8)
        changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def number(random: Random, data: bytes) -> bytes:
    """A field of 1, 2, 4 or 8 bytes becomes a boundary of something."""
    width = random.choice((1, 2, 4, 4, 4, 8))
    at = random.randrange(max(1, len(data) - width + 1))
    old = int.from_bytes(data[at : at + width], "little")
    top = 1 << (8 * width)
    near = (
        old + 1,
        old - 1,
        top - 1,
        top >> 1,
        (top >> 1) - 1,
        len(data),
        len(data) - at,
        random.choice(_BOUNDARIES),
    )
    return data[:at] + (random.choice(near) % top).to_bytes(width, "little") + data[at + width :]


def cut(random: Random, data: bytes) -> bytes:
    """Bytes are gone at the end, at the beginning or in the middle."""
    at, end = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
    return random.choice((data[:at], data[at:], data[:at] + data[end:]))


def insert(random: Random, data: bytes) -> bytes:
    """New bytes in the middle, or some twice."""
    at, end = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
    new = random.choice(
        (random.randbytes(random.randrange(1, 40)), data[at:end], bytes(random.randrange(1, 600)))
    )
    return data[:at] + new + data[at:]


def overwrite(random: Random, data: bytes) -> bytes:
    """A run of other bytes in place."""
    at = random.randrange(len(data))
    size = min(random.choice((1, 2, 4, 16, 512)), len(data) - at)
    new = random.choice((bytes(size), b"\xff" * size, random.randbytes(size)))
    return data[:at] + new + data[at + size :]


def bomb(random: Random, data: bytes) -> bytes:
    """Something small that claims to be large."""
    at = random.randrange(len(data) + 1)
    piece = random.choice(hostile.BOMBS)
    return data[:at] + piece + data[min(len(data), at + random.choice((0, len(piece)))) :]


_PLAIN: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    flip, flip, number, number, number, cut, insert, overwrite, overwrite, bomb,
)  # fmt: skip


def mutated(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    """A few changes to the bytes of an input; two inputs may be spliced."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if random.random() < 0.1:
            other = random.choice(corpus)
            data = data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]
        elif data:
            data = random.choice(_PLAIN)(random, data)
    return data


def next_input(random: Random, target: Target, corpus: list[bytes]) -> bytes:
    """A new input of a target, from those known so far."""
    base = random.choice(corpus)
    if target.mutate is not None:
        return target.mutate(random, base, corpus)
    data = base
    if target.trees is not None and random.random() < 0.7:
        found = target.trees(base)
        if found:
            tree, rebuilt = random.choice(found)
            for _ in range(random.choice((1, 1, 1, 2, 4))):
                tree = hostile.changed(random, tree)
            data = rebuilt(tree)
            if random.random() < 0.8:
                return data[: target.input_bytes_max]
    data = mutated(random, data, corpus)[: target.input_bytes_max]
    if target.repair is not None and random.random() < 0.7:
        data = target.repair(data)
    return data
