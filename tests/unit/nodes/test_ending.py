"""One failing disk is one error, however many actors it ends: seed 105 of profile disk."""

import pytest

from haqactor.errors import DataDamaged, Error, InvariantViolation, StorageFailed, UnknownVersion
from haqactor.nodes.ending import one_cause

DISK = StorageFailed("the disk is gone")
LATER = StorageFailed("the journal stopped: the disk is gone")
DAMAGE = DataDamaged("a block is bad")
OTHER = DataDamaged("another block is bad")
NEWER = UnknownVersion("this entry is of version 3")


@pytest.mark.parametrize(
    ("raised", "failure", "cause"),
    [
        (ExceptionGroup("", [DISK, ExceptionGroup("", [LATER])]), DISK, DISK),
        (ExceptionGroup("", [LATER, LATER]), DISK, DISK),
        (ExceptionGroup("", [DAMAGE, LATER]), DAMAGE, DAMAGE),
        (ExceptionGroup("", [DISK, InvariantViolation("a bug")]), DISK, None),
        (ExceptionGroup("", [LATER, DAMAGE]), DISK, DAMAGE),
        (ExceptionGroup("", [ExceptionGroup("", [DAMAGE]), OTHER]), None, DAMAGE),
        (ExceptionGroup("", [NEWER, NEWER]), None, NEWER),
        (ExceptionGroup("", [NEWER, DAMAGE]), None, None),
        (ExceptionGroup("", [LATER, LATER]), None, None),
        (DISK, DISK, None),
    ],
    ids=[
        "nested",
        "only followers",
        "damage",
        "a bug beside it",
        "damage seen late",
        "damage at two places",
        "an unknown version in two groups",
        "two reasons",
        "no failure",
        "single",
    ],
)
def test_what_is_raised(raised: BaseException, failure: Error | None, cause: Error | None) -> None:
    assert one_cause(raised, failure) is cause
