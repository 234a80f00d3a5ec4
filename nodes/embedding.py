"""Sessions of clients that live in the node's own program.

One rule: such a session's id tells its directory and its boot, so that after a restart nobody waits for
consumers that died with the program.
"""

from hashlib import blake2b

from haqactor.env import Random


def own_session(nonce: bytes, boot: int, random: Random) -> bytes:
    """16 bytes: 8 of the directory, 4 of the boot epoch, 4 random."""
    return _directory(nonce) + boot.to_bytes(4, "little") + random.token(4)


def died(session: bytes, nonce: bytes, boots: range) -> bool:
    """Was this the session of a program that ended with an earlier boot of this very directory? ``boots``:
    those of this program, whose node opens its directory again where it repairs it."""
    return session[:8] == _directory(nonce) and int.from_bytes(session[8:12], "little") not in boots


def _directory(nonce: bytes) -> bytes:
    return blake2b(nonce, digest_size=8).digest()
