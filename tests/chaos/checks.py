"""The promises, judged by a history: each a pure function from records to the sentences that tell of breaks.

One rule: only what a client saw counts, and an outcome that is unknown may be either.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.chaos.history import ANONYMOUS, Record

SHOWN: Final = 5
WAIT_S_MAX: Final = 30.0
"""Beyond which a call that neither ends nor tells counts as one that hangs: a client's patience is 5 s."""

Message = tuple[str, str]


def lost(records: Sequence[Record]) -> list[str]:
    """Every confirmed message was delivered, and left its queue by an acknowledgement that its consumer asked
    for: judged once all queues are empty."""
    delivered: dict[Message, None] = {}
    acknowledged: dict[Message, None] = {}
    for record in records:
        keys = [(record.queue, each) for each in record.ids]
        if record.kind == "deliver":
            delivered.update(dict.fromkeys(keys))
        elif record.kind == "settle" and record.verb == "ack" and record.outcome != "refused":
            acknowledged.update(dict.fromkeys(keys))
    found: list[str] = []
    for record in _confirmed(records):
        missing = [each for each in record.ids if (record.queue, each) not in delivered]
        if missing:
            found.append(f"lost: {missing[:SHOWN]} were confirmed and never delivered: {record}")
        left = [
            each
            for each in record.ids
            if (record.queue, each) in delivered and (record.queue, each) not in acknowledged
        ]
        if left:
            found.append(f"lost: {left[:SHOWN]} were delivered, not acknowledged, and are gone: {record}")
    return found


def invented(records: Sequence[Record]) -> list[str]:
    """Nothing was delivered that nobody had published before, to that queue and unharmed; nor what was
    refused each time."""
    published: dict[Message, float] = {}
    possible: dict[Message, None] = {}
    for record in records:
        if record.kind == "publish":
            for each in record.ids:
                published.setdefault((record.queue, each), record.began_s)
                if record.outcome != "refused":
                    possible[record.queue, each] = None
    found: list[str] = []
    for record in records:
        if record.kind == "deliver":
            key = (record.queue, record.ids[0])
            if published.get(key, record.began_s + 1) > record.began_s:
                found.append(f"invented: nobody had published it: {record}")
            elif key not in possible:
                found.append(f"invented: it was refused: {record}")
    return found


def duplicated(records: Sequence[Record]) -> list[str]:
    """A message has one place in its queue, whoever names it, and a place one message; ``records`` lie within
    the window in which repeats are known."""
    places: dict[Message, tuple[int, Record]] = {}
    holders: dict[tuple[str, int], tuple[str, Record]] = {}
    found: list[str] = []
    for record in records:
        for message, place in record.places.items():
            known, first = places.setdefault((record.queue, message), (place, record))
            if known != place:
                found.append(f"stored twice: {message} at {known} and {place}: {first}; {record}")
            holder, first = holders.setdefault((record.queue, place), (message, record))
            if holder != message:
                found.append(f"one place for two: {holder} and {message} at {place}: {first}; {record}")
    return found


def unsettled(records: Sequence[Record]) -> list[str]:
    """What was acknowledged, confirmed, is not delivered again."""
    final: dict[Message, Record] = {}
    for record in records:
        if record.kind == "settle" and record.verb == "ack" and record.outcome == "confirmed":
            for each in record.ids:
                known = final.get((record.queue, each))
                if known is None or _ended(record) < _ended(known):
                    final[record.queue, each] = record
    found: list[str] = []
    for record in records:
        if record.kind == "deliver":
            settled = final.get((record.queue, record.ids[0]))
            if settled is not None and record.began_s > _ended(settled):
                found.append(f"not final: acknowledged, and delivered again: {settled}; {record}")
    return found


def disordered(records: Sequence[Record]) -> list[str]:
    """A named producer's messages lie in its queue in the order of their numbers."""
    placed: dict[tuple[str, str], dict[int, tuple[int, Record]]] = {}
    numbers: dict[Message, tuple[str, int]] = {}
    for record in records:
        if record.kind == "publish" and record.producer != ANONYMOUS:
            for offset, each in enumerate(record.ids):
                numbers[record.queue, each] = (record.producer, record.number + offset)
    for record in records:
        for message, place in record.places.items():
            known = numbers.get((record.queue, message))
            if known is not None:
                placed.setdefault((record.queue, known[0]), {}).setdefault(known[1], (place, record))
    found: list[str] = []
    for (queue, producer), rows in placed.items():
        before = (0, 0)
        for number in sorted(rows):
            place, record = rows[number]
            if place <= before[1]:
                found.append(
                    f"order: {queue}: number {number} of {producer} is at {place}, {before[0]} before it at "
                    f"{before[1]}: {record}"
                )
            before = (number, place)
    return found


def late_first(
    records: Sequence[Record], queues: Sequence[str], calm: Sequence[tuple[float, float]]
) -> list[str]:
    """While nothing failed, the only consumer of a queue gets messages for the first time in the order of
    their places. (Over a failure, and where another consumer left, what was chosen first may come behind
    later ones.)"""
    seen: dict[Message, None] = {}
    highest: dict[tuple[str, int], tuple[int, Record]] = {}
    found: list[str] = []
    for record in records:
        if record.kind != "deliver" or record.queue not in queues or (record.queue, record.ids[0]) in seen:
            continue
        seen[record.queue, record.ids[0]] = None
        window = next((i for i, (start, end) in enumerate(calm) if start <= record.began_s <= end), None)
        if window is None:
            continue
        place = record.places[record.ids[0]]
        before, first = highest.get((record.client, window), (0, record))
        if place < before:
            found.append(f"order: delivered first out of order: {first}; {record}")
        else:
            highest[record.client, window] = (place, record)
    return found


def hanging(records: Sequence[Record], wait_s_max: float = WAIT_S_MAX) -> list[str]:
    """Each wait ended in an answer, an error or a cancellation, in bounded time."""
    found: list[str] = []
    for record in records:
        if record.ended_s is None:
            found.append(f"hangs: {record}")
        elif record.ended_s - record.began_s > wait_s_max:
            found.append(f"hung for {record.ended_s - record.began_s:.1f} s: {record}")
    return found


def vanished(records: Sequence[Record], stored: Mapping[str, int]) -> list[str]:
    """Whatever a queue ever stored was delivered to somebody: ``stored`` counts them by queue."""
    places: dict[str, dict[int, None]] = {queue: {} for queue in stored}
    for record in records:
        if record.kind == "deliver" and record.queue in places:
            places[record.queue].update(dict.fromkeys(record.places.values()))
    return [
        f"vanished: {queue} stored {count}, and {len(places[queue])} places were delivered; the first "
        f"missing ones: {[seq for seq in range(1, count + 1) if seq not in places[queue]][:SHOWN]}"
        for queue, count in stored.items()
        if count != len(places[queue])
    ]


def judge(
    records: Sequence[Record],
    *,
    drained: bool,
    stored: Mapping[str, int],
    alone: Sequence[str],
    calm: Sequence[tuple[float, float]],
) -> dict[str, list[str]]:
    """All of them: {promise: breaks}. ``drained``: all queues are empty; without that nobody knows what is
    lost. ``alone``: queues with one consumer; ``calm``: from when to when nothing had failed."""
    return {
        "nothing invented": invented(records),
        "nothing stored twice": duplicated(records),
        "settlements are final": unsettled(records),
        "order per producer": [*disordered(records), *late_first(records, alone, calm)],
        "every wait ends": hanging(records),
        "nothing confirmed is lost": [*lost(records), *vanished(records, stored)] if drained else [],
    }


def _confirmed(records: Sequence[Record]) -> list[Record]:
    return [each for each in records if each.kind == "publish" and each.outcome == "confirmed"]


def _ended(record: Record) -> float:
    return float("inf") if record.ended_s is None else record.ended_s
