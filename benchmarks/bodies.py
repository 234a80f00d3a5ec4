"""The messages that every program sends: random bytes from a seed, all different.

One rule: the ceiling, haqactor and its peers get the same bytes, so that nobody gains by compressing.
"""

import gc
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

SEED: Final = 20_240_229


def random_bodies(count: int, size: int, seed: int = SEED) -> list[bytes]:
    """``count`` bodies of ``size`` bytes; the first eight bytes are the number, so that no two are equal."""
    rng = random.Random(seed)
    return [number.to_bytes(8, "big") + rng.randbytes(size - 8) for number in range(count)]


def employee_bodies(count: int, size: int = 100) -> list[bytes]:
    """The records of ``examples/departments`` as JSON, cut or padded to ``size`` bytes: compressible, as real
    records are."""
    from examples.departments.generate import generate

    return [event.body()[:size].ljust(size) for event in generate(count)]


@asynccontextmanager
async def kept(count: int, size: int) -> AsyncGenerator[list[bytes]]:
    """``random_bodies`` that the program keeps: Python's garbage collection is not to look through them again
    and again meanwhile (nor through what else there is before a node has started), for that would be
    measured, too."""
    bodies = random_bodies(count, size)
    gc.collect()
    gc.freeze()
    try:
        yield bodies
    finally:
        gc.unfreeze()
