"""Versions, authentication methods and frame kinds of the client protocol.

One rule: a number is given once, and never again to something else.
"""

from enum import IntEnum
from typing import Final

VERSION_MIN: Final = 1
VERSION_MAX: Final = 1
AUTH_METHODS: Final = ["none"]


class Op(IntEnum):
    """The frame kinds."""

    HELLO = 1
    WELCOME = 2
    REFUSED = 3
    PING = 4
    PONG = 5
    REPLY = 6
    FAILED = 7
    LEADERS = 8
    GOODBYE = 9
    DECLARE = 16
    DELETE = 17
    QUEUES = 18
    RESOLVE = 19
    OPEN_PRODUCER = 20
    STATUS = 21
    AWAIT = 32
    BEGIN = 33
    PUBLISH = 34
    END = 35
    SUBSCRIBE = 40
    CREDIT = 41
    SETTLE = 42
    EXTEND = 43
    UNSUBSCRIBE = 44
    POLL = 45
    DELIVER = 46
    LEASE_LOST = 47
    CONSUMER_GONE = 48
    INFO = 50
    PEEK = 51
    PURGE = 52
