"""A client's hello: what a node speaks with, and what it tells them first.

One rule: versions, authentication and the cluster are checked before anything else is read of a client.
"""

from typing import Any, Final

from haqactor import wire
from haqactor.errors import ProtocolError, Unauthorized
from haqactor.frame import Frame
from haqactor.nodes.context import Context

HELLO_BYTES_MAX: Final = 16 * 1024


def frame_bytes_max(context: Context) -> int:
    """The largest frame of a client: one message and what travels beside it, or a packed batch."""
    return max(context.limits.message_bytes_max, 256 * 1024) + 256 * 1024


def checked_hello(frame: Frame, cluster: bytes | None) -> wire.Hello:
    """The hello of a client that may come in. Raises ProtocolError, Unauthorized."""
    hello = wire.parse(frame)
    if not isinstance(hello, wire.Hello):
        raise ProtocolError(f"the first frame must be Hello, not {type(hello).__name__}")
    if not hello.version_min <= wire.VERSION_MAX or not hello.version_max >= wire.VERSION_MIN:
        raise ProtocolError(
            f"this node speaks protocol versions {wire.VERSION_MIN} to {wire.VERSION_MAX}, the client "
            f"{hello.version_min} to {hello.version_max}: upgrade the older of the two"
        )
    if "none" not in hello.auth:
        raise Unauthorized(
            f"this node offers the authentication methods {wire.AUTH_METHODS}, the client {hello.auth!r:.80}"
        )
    if hello.cluster and hello.cluster != cluster:
        raise Unauthorized("this node belongs to another cluster than the client expects")
    if len(hello.session) != 16:
        raise ProtocolError("Hello.session must be 16 bytes")
    return hello


def welcome(hello: wire.Hello, context: Context) -> wire.Welcome:
    """The answer: who this node is, who leads what, which bounds hold."""
    limits: dict[str, Any] = {
        "message_bytes_max": context.limits.message_bytes_max,
        "frame_bytes_max": frame_bytes_max(context),
        "groups": context.config.groups,
        "consumer_credit_messages": context.limits.consumer_credit_messages,
        "consumer_credit_bytes": context.limits.consumer_credit_bytes,
    }
    leaders = context.leaders
    return wire.Welcome(
        min(hello.version_max, wire.VERSION_MAX),
        context.identity.cluster_id or b"",
        context.node,
        leaders.address(context.node),
        leaders.rows(),
        limits,
    )
