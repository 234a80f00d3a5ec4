"""Stories of consumers and what they hold: S8, kept and broken."""

from haqactor.sim.watch.observed import Chosen, Freed, Leader
from tests.builders.story import Cases, Story

CASES = Cases()
holds, breaks = CASES.holds, CASES.breaks


# -- S8: one holder --


@holds("S8")
def freed(story: Story) -> None:
    """Leased again after the lease ended, in another term, or by a leader that was overtaken"""
    story.choose(1, 3, 1)
    story.see(Freed(story.tick(), "n0", 1, 7, 1, ((1, 2),)))
    story.choose(1, 2, 2, "w2")
    story.choose(1, 3, 1, "w3", host="n1", term=2)
    story.choose(4, 4, 3, "w2")


@holds("S8")
def delivered_late(story: Story) -> None:
    """Chosen before a successor was elected, and delivered after that"""
    story.publish(b"a", 1, uid=7)
    story.choose(1, 1, 1)
    story.see(Leader(story.tick(), "n1", 1, 2, 0, 0))
    story.deliver(b"a", 1, uid=7, term=1, counter=1)
    story.settle("ack", 1, uid=7)


@breaks("S8")
def delivered_by_a_deposed_leader(story: Story) -> None:
    """Chosen by a leader that had a successor, and delivered"""
    story.publish(b"a", 1, uid=7)
    story.see(Leader(story.tick(), "n1", 1, 2, 0, 0))
    story.choose(1, 1, 1)
    story.deliver(b"a", 1, uid=7, term=1, counter=1)
    story.settle("ack", 1, uid=7)


def leased_for(story: Story, held_ns: int, *, expired: bool = True) -> None:
    """A lease of three seconds, and its end."""
    began_ns = story.tick()
    story.see(Chosen(began_ns, "n0", 1, 7, 1, 1, "w1", ((1, 2),), lease_ns=3_000_000_000))
    story.see(Freed(began_ns + held_ns, "n0", 1, 7, 1, ((1, 1),), expired=expired))


@holds("S8")
def expired_in_time(story: Story) -> None:
    """Its time was over, by a clock that is a bit fast"""
    leased_for(story, 2_900_000_000)


@holds("S8")
def settled_early(story: Story) -> None:
    """Its holder was done with it"""
    leased_for(story, 5_000_000, expired=False)


@breaks("S8")
def expired_early(story: Story) -> None:
    """Taken from a holder that is there"""
    leased_for(story, 1_000_000_000)


@breaks("S8")
def two_holders(story: Story) -> None:
    """Leased to a second consumer while the first holds it"""
    story.choose(1, 3, 1)
    story.choose(3, 3, 2, "w2")


@breaks("S8")
def one_lease_two_holders(story: Story) -> None:
    """A lease id is used for two consumers"""
    story.choose(1, 1, 1)
    story.choose(2, 2, 1, "w2")


@breaks("S8")
def one_lease_two_clients(story: Story) -> None:
    """A lease arrives at two clients"""
    story.publish(b"a", 1)
    for client in ("w1", "w2"):
        story.deliver(b"a", 1, client=client, term=1, counter=1, chosen_ns=0)
    story.settle("ack", 1)
