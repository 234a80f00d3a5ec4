"""Damage changes what a journal holds, and is undone."""

from pathlib import Path

import pytest

from tests.chaos.damage import damage


@pytest.mark.parametrize("amount", [number / 977 for number in range(40)])
def test_damage_lies_in_what_was_written_and_is_undone(tmp_path: Path, amount: float) -> None:
    content = bytes(range(1, 256)) * 20
    (tmp_path / "segment-1").write_bytes(content + bytes(5000))
    (tmp_path / "segment-2").write_bytes(bytes(5000))
    (tmp_path / "identity").write_bytes(b"me")
    done = damage(tmp_path, amount)
    assert done is not None
    assert (tmp_path / "segment-1").read_bytes()[: len(content)] != content
    assert (tmp_path / "segment-2").read_bytes() == bytes(5000)
    done.undo()
    assert (tmp_path / "segment-1").read_bytes() == content + bytes(5000)


def test_an_empty_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "segment-1").write_bytes(bytes(100))
    assert damage(tmp_path, 0.5) is None
