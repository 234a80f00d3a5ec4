"""What the core wants done, and what it wants known.

One rule: a closed union of frozen values; each may fail or get lost, and nothing waits for it.
"""

from dataclasses import dataclass

from haqactor.swim.member import Member


@dataclass(frozen=True, slots=True)
class Send:
    """One datagram to the gossip port that belongs to the clients' address ``to``."""

    to: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """Open a stream to the gossip port of ``to``, write ``data``, read one reply and hand it to
    ``exchanged``; whatever fails is ``exchange_failed``."""

    to: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """``member`` is what is believed now; ``was`` what was before, None for one that is new. Never about
    oneself. That one is forgotten is not told."""

    member: Member
    was: Member | None


Effect = Send | Exchange | Changed
