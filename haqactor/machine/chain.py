"""A number that a machine's history leaves behind, part of its digest.

One rule: what a command led to is chained, so that replicas which ever differed differ from then on.
"""

from hashlib import blake2b
from typing import Any, Final

from haqactor.errors import Error
from haqactor.machine.commands import is_list

_MASK: Final = (1 << 64) - 1


def chained(chain: int, index: int, op: int, reply: Any) -> int:
    """The chain after the reply to a command of entry ``index``."""
    value = index * 31 + op
    if is_list(reply):
        for item in reply:
            value = value * 1_000_003 + (item[0] * 7 + item[1] if is_list(item) else item)
    elif isinstance(reply, Error):
        value += int.from_bytes(blake2b(reply.code.encode(), digest_size=4).digest(), "little")
    else:
        value += int(reply)
    return (chain * 0x100000001B3 ^ value) & _MASK
