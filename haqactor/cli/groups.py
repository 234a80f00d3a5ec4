"""Errors inside exception groups, found again.

One rule: what trio wrapped around an error tells a user nothing; the errors themselves do.
"""

from typing import cast


def leaves(error: BaseException) -> list[BaseException]:
    """The errors themselves, whatever groups are around them; just ``error`` if it is none."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    inner = cast("BaseExceptionGroup[BaseException]", error).exceptions
    return [leaf for each in inner for leaf in leaves(each)]
