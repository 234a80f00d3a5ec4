"""The data of events in words, each on one short line.

One rule: whatever came from outside becomes printable here.
"""

from collections.abc import Sequence
from typing import Final

from haqactor.sim.trace import Datum

BODY_MAX: Final = 200


def data_text(data: Sequence[Datum]) -> str:
    """The data of an event for people, on one line of at most BODY_MAX characters."""
    text = " ".join(map(_datum, data))
    return text if len(text) <= BODY_MAX else text[: BODY_MAX - 1] + "…"


def message_text(data: Sequence[Datum]) -> str:
    """The data of a message for people, without its ends."""
    numbers = [datum for datum in data[2:4] if isinstance(datum, int)]
    said = [f"{numbers[0]} B", *(f"stream {number}" for number in numbers[1:] if number)] if numbers else []
    rest = [_datum(datum) for datum in data[2 + len(numbers) :] if not isinstance(datum, int)]
    return ", ".join([*said, *rest])[:BODY_MAX]


def _datum(datum: Datum) -> str:
    if isinstance(datum, bytes):
        text = datum[:BODY_MAX].decode("latin-1")
        return f'"{text}"' if text.isascii() and text.isprintable() else f"0x{datum[:40].hex()}"
    if isinstance(datum, str):
        return "".join(char if char.isprintable() else "\N{MIDDLE DOT}" for char in datum[:BODY_MAX])
    return "-" if datum is None else str(datum)
