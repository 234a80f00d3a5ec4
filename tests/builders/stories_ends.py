"""Stories of healed clusters: L1 to L10, kept and broken."""

from haqactor.sim.checkers.final import Final, Group, Replica
from tests.builders.story import MS, Cases, Story

CASES = Cases()
holds, breaks = CASES.holds, CASES.breaks


def healed(story: Story, *, leader: str = "n0") -> Final:
    """The core n0, n1 is healed; a second is a long time here."""
    core = {host: Replica(1, 5, b"5") for host in ("n0", "n1")}
    story.final = Final(
        now_ns=10_000 * MS,
        remaining={},
        healed_ns=story.tick(),
        core=("n0", "n1"),
        election_ns=10 * MS,
        publish_ns=1000 * MS,
        groups={1: Group(leader, core)},
        disks={"n0": (10, 10)},
    )
    return story.final


@holds("L1")
def led_all_along(story: Story) -> None:
    """A leader since before, and leadership moved later on"""
    story.lead("n0", 1)
    healed(story)
    story.now_ns = 5000 * MS
    story.lead("n1", 2)


@holds("L1")
def elected(story: Story) -> None:
    """A leader soon"""
    story.lead("n2", 1)
    healed(story)
    story.now_ns += 50 * MS
    story.lead("n0", 2)


@breaks("L1")
def no_leader(story: Story) -> None:
    """No leader at the end"""
    story.lead("n0", 1)
    healed(story, leader="")


@breaks("L1")
def late_leader(story: Story) -> None:
    """A leader, but late"""
    story.lead("n2", 1)
    healed(story)
    story.now_ns += 500 * MS
    story.lead("n0", 2)


@holds("L1")
def a_leader_outside_of_the_core_ends(story: Story) -> None:
    """It had served all along, and nobody keeps it alive: seed 10763 of profile swarm"""
    story.lead("n2", 1)
    final = healed(story)
    story.now_ns += 500 * MS
    final.ended_ns["n2"] = story.now_ns
    story.now_ns += 50 * MS
    story.lead("n0", 2)


@breaks("L1")
def nobody_follows_a_leader_outside_of_the_core(story: Story) -> None:
    """Nobody follows it for long"""
    story.lead("n2", 1)
    final = healed(story)
    story.now_ns += 200 * MS
    final.ended_ns["n2"] = story.now_ns
    story.now_ns += 500 * MS
    story.lead("n0", 2)


@holds("L2")
def completed(story: Story) -> None:
    """What was under way is confirmed; what was begun while the fault lasted may fail"""
    pending = story.begin("publish", b"a")
    story.did("publish", b"b", "fail")
    healed(story)
    story.end(pending, seq=1)
    story.final.remaining = {("q", 0, 1): ("parked", b"a")}


@breaks("L2")
def never_returned(story: Story) -> None:
    """A publish never returns"""
    story.begin("publish", b"a")
    healed(story)


@breaks("L2")
def slow(story: Story) -> None:
    """A publish takes too long"""
    pending = story.begin("publish", b"a")
    healed(story)
    story.now_ns += 2000 * MS
    story.end(pending, "info")


@breaks("L2")
def refused(story: Story) -> None:
    """A publish is refused in a healed cluster"""
    healed(story)
    story.now_ns += 500 * MS
    story.did("publish", b"a", "fail")


@holds("L3")
def drained(story: Story) -> None:
    """Only what is parked is left"""
    healed(story).remaining = {("q", 0, 1): ("parked", b"a")}


@breaks("L3")
def left_over(story: Story) -> None:
    """Something is left"""
    healed(story).remaining = {("q", 0, 1): ("ready", b"a")}


@breaks("L3")
def unreadable(story: Story) -> None:
    """The queues do not answer"""
    healed(story).remaining = None


@holds("L4")
def equal(story: Story) -> None:
    """Equal states"""
    healed(story)


@breaks("L4")
def different(story: Story) -> None:
    """Different states at one entry"""
    healed(story).groups[1].replicas["n1"].digest = b"6"


@holds("L6")
def caught_up(story: Story) -> None:
    """All have applied everything"""
    healed(story)


@breaks("L6")
def behind(story: Story) -> None:
    """One has not"""
    healed(story).groups[1].replicas["n1"] = Replica(1, 4, b"4")


@holds("L7")
def rest(story: Story) -> None:
    """One election late in the run is no circle"""
    led_all_along(story)


@breaks("L7")
def elections(story: Story) -> None:
    """Elections follow one another"""
    story.lead("n0", 1)
    healed(story)
    for term in (2, 3, 4):
        story.now_ns += 1000 * MS
        story.lead("n0", term)


@breaks("L7")
def campaigns(story: Story) -> None:
    """Terms grow, and nobody is elected"""
    story.lead("n0", 1)
    healed(story).groups[1].replicas["n1"].term = 40


@holds("L9")
def reclaimed(story: Story) -> None:
    """At its bound"""
    healed(story)


@breaks("L9")
def kept(story: Story) -> None:
    """A disk keeps what was drained"""
    healed(story).disks["n1"] = (11, 10)


@holds("L10")
def raised(story: Story) -> None:
    """All know it, and have it; a group may be further than what all know, while one is away"""
    final = healed(story)
    final.known = 2
    final.groups[1].replicas = {host: Replica(1, 5, b"5", 2) for host in ("n0", "n1")}
    final.groups[2] = Group("n0", {"n0": Replica(1, 5, b"5", 3), "n1": Replica(1, 5, b"5", 3)})


@breaks("L10")
def not_raised(story: Story) -> None:
    """All know it, and one group goes on without"""
    final = healed(story)
    final.known = 2
    final.groups[1].replicas = {host: Replica(1, 5, b"5", 2) for host in ("n0", "n1")}
    final.groups[2] = Group("n0", {"n0": Replica(1, 5, b"5"), "n1": Replica(1, 5, b"5")})
