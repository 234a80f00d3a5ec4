"""The page of cancellations: each test that a row names is there, and only what merely looks has none."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.test_docs_traps import functions_in

TESTS: Final = Path(__file__).resolve().parent
PAGE: Final = TESTS.parent / "docs" / "cancellation.md"
ROWS: Final = [
    line.strip("| ").split(" | ")
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| cancelled during", "| what happens"))
]
_TEST: Final = re.compile(r"`(integration/)?(test_[a-z_]+\.py)::(test_[a-z0-9_]+)`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_tests_that_are_there(row: list[str]) -> None:
    found = _TEST.findall(row[-1])
    assert found or "they only look" in row[1] or row[-1] == "the rows above"
    assert len(found) == row[-1].count("::")
    for folder, file, name in found:
        assert name in functions_in(TESTS / (folder or "unit/client") / file), name
