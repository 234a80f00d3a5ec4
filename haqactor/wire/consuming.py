"""Requests of consumers, and what nodes send them.

One rule: a lease is named by its row, whoever settles it over whatever connection.
"""

from typing import NamedTuple

from haqactor.wire.rows import Rows


class Subscribe(NamedTuple):
    """A consumer of this connection's session. ``claims``: lease rows [term, counter, first, last, started]
    it still holds from before (after a reconnect or a change of leader). ``credit_*``: the whole credit, less
    what it claims. ``attempt`` counts the subscriptions of a consumer from 1: of two that took different ways
    the later one holds, whichever comes last. Reply {lease_ns, lost: [[first, last]]}."""

    rid: int
    group: int
    uid: int
    consumer: int
    attempt: int
    credit_messages: int
    credit_bytes: int
    claims: Rows


class Credit(NamedTuple):
    """More credit; no reply. Bytes are those of the batches as delivered."""

    group: int
    consumer: int
    messages: int
    bytes: int


class Settle(NamedTuple):
    """``acks``, ``releases``: lease rows. ``nacks``: lease rows + [delay_ns | -1 for the queue's backoff,
    reason]. ``rejects``: lease rows + [reason]. ``started``: ranges whose handling began and is not settled.
    ``credit_*``: as in Credit. Reply: ranges refused (lease lost). Over the connection of the consumer's
    newest Subscribe only; over another one it is ``not_leader``, so that a refusal there stays the last word;
    a majority confirms first that whoever refuses leads. What came before, by whatever connection, is no
    loss: it is answered as the first copy is, by the leader that took that."""

    rid: int
    group: int
    uid: int
    consumer: int
    acks: Rows
    nacks: Rows
    rejects: Rows
    releases: Rows
    started: Rows
    credit_messages: int
    credit_bytes: int


class Extend(NamedTuple):
    """Renew leases for ``duration_ns`` from now. Reply: ranges refused (lease lost)."""

    rid: int
    group: int
    uid: int
    consumer: int
    leases: Rows
    duration_ns: int


class Unsubscribe(NamedTuple):
    """What the consumer still holds goes back uncharged. Reply True."""

    rid: int
    group: int
    consumer: int


class Poll(NamedTuple):
    """For a consumer with no credit: one message if any is ready. Reply True (a Deliver precedes or follows)
    or, confirmed, False."""

    rid: int
    group: int
    uid: int
    consumer: int


class Deliver(NamedTuple):
    """Node. ``parts``: [term, counter, base, ranges, attempts, enqueued_ns, blob_bytes]: one lease over
    ``ranges`` of the batch in the next ``blob_bytes`` of the blob. ``base`` >= 0: row r of the batch has the
    queue sequence base + r, and only rows in ``ranges`` are leased; -1: the rows are exactly ``ranges`` in
    order. ``attempts``: [seq, failures so far] where above 0. The lease ends ``lease_ns`` after arrival."""

    group: int
    consumer: int
    uid: int
    lease_ns: int
    parts: Rows


class LeaseLost(NamedTuple):
    """Node: these leases ended without settlement (expired, or a higher claim won). ``leases``: lease
    rows."""

    group: int
    consumer: int
    leases: Rows


class ConsumerGone(NamedTuple):
    """Node: the consumer ended here. ``not_leader``: subscribe again at the leader; ``not_found``: the queue
    is gone."""

    group: int
    consumer: int
    code: str
    message: str
