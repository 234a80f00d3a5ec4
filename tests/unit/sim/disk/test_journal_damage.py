"""The real journal on a disk that was hurt: everywhere, in every way, before it is opened again.

One rule: it refuses by name, or marks its groups as suspects, or everything that was reported is there.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial

import pytest
import trio

from haqactor.env import NullProbe
from haqactor.errors import DataDamaged, StorageFailed
from haqactor.ids import GroupId
from haqactor.journal import Journal
from haqactor.sim.disk import Medium, SimDisk, Survival, cut_power
from tests.builders.journal_bench import DIRECTORY, SMALL, check, entries, running
from tests.builders.sim_disk import DiskBench
from tests.unit.sim.disk.test_journal_sweep import PatientLedger, Story, Workload, appending, compacting

SECTOR = 512


@dataclass
class Grave:
    """What a power loss left behind, and what had been reported."""

    medium: Medium
    story: Story


@cache
def grave(workload: Workload) -> Grave:
    """Nothing of it was under way when the power went."""
    story = Story()
    with DiskBench() as bench:

        async def main(disk: SimDisk) -> None:
            journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
            async with trio.open_nursery() as nursery:
                await nursery.start(journal.run)
                await workload(journal, story)
                await trio.sleep(30)
                bench.world.call_after(0, partial(cut_power, bench.host, bench.medium, Survival.NOTHING))
                await trio.sleep_forever()

        bench.start(main)
        bench.world.run_while(lambda: bench.host.alive, 3_600_000_000_000)
        bench.medium.faults.on_fire = None
        return Grave(bench.medium, story)


def outcome(found: Grave, hurt: Callable[[Medium], object]) -> str:
    """How the journal takes it."""
    story = deepcopy(found.story)
    with DiskBench(2) as bench:
        bench.medium = medium = deepcopy(found.medium)
        hurt(medium)
        said: list[str] = []

        async def opens(disk: SimDisk) -> None:
            try:
                journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
            except (DataDamaged, StorageFailed):
                said.append("refused")
                return
            groups = [GroupId(1), GroupId(2)]
            if all(journal.tail_suspect(group) for group in groups):
                said.append("suspect")
                return
            sure = {
                number: group
                for number, group in story.groups.items()
                if not journal.tail_suspect(GroupId(number))
            }
            try:
                await check(journal, sure, story.gone)
            except DataDamaged:
                said.append("refused")
            except AssertionError as error:
                said.append(f"lost: {error}")
            else:
                said.append("whole")

        bench.run(opens)
        return said[0]


def places(medium: Medium) -> list[tuple[str, int]]:
    """Every sector that holds something."""
    found: list[tuple[str, int]] = []
    for path in medium.paths():
        image = medium.image(path)
        found += [(path, at) for at in range(0, len(image), SECTOR) if any(image[at : at + SECTOR])]
    return found


Way = Callable[[Medium, str, int], object]


def zero(medium: Medium, path: str, at: int) -> None:
    """A sector never arrived."""
    medium.tree.names.seen[path].medium[at : at + SECTOR] = bytes(SECTOR)


def hurt(way: Way, path: str, at: int, medium: Medium) -> None:
    """A way, at a place of a disk."""
    way(medium, path, at)


WAYS: dict[str, Way] = {
    "flip early": lambda medium, path, at: medium.flip(path, at + 1, 3),
    "flip late": lambda medium, path, at: medium.flip(path, at + 300, 0),
    "unreadable": lambda medium, path, at: medium.spoil(path, at),
    "short": lambda medium, path, at: medium.shorten(path, at),
    "a little short": lambda medium, path, at: medium.shorten(path, at + 17),
    "gone": lambda medium, path, _at: medium.lose(path),
}


@pytest.mark.parametrize("workload", [appending, compacting])
@pytest.mark.parametrize("way", WAYS)
def test_damage_is_refused_suspected_or_harmless(workload: Workload, way: str) -> None:
    found = grave(workload)
    said = {place: outcome(found, partial(hurt, WAYS[way], *place)) for place in places(found.medium)}
    silent = [f"{place}: {text}" for place, text in said.items() if text.startswith("lost")]
    assert silent == [], "\n".join(silent)
    assert "refused" in said.values()


def test_an_identity_that_has_forgotten_its_newest_copy_is_not_believed() -> None:
    """Of its two copies the newest has rotted: the older one knows nothing of what was suspected since. If
    it is of an earlier boot than the log, that is seen; if not, every group is a suspect."""
    said: list[str] = []
    for boots in (4, 5):
        with DiskBench() as bench:

            async def lives(disk: SimDisk) -> None:
                async with running(disk, clean=False) as journal:
                    ledger = PatientLedger(journal, {})
                    first = journal.recovered[GroupId(1)].last_index + 1 if journal.recovered else 1
                    ledger.submit(1, entries(1, first, first))
                    await ledger.wait()

            async def opens(disk: SimDisk) -> None:
                try:
                    journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
                except DataDamaged as error:
                    said.append("refused" if "newest copy is gone" in str(error) else str(error))
                else:
                    said.append("suspect" if journal.tail_suspect(GroupId(1)) else "believed")

            for _boot in range(boots):
                bench.run(lives)
            image = bench.medium.image(f"{DIRECTORY}/identity")
            numbers = [int.from_bytes(image[slot + 12 : slot + 20], "little") for slot in (0, 65_536)]
            bench.medium.flip(f"{DIRECTORY}/identity", 65_536 * numbers.index(max(numbers)) + 30)
            bench.run(opens)
    assert set(said) <= {"refused", "suspect"}


def test_a_last_block_that_never_arrived_cannot_be_missed() -> None:
    """Such a disk has lied; this is where the promises end (see the profile of that name)."""
    found = grave(appending)
    said = {place: outcome(found, partial(hurt, zero, *place)) for place in places(found.medium)}
    assert len([text for text in said.values() if text.startswith("lost")]) == 1
