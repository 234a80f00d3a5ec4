"""haqactor: a highly available message queue for Python and trio.

    async with haqactor.open_broker("./data") as broker: ...                  # an embedded cluster of one
    async with haqactor.connect("haq://127.0.0.1:7420") as broker: ...        # any nodes of a cluster
    async with haqactor.open_node(config) as node: ...                     # a member of a cluster

This is the public face: names of a user's program, each handed out when it is first asked for, so that
`import haqactor` is quick. One rule: nothing lives here, and no room of the library imports this module;
rooms import each other by their full names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from haqactor.client.broker import Broker
    from haqactor.client.deliveries import Batch
    from haqactor.client.errors import Closed, ConnectionLost
    from haqactor.client.message import Message
    from haqactor.client.producer import Outgoing, Producer, Receipt
    from haqactor.client.queue import Queue
    from haqactor.config import NodeConfig, QueueConfig
    from haqactor.errors import (
        ConfigError,
        Conflict,
        DataDamaged,
        Error,
        Fenced,
        InvalidArgument,
        InvariantViolation,
        LeaseLost,
        NoQuorum,
        NotFound,
        OutcomeUnknown,
        Overloaded,
        ProtocolError,
        SequenceConflict,
        SequenceExpired,
        SequenceGap,
        StorageFailed,
        TooLarge,
        Unauthorized,
        UnknownVersion,
        Unroutable,
    )
    from haqactor.runtime.embedded import Node, open_broker, open_node
    from haqactor.runtime.remote import connect

_EXPORTS: Final[dict[str, str]] = {
    "connect": "haqactor.runtime.remote",
    "open_broker": "haqactor.runtime.embedded",
    "open_node": "haqactor.runtime.embedded",
    "Node": "haqactor.runtime.embedded",
    "NodeConfig": "haqactor.config",
    "QueueConfig": "haqactor.config",
    "Broker": "haqactor.client.broker",
    "Queue": "haqactor.client.queue",
    "Producer": "haqactor.client.producer",
    "Message": "haqactor.client.message",
    "Batch": "haqactor.client.deliveries",
    "Outgoing": "haqactor.client.producer",
    "Receipt": "haqactor.client.producer",
    "Error": "haqactor.errors",
    "NoQuorum": "haqactor.errors",
    "NotFound": "haqactor.errors",
    "Conflict": "haqactor.errors",
    "Overloaded": "haqactor.errors",
    "OutcomeUnknown": "haqactor.errors",
    "SequenceGap": "haqactor.errors",
    "SequenceConflict": "haqactor.errors",
    "SequenceExpired": "haqactor.errors",
    "LeaseLost": "haqactor.errors",
    "Fenced": "haqactor.errors",
    "Unroutable": "haqactor.errors",
    "TooLarge": "haqactor.errors",
    "InvalidArgument": "haqactor.errors",
    "ConfigError": "haqactor.errors",
    "Unauthorized": "haqactor.errors",
    "ProtocolError": "haqactor.errors",
    "DataDamaged": "haqactor.errors",
    "StorageFailed": "haqactor.errors",
    "UnknownVersion": "haqactor.errors",
    "InvariantViolation": "haqactor.errors",
    "Closed": "haqactor.client.errors",
    "ConnectionLost": "haqactor.client.errors",
}

__all__ = [
    "Batch",
    "Broker",
    "Closed",
    "ConfigError",
    "Conflict",
    "ConnectionLost",
    "DataDamaged",
    "Error",
    "Fenced",
    "InvalidArgument",
    "InvariantViolation",
    "LeaseLost",
    "Message",
    "NoQuorum",
    "Node",
    "NodeConfig",
    "NotFound",
    "OutcomeUnknown",
    "Outgoing",
    "Overloaded",
    "Producer",
    "ProtocolError",
    "Queue",
    "QueueConfig",
    "Receipt",
    "SequenceConflict",
    "SequenceExpired",
    "SequenceGap",
    "StorageFailed",
    "TooLarge",
    "Unauthorized",
    "UnknownVersion",
    "Unroutable",
    "connect",
    "open_broker",
    "open_node",
]


if not TYPE_CHECKING:  # a type checker sees the imports above, so that a misspelt name is an error

    def __getattr__(name: str) -> object:
        """The public name ``name``, from the room where it lives; raises AttributeError for any other."""
        module = _EXPORTS.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(module), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(_EXPORTS)
