"""Stories of replicas: S10 to S13, S15, S19 and S24, kept and broken. The group has n0, n1 and n2."""

from haqactor.sim.watch.observed import Append, Commit, Gauge, Sync
from tests.builders.story import Cases, Story

CASES = Cases()
holds, breaks = CASES.holds, CASES.breaks


def first_term(story: Story) -> None:
    """n0 is elected by n1 in term 1, and commits its no-op with it."""
    for host in ("n0", "n1"):
        story.vote(host, 1, "n0")
    story.lead("n0", 1)
    story.store(1, 1, "n0", "n1")
    story.told("n1", 1, 1)
    story.commit("n0", 1, 1, by=1)
    story.apply("n0", 1, 1)
    story.commit("n1", 1, 1)
    story.apply("n1", 1, 1)


# -- S10: one leader a term --


@holds("S10")
def two_terms(story: Story) -> None:
    """One leader in each term"""
    first_term(story)
    for host in ("n1", "n2"):
        story.vote(host, 2, "n1")
    story.lead("n1", 2, 1, 1)
    story.lead("n1", 2, 1, 1)


@breaks("S10")
def two_leaders(story: Story) -> None:
    """Two hosts lead in one term"""
    first_term(story)
    story.lead("n2", 1, 1, 1)


# -- S11: log matching --


@holds("S11")
def divergent_tails(story: Story) -> None:
    """Tails differ where terms do, and are replaced"""
    for host in ("n0", "n1", "n2"):
        story.append(host, 1, 1)
    story.append("n0", 2, 1)
    story.append("n1", 2, 2)
    story.append("n1", 3, 2)
    story.append("n0", 2, 2)
    story.append("n0", 3, 2)


@holds("S11")
def behind_a_snapshot(story: Story) -> None:
    """A log that begins behind a snapshot, and one that is shown again after a restart"""
    for index in (1, 2, 3):
        story.append("n0", index, 1)
        story.apply("n0", index, 1, b"%d" % index)
    story.snapshot("n1", 2, 1, b"2", installed=True)
    story.append("n1", 3, 1)
    story.snapshot("n0", 2, 1, b"2")
    story.snapshot("n0", 2, 1, b"2", installed=True)
    story.append("n0", 4, 1)
    story.start("n0", 1, "", 4, 1)
    for index in (1, 2, 3, 4):
        story.append("n0", index, 1)


@breaks("S11")
def after_a_snapshot(story: Story) -> None:
    """A log that goes on behind a snapshot taken of it is still known"""
    for index in (1, 2, 3):
        story.append("n1", index, 1)
    for index in (1, 2):
        story.append("n0", index, 1)
        story.apply("n0", index, 1, b"%d" % index)
    story.snapshot("n0", 1, 1, b"1")
    story.append("n0", 3, 1, 77)


@breaks("S11")
def other_content(story: Story) -> None:
    """An entry of one index and term differs"""
    story.append("n0", 1, 1, 5)
    story.append("n1", 1, 1, 6)


@breaks("S11")
def other_past(story: Story) -> None:
    """An entry is the same, and one before it is not"""
    story.append("n0", 1, 1)
    story.append("n1", 1, 2)
    for host in ("n0", "n1"):
        story.append(host, 2, 3)


@breaks("S11")
def hole(story: Story) -> None:
    """A damaged record was passed over"""
    for index in (1, 2, 3):
        story.append("n0", index, 1)
    story.start("n0", 1, "", 3, 1)
    story.append("n0", 1, 1)
    story.append("n0", 3, 1)


@breaks("S11")
def rotten_past(story: Story) -> None:
    """A snapshot's successor stands on another past"""
    for index in (1, 2, 3):
        story.append("n0", index, 1)
    story.snapshot("n1", 2, 1, b"", installed=True)
    story.apply("n0", 2, 1, b"")
    story.append("n1", 3, 1, 77)


# -- S12: state machine safety --


@holds("S12")
def agreement(story: Story) -> None:
    """Replicas apply the same, and a later leader has it"""
    first_term(story)
    story.vote("n1", 2, "n1")
    story.lead("n1", 2, 1, 1)


@holds("S12")
def late_leader(story: Story) -> None:
    """An election of an older term ends after a newer leader has committed"""
    story.lead("n1", 2)
    story.store(1, 2, "n1", "n2")
    story.commit("n1", 1, 2, by=2)
    story.lead("n0", 1)
    story.append("n0", 1, 1)


@breaks("S12")
def incomplete_leader(story: Story) -> None:
    """A later leader lacks a committed entry"""
    first_term(story)
    story.vote("n2", 2, "n2")
    story.lead("n2", 2)


@breaks("S12")
def digests_differ(story: Story) -> None:
    """Two replicas made different things of one entry"""
    story.apply("n0", 1, 1, b"x")
    story.apply("n1", 1, 1, b"y")


@breaks("S12")
def entries_differ(story: Story) -> None:
    """Two replicas applied different entries"""
    story.apply("n0", 1, 1, crc=1)
    story.apply("n1", 1, 1, crc=2)


@breaks("S12")
def committed_replaced(story: Story) -> None:
    """A host replaces an entry that it knew to be committed"""
    first_term(story)
    story.append("n1", 1, 2)


@breaks("S12")
def committed_replaced_alike(story: Story) -> None:
    """A host replaces a committed and applied entry by another of a later term"""
    first_term(story)
    story.see(Append(story.tick(), "n0", 1, 1, 3, 1))


@breaks("S12")
def applied_replaced(story: Story) -> None:
    """A host replaces an applied entry below the last that it knew to be committed"""
    for index in (1, 2):
        story.store(index, 1, "n0", "n1")
    story.commit("n0", 2, 1, by=1)
    story.apply("n0", 1, 1)
    story.append("n0", 1, 3)


@breaks("S12")
def unapplied_replaced(story: Story) -> None:
    """A host replaces an entry that was committed, and that nobody has applied yet"""
    story.store(1, 1, "n0", "n1")
    story.commit("n0", 1, 1, by=1)
    story.append("n0", 1, 2)


@holds("S12")
def forgotten_in_a_crash(story: Story) -> None:
    """A follower hears of a commit, crashes before it has the entry on its disk, and finds its old log"""
    story.store(1, 1, "n1")
    story.append("n0", 1, 2)
    story.sync("n0", 1, 2)
    story.append("n2", 1, 2)
    story.sync("n2", 1, 2)
    story.commit("n0", 1, 2, by=2)
    story.append("n1", 1, 2)
    story.commit("n1", 1, 2)
    story.start("n1", 1, "", 1, 1)
    story.append("n1", 1, 1)


@holds("S15")
def committed_with_a_copy_that_was_destroyed(story: Story) -> None:
    """A follower acknowledges, its disk is damaged, and the leader commits with what it had said"""
    story.append("n0", 1, 1)
    story.store(1, 1, "n1", "n2")
    story.start("n1", 1, "", 0, 0, suspect=True, damaged=True)
    story.commit("n0", 1, 1, by=1)


@breaks("S15")
def committed_with_a_copy_that_was_torn(story: Story) -> None:
    """The same where only the last block may be gone: that was never acknowledged"""
    story.append("n0", 1, 1)
    story.store(1, 1, "n1", "n2")
    story.start("n1", 1, "", 0, 0, suspect=True)
    story.commit("n0", 1, 1, by=1)


@breaks("S12")
def committed_otherwise(story: Story) -> None:
    """A follower is told of another commit than the leader's"""
    story.store(1, 1, "n0", "n1")
    story.commit("n0", 1, 1, by=1)
    story.commit("n2", 1, 2)


@breaks("S12")
def applied_then_committed(story: Story) -> None:
    """What was applied is committed otherwise"""
    story.apply("n0", 1, 1)
    story.store(1, 2, "n1", "n2")
    story.commit("n1", 1, 2, by=2)


@breaks("S12")
def committed_then_applied(story: Story) -> None:
    """What was committed is applied otherwise"""
    story.store(1, 1, "n0", "n1")
    story.commit("n0", 1, 1, by=1)
    story.apply("n1", 1, 2)


@breaks("S12")
def committed_twice(story: Story) -> None:
    """Two leaders commit different entries at one index"""
    first_term(story)
    story.store(1, 2, "n2")
    story.see(Sync(story.tick(), "n2", 1, 1, 2, 2, ""))
    story.commit("n2", 1, 2)


# -- S13: votes and terms --


@holds("S13")
def remembered(story: Story) -> None:
    """A host comes back with its term and vote, or says that it is suspect"""
    first_term(story)
    story.start("n1", 1, "n0", 1, 1)
    story.vote("n1", 1, "n0")
    story.start("n0", 0, "", 0, 0, suspect=True)
    story.vote("n0", 2, "n1")


@breaks("S13")
def term_forgotten(story: Story) -> None:
    """A host comes back in an older term"""
    first_term(story)
    story.start("n1", 0, "", 1, 1)


@breaks("S13")
def vote_forgotten(story: Story) -> None:
    """A host comes back without its vote"""
    first_term(story)
    story.start("n1", 1, "", 1, 1)


@breaks("S13")
def voted_twice(story: Story) -> None:
    """A host votes for two in a term"""
    story.vote("n1", 1, "n0")
    story.vote("n1", 1, "n2")


@breaks("S13")
def spoke_in_the_past(story: Story) -> None:
    """A host answers in a term that it has left"""
    story.vote("n1", 2, "n0")
    story.told("n1", 1, 0)


# -- S15: commit rule --


@holds("S15")
def older_entries_indirectly(story: Story) -> None:
    """Entries of older terms are committed by one of the leader's own"""
    story.store(1, 1, "n0", "n1")
    story.lead("n1", 2, 1, 1)
    story.store(2, 2, "n1", "n0")
    story.commit("n1", 2, 2, by=2)
    story.commit("n0", 2, 2)


@holds("S15")
def restarted_holders(story: Story) -> None:
    """What a restart finds is durable; so is what a snapshot holds"""
    story.store(1, 1, "n0", "n1")
    story.start("n1", 1, "", 1, 1)
    story.append("n1", 1, 1)
    story.append("n0", 2, 1)
    story.sync("n0", 2, 1)
    story.apply("n0", 1, 1)
    story.snapshot("n2", 1, 1, b"same", installed=True)
    story.store(2, 1, "n2")
    story.commit("n0", 2, 1, by=1)


@holds("S15")
def snapshot_within(story: Story) -> None:
    """A snapshot that comes late, within the log, takes nothing away"""
    for index in (1, 2):
        story.store(index, 1, "n0", "n1")
    story.apply("n0", 1, 1)
    story.snapshot("n1", 1, 1, b"same", installed=True)
    story.commit("n0", 2, 1, by=1)


@breaks("S15")
def minority(story: Story) -> None:
    """Committed with one durable copy of three"""
    story.lead("n0", 1)
    story.store(1, 1, "n0")
    story.append("n1", 1, 1)
    story.commit("n0", 1, 1, by=1)


@holds("S15")
def half_and_more(story: Story) -> None:
    """Three of four; and a majority of both sets of voters"""
    four = ("n0", "n1", "n2", "n3")
    story.store(1, 1, "n0", "n1", "n2")
    story.see(Commit(story.tick(), "n0", 1, 1, 1, 1, (four, ("n0", "n1", "n4"))))


@breaks("S15")
def half(story: Story) -> None:
    """Two of four are no majority"""
    story.store(1, 1, "n0", "n1")
    story.see(Commit(story.tick(), "n0", 1, 1, 1, 1, (("n0", "n1", "n2", "n3"),)))


@breaks("S15")
def one_set_only(story: Story) -> None:
    """A majority of the old voters, and none of the new ones"""
    story.store(1, 1, "n0", "n1")
    story.see(Commit(story.tick(), "n0", 1, 1, 1, 1, (("n0", "n1", "n2"), ("n0", "n3", "n4"))))


@breaks("S15")
def replaced_copy(story: Story) -> None:
    """An entry replaces a durable one, and is not durable yet itself"""
    for index in (1, 2):
        story.store(index, 1, "n0", "n1")
    story.store(2, 2, "n0")
    story.append("n1", 2, 2)
    story.commit("n0", 2, 2, by=2)


@breaks("S15")
def overwritten_copy(story: Story) -> None:
    """A sync of a suffix that was replaced is counted (R5)"""
    story.lead("n0", 1)
    story.store(1, 1, "n0", "n1")
    story.append("n1", 1, 2)
    story.commit("n0", 1, 1, by=1)


@breaks("S15")
def older_term_counted(story: Story) -> None:
    """An entry of an older term is committed by counting copies (figure 8)"""
    story.store(1, 1, "n0", "n1")
    story.lead("n1", 2, 1, 1)
    story.commit("n1", 1, 1, by=2)


@breaks("S15")
def nobody_committed(story: Story) -> None:
    """A follower takes for committed what no leader has"""
    first_term(story)
    story.store(2, 1, "n0", "n1")
    story.commit("n1", 2, 1)


# -- S19: snapshots --


@holds("S19")
def true_snapshot(story: Story) -> None:
    """The state at its entry, whoever is seen first"""
    story.snapshot("n0", 2, 1, b"2")
    for index in (1, 2, 3):
        story.apply("n0", index, 1, b"%d" % index)
    story.snapshot("n1", 3, 1, b"3", installed=True)


@breaks("S19")
def other_state(story: Story) -> None:
    """A snapshot lacks something"""
    story.apply("n0", 1, 1, b"1")
    story.snapshot("n0", 1, 1, b"0")


@breaks("S19")
def other_term(story: Story) -> None:
    """A snapshot names an entry of another term"""
    story.apply("n0", 1, 1, b"1")
    story.snapshot("n0", 1, 2, b"1")


@breaks("S19")
def one_off(story: Story) -> None:
    """A snapshot names the entry before; seen before it was applied"""
    story.snapshot("n1", 1, 1, b"2", installed=True)
    story.apply("n0", 1, 1, b"1")


@breaks("S19")
def never_reached(story: Story) -> None:
    """A snapshot of a state that nobody was in"""
    story.snapshot("n1", 9, 1, b"9")


# -- S24: bounds --


@holds("S24")
def within(story: Story) -> None:
    """At the bound"""
    story.see(Gauge(story.tick(), "n0", "mailbox", 10, 10))


@breaks("S24")
def beyond(story: Story) -> None:
    """Beyond it"""
    story.see(Gauge(story.tick(), "n0", "mailbox", 11, 10))
