"""Plays every ``*.txt`` here: commands, ``----``, and what they must show.

Blocks are parted by an empty line; lines that begin with ``#`` tell the story. ``--rewrite`` writes the
answers anew.
"""

from pathlib import Path

import pytest

from tests.transcripts.raft_script import Script

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted(HERE.glob("raft_*.txt"))
PART = "----"


def play(text: str) -> str:
    """The transcript as it turns out now."""
    script = Script()
    blocks: list[str] = []
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        told = lines[: lines.index(PART)] if PART in lines else lines
        shown: list[str] = []
        for line in told:
            if not line.startswith("#"):
                shown += script.play(line)
        blocks.append("\n".join([*told, PART, *shown]) if PART in lines or shown else "\n".join(told))
    return "\n\n".join(blocks) + "\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, rewrite: bool) -> None:
    told = path.read_text(encoding="utf-8")
    found = play(told)
    if rewrite:
        path.write_text(found, encoding="utf-8")
    else:
        assert found == told


def test_transcripts_are_found() -> None:
    assert len(SCRIPTS) >= 5


def test_a_wrong_transcript_is_noticed() -> None:
    right = play("cluster 3\ncampaign 0\nshow\n")
    assert "PreVote? term=1" in right
    assert play(right.replace("PreVote? term=1", "PreVote? term=2")) == right
