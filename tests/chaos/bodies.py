"""Ids and bodies: a body carries its id, padding and a checksum, so that nothing can change unseen.

One rule: a message is published under one id for ever; a body that does not check out has an id that nobody
published.
"""

import zlib

_PIECE = bytes(range(97, 123)) * 64


def body_of(message: str, size: int) -> bytes:
    """About ``size`` bytes."""
    head = message.encode() + b" "
    content = head + _PIECE[: max(0, size - len(head) - 8)]
    return content + b"%08x" % zlib.crc32(content)


def id_of(body: bytes) -> str:
    """The id; of a damaged body one that begins with ``damaged``."""
    content, told = body[:-8], body[-8:]
    if b"%08x" % zlib.crc32(content) != told:
        return f"damaged {body[:40]!r}"
    return content.split(b" ", 1)[0].decode()
