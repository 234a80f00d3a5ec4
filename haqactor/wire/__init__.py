"""The client protocol, version 1: what clients and nodes say to each other, one named tuple a frame kind.

One rule: a header is a CBOR list whose fields are checked here, so that what lies behind may trust their
types.

A request carries ``rid`` (chosen by the client, unique per connection) and gets exactly one ``Reply`` or
``Failed`` with it, unless the connection ends first. Requests of a group go to its leader; another node
answers ``not_leader`` (with the leader it knows), or passes them on if the client asked for that
(``Hello.proxy``). Requests of one connection and group are taken in order of arrival.

Times are ``_ns``: spans in nanoseconds, T in nanoseconds since 1970 (logged time). Ranges are ``[first,
last]``, inclusive. A lease row is ``[term, counter, first, last]``."""

from haqactor.wire.connection import (
    Failed,
    Goodbye,
    Hello,
    Leaders,
    Ping,
    Pong,
    Refused,
    Reply,
    Welcome,
    failed,
)
from haqactor.wire.consuming import (
    ConsumerGone,
    Credit,
    Deliver,
    Extend,
    LeaseLost,
    Poll,
    Settle,
    Subscribe,
    Unsubscribe,
)
from haqactor.wire.directory import Await, Declare, Delete, OpenProducer, Queues, Resolve, Status
from haqactor.wire.framing import Message, pack, parse
from haqactor.wire.inspecting import Info, Peek, Purge
from haqactor.wire.ops import AUTH_METHODS, VERSION_MAX, VERSION_MIN, Op
from haqactor.wire.publishing import Begin, End, Publish
from haqactor.wire.rows import Rows, lease_rows

__all__ = [
    "AUTH_METHODS",
    "VERSION_MAX",
    "VERSION_MIN",
    "Await",
    "Begin",
    "ConsumerGone",
    "Credit",
    "Declare",
    "Delete",
    "Deliver",
    "End",
    "Extend",
    "Failed",
    "Goodbye",
    "Hello",
    "Info",
    "Leaders",
    "LeaseLost",
    "Message",
    "Op",
    "OpenProducer",
    "Peek",
    "Ping",
    "Poll",
    "Pong",
    "Publish",
    "Purge",
    "Queues",
    "Refused",
    "Reply",
    "Resolve",
    "Rows",
    "Settle",
    "Status",
    "Subscribe",
    "Unsubscribe",
    "Welcome",
    "failed",
    "lease_rows",
    "pack",
    "parse",
]
