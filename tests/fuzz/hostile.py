"""Values that decoders must not trip over, as CBOR; and bytes that are hardly CBOR at all.

One rule: each of them is small, whatever it unpacks to.
"""

from decimal import Decimal
from random import Random
from typing import Any, Final, cast

import cbor2
import zstandard
from cbor2 import CBORSimpleValue, CBORTag

INTEGERS: Final = (
    -1, 0, 1, 2, 127, 128, 255, 256, 65_535, 65_536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32,
    (1 << 62) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -(1 << 63), -(1 << 64),
    -(1 << 70), 1 << 200, 10**5000, -(10**5000),
)  # fmt: skip


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


LEAVES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0.0,
    -1.5,
    float("nan"),
    float("inf"),
    1e300,
    "",
    "x",
    "no_quorum",
    "-1",
    "\0",
    "x" * 2000,
    b"",
    b"x",
    bytes(16),
    bytes(2000),
    [],
    [[]],
    [0],
    [[0, 0, 0, 0]],
    [[1 << 40, 1], [0, 1 << 40]],
    nested(30),
    nested(390),
    {},
    {"x": {}},
    {1: 2},
    {"lease_ns": "x"},
    Decimal("NaN"),
    Decimal("1e999999"),
    CBORTag(35, "(a+)+"),
    CBORTag(4, [1 << 40, 1]),
    CBORTag(28, [CBORTag(29, 0)]),
    CBORTag(258, [1, 2]),
    CBORTag(30, [1, 3]),
    CBORTag(37, bytes(16)),
    CBORTag(0, "2024-01-01T00:00:00Z"),
    CBORTag(65_000, [1]),
    CBORTag(256, [CBORTag(25, 0)]),
    CBORSimpleValue(77),
    cbor2.undefined,
)
"""Anything that a peer may put where a field belongs."""

BOMBS: Final = (
    b"\x9b" + b"\xff" * 8,
    b"\xbb\x00\x00\x00\x7f\xff\xff\xff\xff",
    b"\x5b\x00\x00\x00\x7f\xff\xff\xff\xff",
    b"\x81" * 5000,
    b"\x9f" * 5000,
    b"\xa1" * 5000,
    b"\xd8\x1c" * 3000,
    b"\xc2\x59\xff\xff" + b"\xff" * 65_535,
    zstandard.ZstdCompressor().compress(bytes(200_000_000)),
    zstandard.ZstdCompressor(write_content_size=False).compress(bytes(200_000_000)),
)
"""Lengths that nothing follows, nesting, and content that unpacks to far more than it is."""


def value(random: Random) -> Any:
    """One of them."""
    return random.choice(INTEGERS) if random.random() < 0.5 else random.choice(LEAVES)


def changed(random: Random, tree: Any) -> Any:
    """``tree`` with something in it replaced, dropped, repeated, moved or wrapped; ``tree`` stays as it
    is."""
    if random.random() < 0.03:
        return value(random)
    if isinstance(tree, dict) and tree:
        return _changed_map(random, cast("dict[Any, Any]", tree))
    if not isinstance(tree, list) or not tree:
        return _changed_leaf(random, tree)
    items = list(cast("list[Any]", tree))
    at = random.randrange(len(items))
    match random.randrange(10):
        case 0:
            del items[at]
        case 1:
            items.insert(at, items[random.randrange(len(items))])
        case 2:
            items.append(value(random))
        case 3:
            other = random.randrange(len(items))
            items[at], items[other] = items[other], items[at]
        case 4:
            items[at] = value(random)
        case 5:
            items[at] = [items[at]]
        case _:
            items[at] = changed(random, items[at])
    return items


def _changed_map(random: Random, tree: dict[Any, Any]) -> Any:
    rows = list(tree.items())
    at = random.randrange(len(rows))
    match random.randrange(6):
        case 0:
            del rows[at]
        case 1:
            rows[at] = (random.choice(("x", 1, None, b"x", 1 << 64)), rows[at][1])
        case 2:
            rows.append(("unknown", value(random)))
        case _:
            rows[at] = (rows[at][0], changed(random, rows[at][1]))
    return dict(rows)


def _changed_leaf(random: Random, leaf: Any) -> Any:
    if type(leaf) is int and random.random() < 0.6:
        return random.choice((leaf + 1, leaf - 1, -leaf, leaf << 8, leaf >> 1, random.choice(INTEGERS)))
    if type(leaf) is bytes and leaf and random.random() < 0.5:
        at = random.randrange(len(leaf))
        return random.choice((leaf[:at], leaf + b"x", leaf[:at] + b"\xff" + leaf[at + 1 :]))
    return value(random)


def dumps(tree: Any) -> bytes:
    """The CBOR of a changed value; of what cannot be written, a bomb's."""
    try:
        return cbor2.dumps(tree)
    except (cbor2.CBOREncodeError, RecursionError, ValueError, TypeError):
        return BOMBS[3]
