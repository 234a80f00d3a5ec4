"""Small CBOR values in and out, bounded.

One rule: what came from outside is decoded here and nowhere else, and whatever is wrong with it is a
ProtocolError. Message bodies never pass through here.

Only what ``dumps`` writes is taken. Tags are not: they make dates, patterns, sets, numbers of any size, and
values that hold themselves, of which the code behind this knows nothing. Neither are keys other than text or
bytes: numbers could be chosen to collide."""

from collections.abc import Iterable
from typing import Any, Final, NoReturn, TypeGuard

import cbor2

from haqactor.env import Buffer
from haqactor.errors import ProtocolError

_DEPTH_MAX: Final = 64
_NUMBER_END: Final = 1 << 63


class _NoTags(dict[int, Any]):
    """What decodes a tag, for every tag there is."""

    def __missing__(self, tag: int) -> Any:
        return _refuse


def _refuse(*_given: object) -> NoReturn:
    raise ValueError("a tag, which no value here has")


_NO_TAGS: Final = _NoTags()


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Is a decoded value a list (of whatever)?"""
    return isinstance(value, list)


def are_numbers(values: Iterable[Any]) -> bool:
    """Are all of them whole numbers from 0 on that fit into 63 bits?"""
    for value in values:  # noqa: SIM110 - all() takes half as long again, and each delivery asks
        if type(value) is not int or not 0 <= value < _NUMBER_END:
            return False
    return True


def dumps(value: Any) -> bytes:
    """The CBOR of lists, maps with text for keys, strings, bytes, ints of 64 bits, floats, bools and None.
    Maps keep their order."""
    return cbor2.dumps(value)


def loads(data: Buffer) -> Any:
    """The value; broken or too deep CBOR, tags, and keys other than text or bytes raise ProtocolError. The
    caller has bounded ``data``. Bytes behind the value are passed over: to look for them costs five times as
    much as to decode, every frame is decoded here, and a checksum has vouched for each."""
    raw = data if isinstance(data, bytes) else bytes(data)
    try:
        return cbor2.loads(
            raw,
            tag_hook=_refuse,
            semantic_decoders=_NO_TAGS,
            max_depth=_DEPTH_MAX,
            strict_hashable_types=True,
        )
    except Exception as error:
        raise ProtocolError(f"not a CBOR value: {error}") from error
