"""What a node ends with, where several of its actors fail at once for one reason.

One rule: that reason is raised alone, not the group of all that it led to.
"""

from haqactor.errors import DataDamaged, Error, StorageFailed, UnknownVersion

_SHARED = (DataDamaged, UnknownVersion)
"""What several actors may meet at the same time, each in its own data."""


def one_cause(error: BaseException, failure: Error | None) -> Error | None:
    """``failure``, which the journal met first, where all of ``error`` follows from it; or the first of
    several that say the same; else None."""
    if not isinstance(error, BaseExceptionGroup):
        return None
    rest = error.split(lambda each: each is failure or isinstance(each, StorageFailed))[1]
    if rest is None:
        return failure
    for kind in _SHARED:
        if rest.split(kind)[1] is None:
            return _first(rest)
    return None


def _first(group: BaseException) -> Error | None:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group if isinstance(group, Error) else None
