"""Blocks by themselves."""

import pytest

from haqactor.errors import DataDamaged
from haqactor.journal.block import PACKED_BYTES_MAX, Packer, unpack


def test_what_tells_its_true_size_is_bounded_too() -> None:
    """J11: a header and a zstd frame that agree may both have been written by somebody else."""
    for size, bounded in ((PACKED_BYTES_MAX, False), (PACKED_BYTES_MAX + 1, True)):
        packed = Packer(1).pack(bytes(size))
        assert packed is not None
        if bounded:
            with pytest.raises(DataDamaged, match="is the most"):
                unpack(packed, size)
        else:
            assert len(unpack(packed, size)) == size
