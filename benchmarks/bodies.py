"""The messages that every program sends: random bytes from a seed, all different.

One rule: the ceiling, haqactor and its peers get the same bytes, so that nobody gains by compressing.
"""

import json
import random
from typing import Final

SEED: Final = 20_240_229


def random_bodies(count: int, size: int, seed: int = SEED) -> list[bytes]:
    """``count`` bodies of ``size`` bytes; the first eight bytes are the number, so that no two are equal."""
    rng = random.Random(seed)
    return [number.to_bytes(8, "big") + rng.randbytes(size - 8) for number in range(count)]


def employee_bodies(count: int, size: int = 100, seed: int = SEED) -> list[bytes]:
    """Records like those of ``examples/departments`` as JSON, cut or padded to ``size`` bytes: compressible,
    as real records are.
    """
    rng = random.Random(seed)
    names = ("Ada", "Alan", "Barbara", "Edsger", "Grace", "Ken", "Leslie", "Nancy", "Radia", "Tony")
    result: list[bytes] = []
    for number in range(count):
        record = {
            "event": f"e{number:07d}",
            "kind": rng.choice(("hired", "moved", "raised", "left")),
            "employee": f"p{rng.randrange(2000):04d}",
            "name": rng.choice(names),
            "salary": 100 * rng.randrange(300, 900),
        }
        result.append(json.dumps(record, separators=(",", ":")).encode()[:size].ljust(size))
    return result
