"""Good and bad stories of what disks hold: told only what is durable, and served as it was written."""

from haqactor.sim.watch.observed import Served, Started, Sync
from tests.builders.stories_raft import first_term
from tests.builders.story import Cases, Story

CASES = Cases()
holds, breaks = CASES.holds, CASES.breaks


# -- S14: told only what is durable --


@holds("S14")
def durable_first(story: Story) -> None:
    """On disk, then told; after a restart, too"""
    first_term(story)
    story.start("n1", 1, "n0", 1, 1)
    story.told("n1", 1, 1)


@breaks("S14")
def acknowledged_early(story: Story) -> None:
    """An append is acknowledged before its sync"""
    story.sync("n1", 0, 0, hard=1)
    story.append("n1", 1, 1)
    story.told("n1", 1, 1)
    story.sync("n1", 1, 1)


@breaks("S14")
def voted_early(story: Story) -> None:
    """A vote is given before its sync"""
    story.sync("n1", 0, 0, hard=1)
    story.vote("n1", 1, "n0", durable=False)
    story.sync("n1", 0, 0, hard=1, vote="n0")


@breaks("S14")
def term_early(story: Story) -> None:
    """An answer in a term that is not on disk yet"""
    story.sync("n1", 0, 0, hard=1)
    story.told("n1", 2, 0)
    story.sync("n1", 0, 0, hard=2)


@breaks("S14")
def lost_by_restart(story: Story) -> None:
    """What a crash took is acknowledged afterwards"""
    story.store(1, 1, "n1")
    story.append("n1", 2, 1)
    story.start("n1", 1, "", 1, 1)
    story.append("n1", 1, 1)
    story.told("n1", 1, 2)


@breaks("S14")
def found_in_a_cache(story: Story) -> None:
    """What a killed program left unsynced is acknowledged by the next one"""
    story.store(1, 1, "n1")
    story.append("n1", 2, 1)
    story.see(Started(story.tick(), "n1", 1, 2, 1, "", 2, 1, settled=False))
    story.told("n1", 1, 2)


@holds("S14")
def found_in_a_cache_and_synced(story: Story) -> None:
    """It is acknowledged once it was synced"""
    story.store(1, 1, "n1")
    story.append("n1", 2, 1)
    story.see(Started(story.tick(), "n1", 1, 2, 1, "", 2, 1, settled=False))
    story.told("n1", 1, 1)
    story.see(Sync(story.tick(), "n1", 1, 2, 1, 1, ""))
    story.told("n1", 1, 2)


# -- S21: corruption --


@holds("S21")
def served_as_written(story: Story) -> None:
    """The same bytes"""
    story.append("n0", 1, 1, 5)
    story.see(Served(story.tick(), "n0", 1, 1, 1, 5))


@breaks("S21")
def other_bytes(story: Story) -> None:
    """Other bytes"""
    story.append("n0", 1, 1, 5)
    story.see(Served(story.tick(), "n0", 1, 1, 1, 6))


@breaks("S21")
def never_written(story: Story) -> None:
    """An entry that nobody wrote"""
    story.append("n0", 1, 1, 5)
    story.see(Served(story.tick(), "n0", 1, 1, 2, 5))


@breaks("S21")
def durable_and_gone(story: Story) -> None:
    """A replica comes back without what was durable, and does not say so"""
    story.store(1, 1, "n1")
    story.store(2, 1, "n1")
    story.start("n1", 1, "", 1, 1)


@holds("S21")
def durable_and_cut(story: Story) -> None:
    """A suspect says so; and what a leader has overwritten is not missed"""
    story.store(1, 1, "n1", "n2")
    story.store(2, 1, "n1", "n2")
    story.start("n2", 1, "", 1, 1, suspect=True)
    story.store(2, 2, "n1")
    story.start("n1", 2, "", 3, 2)


def in_blocks(story: Story, *blocks: int) -> None:
    """Entries of a first incarnation, each with the block of the log in which it is durable."""
    story.see(Started(story.tick(), "n1", 1, 1, 1, "", 0, 0))
    for index, block in enumerate(blocks, 1):
        story.append("n1", index, 1)
        story.see(Sync(story.tick(), "n1", 1, index, 1, 1, "", block))


@breaks("S21")
def cut_too_early(story: Story) -> None:
    """Only the last block may look torn: a suspect has to find what came before it"""
    in_blocks(story, 7, 8, 9)
    story.start("n1", 1, "", 1, 1, suspect=True)


@breaks("S21")
def cut_in_the_block_of_another_group(story: Story) -> None:
    """The last block was another group's; what this one had is older"""
    in_blocks(story, 7, 8)
    story.see(Sync(story.tick(), "n1", 2, 1, 1, 1, "", 9))
    story.start("n1", 1, "", 1, 1, suspect=True)


@holds("S21")
def cut_at_the_last_block(story: Story) -> None:
    """Two entries came with it, and are gone"""
    in_blocks(story, 7, 8, 8)
    story.start("n1", 1, "", 1, 1, suspect=True)


@holds("S21")
def cut_twice(story: Story) -> None:
    """Nobody saw it start in between; then it may have lost two blocks, one after the other"""
    in_blocks(story, 7, 8, 9)
    story.see(Started(story.tick(), "n1", 1, 3, 1, "", 1, 1, suspect=True))
