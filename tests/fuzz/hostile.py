"""Values that decoders must not trip over, as CBOR; and bytes that are hardly CBOR at all.

One rule: each of them is small, whatever it unpacks to.
"""

from decimal import Decimal
from random import Random
from typing import Any, Final, TypeGuard

import cbor2
import zstandard
from cbor2 import CBORSimpleValue, CBORTag

from haqactor.codec import is_list

INTEGERS: Final = (
    -1, 0, 1, 2, 127, 128, 255, 256, 65_535, 65_536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32,
    (1 << 62) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -(1 << 63), -(1 << 64),
    -(1 << 70), 1 << 200, 10**5000, -(10**5000),
)  # fmt: skip


_PLACES_MAX: Final = 5000


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


def _is_map(value: object) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)


def value(random: Random) -> Any:
    """One of them."""
    return random.choice(INTEGERS) if random.random() < 0.5 else random.choice(LEAVES)


def changed(random: Random, tree: Any) -> Any:
    """``tree`` with one place in it, each as likely as any other, replaced, dropped, repeated, moved or
    wrapped; ``tree`` stays as it is."""
    places: list[tuple[Any, ...]] = [()]
    _gather(tree, (), places)
    return _replaced(random, tree, random.choice(places))


def _gather(tree: Any, path: tuple[Any, ...], places: list[tuple[Any, ...]]) -> None:
    if len(path) > 20 or len(places) > _PLACES_MAX:
        return
    inner: list[tuple[Any, Any]] = []
    if is_list(tree):
        inner = list(enumerate(tree))
    elif _is_map(tree):
        inner = list(tree.items())
    for key, item in inner:
        places.append((*path, key))
        _gather(item, (*path, key), places)


def _replaced(random: Random, tree: Any, path: tuple[Any, ...]) -> Any:
    if path:
        copied = tree.copy()
        copied[path[0]] = _replaced(random, tree[path[0]], path[1:])
        return copied
    if random.random() < 0.4:
        return value(random)
    if _is_map(tree) and tree:
        return _changed_map(random, tree)
    if is_list(tree) and tree:
        return _changed_list(random, tree)
    return _changed_leaf(random, tree)


def _changed_list(random: Random, tree: list[Any]) -> list[Any]:
    items = list(tree)
    at = random.randrange(len(items))
    match random.randrange(5):
        case 0:
            del items[at]
        case 1:
            items.insert(at, items[random.randrange(len(items))])
        case 2:
            items.append(value(random))
        case 3:
            other = random.randrange(len(items))
            items[at], items[other] = items[other], items[at]
        case _:
            items[at] = [items[at]]
    return items


def _changed_map(random: Random, tree: dict[Any, Any]) -> Any:
    rows = list(tree.items())
    at = random.randrange(len(rows))
    match random.randrange(3):
        case 0:
            del rows[at]
        case 1:
            rows[at] = (random.choice(("x", 1, None, b"x", 1 << 64)), rows[at][1])
        case _:
            rows.append(("unknown", value(random)))
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
