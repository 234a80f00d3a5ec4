"""What a session may be told beside its addresses.

One rule: every bound and wait of the client stands here, with its unit.
"""

from dataclasses import dataclass

from haqactor.config import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``proxy``: let one node pass everything on, as behind a load balancer. ``client``: a name for the
    nodes' logs. ``cluster``: the id that is expected, b"" for any. ``patience_ns``: how long to wait without
    a leader. ``session``: 16 bytes that name the session, b"" for random ones. ``wait_welcome``: enter only
    once a node answered. ``grace_ns``: how long leaving a block may take once it was cancelled. ``dial_ns``:
    how long a connection may take. ``stall_ns``: a consumer with credit that hears nothing for so long asks
    whether anything is ready, and subscribes anew if so; 0: never. ``message_bytes_max``, ``credit_*`` (of a
    consumer that asks for none):
    until a node told its own."""

    proxy: bool = False
    session: bytes = b""
    wait_welcome: bool = True
    client: str = "haqactor"
    cluster: bytes = b""
    patience_ns: int = 5_000_000_000
    grace_ns: int = 2_000_000_000
    dial_ns: int = 1_000_000_000
    stall_ns: int = 10_000_000_000
    message_bytes_max: int = MIB
    credit_messages: int = 512
    credit_bytes: int = MIB
