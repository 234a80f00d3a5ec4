"""The bytes of a packet, the same in datagrams and on streams.

One rule: what is damaged, of another version or of another cluster is told before anything of it is read.

Little endian::

    0   4 B  magic "HAQG"
    4   u8   version, 1
    5   u32  crc32c of bytes 9..end
    9   16 B cluster
    25  CBOR of ``haqactor.swim.messages.packet_fields``
"""

from typing import Any, Final

import google_crc32c

from haqactor import codec
from haqactor.env import Probe
from haqactor.errors import ProtocolError
from haqactor.swim.messages import Packet, SwimPacketError, packet_fields, packet_from

MAGIC: Final = b"HAQG"
VERSION: Final = 1
CLUSTER_BYTES: Final = 16
HEAD_BYTES: Final = 9 + CLUSTER_BYTES
DATAGRAM_BYTES_MAX: Final = 65_507
STREAM_BYTES_MAX: Final = 256 * 1024
"""One request or reply on a stream; a table that is longer travels in parts, one each time."""


class ForeignCluster(SwimPacketError):
    """The packet is of another cluster. Two clusters never become one by gossip (S9)."""


def encode(packet: Packet, cluster: bytes) -> bytes:
    """The bytes."""
    return framed(packet_fields(packet), cluster)


def framed(values: Any, cluster: bytes) -> bytes:
    """A packet of plain values, right or wrong."""
    checked = cluster + codec.dumps(values)
    crc = google_crc32c.value(checked)
    return b"".join((MAGIC, bytes((VERSION,)), crc.to_bytes(4, "little"), checked))


def decode(data: bytes, cluster: bytes, probe: Probe, *, bytes_max: int) -> Packet:
    """The packet. Raises ForeignCluster, and SwimPacketError for anything else that is wrong with it."""
    if not HEAD_BYTES < len(data) <= bytes_max:
        raise SwimPacketError(f"a packet of {len(data)} bytes; at most {bytes_max} are read")
    if data[:4] != MAGIC:
        raise SwimPacketError("this is not haqactor's gossip (is the port right?)")
    if data[4] != VERSION:
        raise SwimPacketError(f"gossip of version {data[4]}, this node speaks {VERSION}")
    if google_crc32c.value(data[9:]) != int.from_bytes(data[5:9], "little"):
        raise SwimPacketError("a packet's checksum is wrong")
    if data[9:HEAD_BYTES] != cluster and not probe.bug("swim.foreign_accepted"):
        raise ForeignCluster(f"a packet of cluster {data[9:HEAD_BYTES].hex()}, this one is {cluster.hex()}")
    try:
        values = codec.loads(data[HEAD_BYTES:])
    except ProtocolError as error:
        raise SwimPacketError(str(error)) from error
    return packet_from(values)
