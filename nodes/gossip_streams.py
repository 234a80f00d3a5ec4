"""One request and one reply on a stream, for what is too long for a datagram, or must arrive.

One rule: a length is believed only within its bound, and a connection carries one exchange; the callers bound
its time.
"""

from collections.abc import Callable
from typing import Final

from haqactor.env import ConnectFailed, Network, Stream
from haqactor.errors import ProtocolError
from haqactor.swim.packet import STREAM_BYTES_MAX

_LENGTH: Final = 4


async def ask(network: Network, address: str, data: bytes) -> bytes:
    """The reply to a request. Raises NetworkError, ProtocolError."""
    if not address:
        raise ConnectFailed("this is no address")
    stream = await network.dial(address)
    try:
        await stream.send_all(_packed(data))
        return await _receive(stream)
    finally:
        stream.abort()


async def answer(stream: Stream, reply_to: Callable[[bytes], bytes]) -> None:
    """Read a request and reply to it; where ``reply_to`` raises, the connection just ends. Raises
    NetworkError, ProtocolError."""
    request = await _receive(stream)
    await stream.send_all(_packed(reply_to(request)))
    await stream.aclose()


def _packed(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH, "little") + data


async def _receive(stream: Stream) -> bytes:
    """u32 length, little endian, and so many bytes; nothing behind them is read."""
    got = bytearray()
    wanted = _LENGTH
    while len(got) < wanted:
        data = await stream.receive_some(wanted - len(got))
        if not data:
            raise ProtocolError("a gossip stream ended early")
        got += data
        if wanted == _LENGTH and len(got) == _LENGTH:
            wanted += int.from_bytes(got, "little")
            if not _LENGTH < wanted <= _LENGTH + STREAM_BYTES_MAX:
                raise ProtocolError(
                    f"a gossip packet of {wanted - _LENGTH} bytes; at most {STREAM_BYTES_MAX}"
                )
    return bytes(got[_LENGTH:])
