"""Small CBOR values in and out, bounded.

One rule: what came from outside is decoded here and nowhere else, and whatever is wrong with it is a
ProtocolError. Message bodies never pass through here."""

from typing import Any, TypeGuard

import cbor2

from haqactor.env import Buffer
from haqactor.errors import ProtocolError


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Is a decoded value a list (of whatever)?"""
    return isinstance(value, list)


def dumps(value: Any) -> bytes:
    """The CBOR of lists, maps, strings, bytes, ints, floats, bools and None. Maps keep their order."""
    return cbor2.dumps(value)


def loads(data: Buffer) -> Any:
    """The value; trailing bytes, broken or too deep CBOR raise ProtocolError. The caller has bounded
    ``data``."""
    raw = data if isinstance(data, bytes) else bytes(data)
    try:
        return cbor2.loads(raw)
    except Exception as error:
        raise ProtocolError(f"not a CBOR value: {error}") from error
