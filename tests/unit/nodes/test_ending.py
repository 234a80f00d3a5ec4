"""One failing disk is one error, however many actors it ends: seed 105 of profile disk."""

import pytest

from haqactor.errors import DataDamaged, Error, InvariantViolation, StorageFailed
from haqactor.nodes.ending import one_cause

DISK = StorageFailed("the disk is gone")
LATER = StorageFailed("the journal stopped: the disk is gone")
DAMAGE = DataDamaged("a block is bad")


@pytest.mark.parametrize(
    ("raised", "failure", "cause"),
    [
        (ExceptionGroup("", [DISK, ExceptionGroup("", [LATER])]), DISK, DISK),
        (ExceptionGroup("", [LATER, LATER]), DISK, DISK),
        (ExceptionGroup("", [DAMAGE, LATER]), DAMAGE, DAMAGE),
        (ExceptionGroup("", [DISK, InvariantViolation("a bug")]), DISK, None),
        (ExceptionGroup("", [LATER, DAMAGE]), DISK, None),
        (ExceptionGroup("", [LATER, LATER]), None, None),
        (DISK, DISK, None),
    ],
    ids=["nested", "only followers", "damage", "a bug beside it", "other damage", "no failure", "single"],
)
def test_what_is_raised(raised: BaseException, failure: Error | None, cause: Error | None) -> None:
    assert one_cause(raised, failure) is cause
