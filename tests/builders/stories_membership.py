"""Stories of membership: S23 and L5, kept and broken. The members are n0, n1 and n2."""

from haqactor.sim.checkers.final import Final
from haqactor.sim.watch.observed import Membership
from tests.builders.story import HOSTS, MS, Cases, Story

CASES = Cases()
holds, breaks = CASES.holds, CASES.breaks


def says(story: Story, host: str, incarnation: int, status: str = "alive", *, begins: bool = False) -> None:
    """Of itself."""
    event = Membership(story.tick(), host, f"disk of {host}", int(host[1]), status, incarnation, True, begins)
    story.see(event)


def believes(story: Story, host: str, other: str, incarnation: int, status: str = "alive") -> None:
    number = int(other[1:]) if other[1:].isdecimal() else -1
    story.see(Membership(story.tick(), host, f"disk of {other}", number, status, incarnation))


def begun(story: Story, *hosts: str) -> None:
    """They start in incarnation 10, and each of them hears of each."""
    for host in hosts or HOSTS:
        says(story, host, 10, begins=True)
    for host in hosts or HOSTS:
        for other in hosts or HOSTS:
            if other != host:
                believes(story, host, other, 10)


@holds("S23")
def refuted(story: Story) -> None:
    """A suspicion, a refutation, a death that was none, a refutation, a goodbye, a restart"""
    begun(story)
    believes(story, "n0", "n1", 10, "suspect")
    believes(story, "n2", "n1", 10, "dead")
    says(story, "n1", 11)
    believes(story, "n2", "n1", 11)
    believes(story, "n0", "n1", 11)
    says(story, "n1", 11, "left")
    believes(story, "n0", "n1", 11, "left")
    says(story, "n1", 20, begins=True)
    believes(story, "n0", "n1", 20)


@holds("S23")
def never_heard(story: Story) -> None:
    """Somebody who is known from the founding list only does not answer"""
    says(story, "n0", 10, begins=True)
    believes(story, "n0", "n1", 0, "suspect")
    believes(story, "n0", "n1", 0, "dead")
    says(story, "n1", 10, begins=True)
    believes(story, "n0", "n1", 10)


@holds("S23")
def new_view(story: Story) -> None:
    """Who starts again has forgotten what it believed"""
    begun(story)
    believes(story, "n0", "n1", 10, "suspect")
    believes(story, "n0", "n1", 10, "dead")
    says(story, "n0", 20, begins=True)
    believes(story, "n0", "n1", 10)


@breaks("S23")
def resurrected(story: Story) -> None:
    """The dead are raised by old news"""
    begun(story)
    believes(story, "n0", "n1", 10, "suspect")
    believes(story, "n0", "n1", 10, "dead")
    believes(story, "n0", "n1", 10)


@breaks("S23")
def goes_back(story: Story) -> None:
    """A view goes back to an older incarnation"""
    begun(story)
    says(story, "n1", 11)
    believes(story, "n0", "n1", 11)
    believes(story, "n0", "n1", 10, "dead")


@breaks("S23")
def starts_again(story: Story) -> None:
    """A restart speaks as the life before it"""
    begun(story)
    says(story, "n1", 10, begins=True)


@breaks("S23")
def takes_back(story: Story) -> None:
    """A member lowers its own incarnation"""
    begun(story)
    says(story, "n1", 12)
    says(story, "n1", 11)


@breaks("S23")
def repeats(story: Story) -> None:
    """An accused member answers with what it said before"""
    begun(story)
    believes(story, "n0", "n1", 10, "suspect")
    says(story, "n1", 10)


@breaks("S23")
def raised_by_another(story: Story) -> None:
    """An incarnation that its owner never said"""
    begun(story)
    believes(story, "n0", "n1", 11)


@breaks("S23")
def stranger(story: Story) -> None:
    """A member that never spoke in this cluster"""
    begun(story)
    believes(story, "n0", "x0", 10)


@breaks("S23")
def killed(story: Story) -> None:
    """Dead without a suspicion in that incarnation"""
    begun(story)
    believes(story, "n0", "n1", 10, "suspect")
    says(story, "n1", 11)
    believes(story, "n0", "n1", 11)
    believes(story, "n0", "n1", 11, "dead")


@breaks("S23")
def sent_away(story: Story) -> None:
    """Gone without a goodbye"""
    begun(story)
    believes(story, "n0", "n1", 10, "left")


@breaks("S23")
def one_disk_twice(story: Story) -> None:
    """Two hosts speak with one nonce"""
    begun(story)
    story.see(Membership(story.tick(), "n2", "disk of n1", 1, "alive", 11, True))


def healed(story: Story) -> None:
    """Agreement is due within some 60 ms; the run goes on for a second."""
    story.final = Final(
        now_ns=story.now_ns + 1000 * MS,
        remaining={},
        healed_ns=story.tick(),
        core=HOSTS,
        gossiping=HOSTS,
        probe_ns=MS,
        rejoin_ns=MS,
    )


@holds("L5")
def agreed(story: Story) -> None:
    """Each held the others for dead, and they found back in time; later one is wronged for a while"""
    begun(story)
    healed(story)
    believes(story, "n0", "n1", 10, "suspect")
    says(story, "n1", 11)
    believes(story, "n0", "n1", 11)
    believes(story, "n2", "n1", 11)
    story.now_ns += 500 * MS
    believes(story, "n0", "n2", 10, "suspect")
    says(story, "n2", 11)
    believes(story, "n0", "n2", 11)
    believes(story, "n1", "n2", 11)


@holds("L5")
def late_start(story: Story) -> None:
    """One starts long after the healing"""
    begun(story, "n0", "n1")
    healed(story)
    story.now_ns += 900 * MS
    says(story, "n2", 10, begins=True)
    for host, other in (("n0", "n2"), ("n1", "n2"), ("n2", "n0"), ("n2", "n1")):
        believes(story, host, other, 10)


@holds("L5")
def the_others_alone(story: Story) -> None:
    """Who is not of the core may be held for anything"""
    begun(story)
    healed(story)
    story.final.gossiping = ("n0", "n2")
    believes(story, "n0", "n1", 10, "suspect")
    believes(story, "n0", "n1", 10, "dead")


@breaks("L5")
def held_for_dead(story: Story) -> None:
    """One stays dead to another"""
    begun(story)
    believes(story, "n0", "n1", 10, "suspect")
    believes(story, "n0", "n1", 10, "dead")
    healed(story)


@breaks("L5")
def not_heard(story: Story) -> None:
    """A refutation does not get round"""
    begun(story)
    believes(story, "n0", "n1", 10, "suspect")
    says(story, "n1", 11)
    believes(story, "n0", "n1", 11)
    healed(story)


@breaks("L5")
def too_late(story: Story) -> None:
    """They agree, but only after much longer"""
    begun(story)
    believes(story, "n0", "n1", 10, "suspect")
    healed(story)
    story.now_ns += 500 * MS
    says(story, "n1", 11)
    believes(story, "n0", "n1", 11)
    believes(story, "n2", "n1", 11)


@breaks("L5")
def parted_again(story: Story) -> None:
    """They agree, and then no more"""
    begun(story)
    healed(story)
    believes(story, "n0", "n1", 10, "suspect")
    believes(story, "n0", "n1", 10, "dead")
