"""Rows of numbers inside a header, and how those that name leases are checked.

One rule: what comes from outside is checked before anybody unpacks it.
"""

from typing import Any, TypeAlias

from haqactor.errors import ProtocolError

Rows: TypeAlias = list[list[Any]]


def lease_rows(rows: Rows, extra: int = 0) -> Rows:
    """Check rows [term, counter, first, last, ...extra] that came from outside. Raises ProtocolError."""
    for row in rows:
        if len(row) != 4 + extra or not _is_lease_row(*row[:4]):
            raise ProtocolError(f"not a lease row: {row!r:.80}")
    return rows


def _is_lease_row(term: Any, counter: Any, first: Any, last: Any) -> bool:
    numbers = type(term) is type(counter) is type(first) is type(last) is int
    return numbers and 0 <= term < 1 << 63 and 0 <= counter < 1 << 63 and 0 <= first <= last < 1 << 63
