"""What a node ends with, where its disk has failed under several actors at once.

One rule: they all fail for one reason, and that one is raised, not the group of all that it led to.
"""

from haqactor.errors import Error, StorageFailed


def one_cause(error: BaseException, failure: Error | None) -> Error | None:
    """``failure``, which the journal met first, where all of ``error`` follows from it; else None."""
    if failure is None or not isinstance(error, BaseExceptionGroup):
        return None
    rest = error.split(lambda each: each is failure or isinstance(each, StorageFailed))[1]
    return failure if rest is None else None
