"""What the pages show is true: their marked blocks are run, and their links lead somewhere."""

import re
from pathlib import Path

import pytest
import trio

from haqactor.cli.launcher import free_base_port
from tests.checks.blocks import NODES, blocks, matches, moved, moved_back, run, stop_clusters

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_page_runs(name: str, tmp_path: Path) -> None:
    found = blocks((ROOT / name).read_text(encoding="utf-8"))
    base_port = trio.run(free_base_port, NODES) if found else 0
    try:
        for block in found:
            run(block, tmp_path, base_port)
    finally:
        stop_clusters(tmp_path)


def test_readme_says_what_happens_to_each_block() -> None:
    for block in blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        if block.language in {"console", "python"}:
            assert block.mark, f"README.md:{block.line}: mark the block with run, show or file"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    prose = re.sub(
        r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{name}: {target}"


PAGE = """# Page

<!-- file: hello.py -->
```python
print("hello", 3 + 4)
```

<!-- run -->
```console
$ x=5
$ python hello.py; echo $x
hello ...
5
```

<!-- show -->
```console
$ exit 1
```

```text
nothing is said of this one
```
"""


def test_blocks_are_read_and_run(tmp_path: Path) -> None:
    found = blocks(PAGE)
    assert [block.mark for block in found] == ["file: hello.py", "run", "show", ""]
    assert [block.language for block in found] == ["python", "console", "console", "text"]
    for block in found:
        run(block, tmp_path)


@pytest.mark.parametrize(
    "text",
    ["```console\n$ false\n```", "```console\n$ echo a\nb\n```", "```python\nexit(3)\n```"],
)
def test_false_promises_are_found(text: str, tmp_path: Path) -> None:
    (block,) = blocks(f"<!-- run -->\n{text}\n")
    with pytest.raises(AssertionError):
        run(block, tmp_path)


def test_dots_stand_for_any_text() -> None:
    assert matches("a ... c\n", "a b\nb c")
    assert matches("...", "")
    assert not matches("a ... c", "a b d")
    assert matches("a\nb", "a  \nb \n")


def test_ports_of_a_page_are_moved_to_free_ones() -> None:
    page = "listens at 127.0.0.1:7430, not at 17430 or 7450; 7421 is for peers"
    there = moved(page, 12_000)
    assert there == "listens at 127.0.0.1:12010, not at 17430 or 7450; 12001 is for peers"
    assert moved_back(there, 12_000) == page
