"""Exit codes, one table: what a script can tell from a failed command without reading its text.

One rule: an error's stable ``code`` decides, never its message.
"""

from typing import Final

from haqactor.errors import Error

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
CONFLICT: Final = 4
OUTCOME_UNKNOWN: Final = 5
NO_QUORUM: Final = 6
UNAUTHORIZED: Final = 7
UNHEALTHY: Final = 10
INTERRUPTED: Final = 130

_BY_CODE: Final = {
    "invalid_argument": USAGE,
    "config_error": USAGE,
    "not_found": NOT_FOUND,
    "conflict": CONFLICT,
    "sequence_gap": CONFLICT,
    "sequence_conflict": CONFLICT,
    "sequence_expired": CONFLICT,
    "fenced": CONFLICT,
    "outcome_unknown": OUTCOME_UNKNOWN,
    "no_quorum": NO_QUORUM,
    "connection_lost": NO_QUORUM,
    "unauthorized": UNAUTHORIZED,
}


def exit_code(error: Error) -> int:
    """The exit code of a command that ended with ``error``."""
    return _BY_CODE.get(error.code, FAILED)
