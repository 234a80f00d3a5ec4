"""Stories of clients and queues: S1 to S7 and S9, kept and broken."""

from haqactor.sim.watch.observed import Freed
from tests.builders.story import Cases, Story

CASES = Cases()
holds, breaks = CASES.holds, CASES.breaks


# -- S1: no confirmed message lost --


@holds("S1")
def delivered_or_held(story: Story) -> None:
    """What was confirmed was delivered, or is still in its queue"""
    story.publish(b"a", 1)
    story.publish(b"b", 2)
    story.deliver(b"a", 1)
    story.settle("ack", 1)
    story.final.remaining = {("q", 0, 2): ("ready", b"b")}


@holds("S1")
def purged(story: Story) -> None:
    """Confirmed, and purged"""
    story.publish(b"a", 1)
    story.did("purge")


@holds("S1")
def purge_under_way(story: Story) -> None:
    """Confirmed, while a purge was under way whose outcome nobody knows"""
    story.did("purge", outcome="info")
    story.publish(b"a", 1)


@holds("S1")
def dead(story: Story) -> None:
    """Delivered from the dead-letter queue only"""
    story.did("declare", dead_letter="dead")
    story.publish(b"a", 1)
    story.deliver(b"a", 1, queue="dead")
    story.settle("ack", 1, queue="dead")


@holds("S1")
def dead_and_held(story: Story) -> None:
    """Held by the dead-letter queue"""
    story.did("declare", dead_letter="dead")
    story.publish(b"a", 1)
    story.final.remaining = {("dead", 0, 1): ("ready", b"a")}


@holds("S1")
def unknown_outcome(story: Story) -> None:
    """What was not confirmed may be lost"""
    story.publish(b"a", outcome="info")
    story.begin("publish", b"b")


@breaks("S1")
def lost(story: Story) -> None:
    """Confirmed, never delivered, not there"""
    for seq in range(1, 7):
        story.publish(b"%d" % seq, seq)
    for seq in (2, 4, 5):
        story.deliver(b"%d" % seq, seq)
        story.settle("ack", seq)


@breaks("S1")
def purge_failed(story: Story) -> None:
    """A purge that failed takes nothing away"""
    story.publish(b"a", 1)
    story.did("purge", outcome="fail")


@breaks("S1")
def purged_before(story: Story) -> None:
    """A purge takes nothing away that was published afterwards"""
    story.did("purge")
    story.publish(b"a", 1)


# -- S2: nothing invented --


@holds("S2")
def delivered_before_confirmed(story: Story) -> None:
    """Delivered while its publish is under way, from its queue or from the dead letters'"""
    story.did("declare", dead_letter="dead")
    story.did("declare", queue="dead", dead_letter="deader")
    first, second = story.begin("publish", b"a"), story.begin("publish", b"b")
    story.deliver(b"a", 1)
    story.settle("ack", 1)
    story.deliver(b"b", 1, queue="deader")
    story.settle("ack", 1, queue="deader")
    story.end(first, seq=1)
    story.end(second, "info")


@breaks("S2")
def invented(story: Story) -> None:
    """Nobody published it"""
    story.publish(b"a", outcome="info")
    story.deliver(b"A", 1)
    story.settle("ack", 1)


@breaks("S2")
def elsewhere(story: Story) -> None:
    """It was published to another queue"""
    story.publish(b"a", outcome="info")
    story.deliver(b"a", 1, queue="p")
    story.settle("ack", 1, queue="p")


# -- S3: no failed publish delivered --


@holds("S3")
def failed_then_stored(story: Story) -> None:
    """A publish failed, another of an equal body did not"""
    story.publish(b"a", outcome="fail")
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    story.deliver(b"a", 1)
    story.settle("ack", 1)


@breaks("S3")
def failed_delivered(story: Story) -> None:
    """A publish failed, and was delivered"""
    story.publish(b"a", outcome="fail")
    story.deliver(b"a", 1)
    story.settle("ack", 1)


@breaks("S3")
def delivered_failed(story: Story) -> None:
    """A publish was delivered, and failed"""
    op = story.begin("publish", b"a")
    story.deliver(b"a", 1)
    story.settle("ack", 1)
    story.end(op, "fail")


@breaks("S3")
def failed_dead(story: Story) -> None:
    """A failed publish is delivered as a dead letter"""
    story.did("declare", dead_letter="dead")
    story.publish(b"a", outcome="fail")
    story.deliver(b"a", 1, queue="dead")
    story.settle("ack", 1, queue="dead")


# -- S4: no duplicate stored --


@holds("S4")
def retried(story: Story) -> None:
    """A retry gets the first receipt; two messages with one body are two"""
    story.did("publish", b"a", "info", producer="p", producer_seq=1)
    story.did("publish", b"a", producer="p", producer_seq=1, seq=1, duplicate=True)
    story.did("publish", b"a", producer="p", producer_seq=2, seq=2, duplicate=False)
    for seq in (1, 2):
        story.deliver(b"a", seq)
        story.deliver(b"a", seq)
        story.settle("ack", seq)


@breaks("S4")
def two_receipts(story: Story) -> None:
    """A retry gets another place"""
    story.did("publish", b"a", producer="p", producer_seq=1, seq=1)
    story.did("publish", b"a", producer="p", producer_seq=1, seq=2)
    for seq in (1, 2):
        story.deliver(b"a", seq)
        story.settle("ack", seq)


@breaks("S4")
def another_receipt(story: Story) -> None:
    """A retry gets another place, from which nothing is delivered"""
    story.did("publish", b"a", producer="p", producer_seq=1, seq=1)
    story.did("publish", b"a", producer="p", producer_seq=1, seq=2)
    story.final.remaining = {("q", 0, seq): ("ready", b"a") for seq in (1, 2)}


@breaks("S4")
def stored_twice(story: Story) -> None:
    """One attempt is delivered from two places"""
    story.publish(b"a", 1)
    for seq in (1, 2):
        story.deliver(b"a", seq)
        story.settle("ack", seq)


@breaks("S4")
def stored_twice_told_late(story: Story) -> None:
    """Two attempts turn out to be one message after it was delivered twice"""
    first, second = story.begin("publish", b"a"), story.begin("publish", b"a")
    for seq in (1, 2):
        story.deliver(b"a", seq)
        story.settle("ack", seq)
    for op in (first, second):
        story.end(op, "info", producer="p", producer_seq=1)


# -- S5: a confirmed acknowledgement is final --


@holds("S5")
def chosen_before(story: Story) -> None:
    """It arrives after the acknowledgement, but had been chosen before"""
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    chosen_ns = story.tick()
    story.settle("ack", 1)
    story.deliver(b"a", 1, client="w2", chosen_ns=chosen_ns)


@holds("S5")
def chosen_before_by_event(story: Story) -> None:
    """The same, told by the lease"""
    story.publish(b"a", 1, uid=7)
    story.choose(1, 1, 1)
    story.deliver(b"a", 1, uid=7, term=1, counter=1)
    story.see(Freed(story.tick(), "n0", 1, 7, 1, ((1, 1),)))
    story.choose(1, 1, 2, "w2")
    story.settle("ack", 1, uid=7)
    story.deliver(b"a", 1, client="w2", uid=7, term=1, counter=2)


@holds("S5")
def unconfirmed(story: Story) -> None:
    """An acknowledgement that was refused, or whose outcome is not known, is not final"""
    story.publish(b"a", 1)
    for outcome in ("fail", "info"):
        story.deliver(b"a", 1)
        story.settle("ack", 1, outcome)
    story.deliver(b"a", 1)
    story.settle("ack", 1)


@holds("S5")
def chosen_before_without_uid(story: Story) -> None:
    """The same, where records do not name the incarnation"""
    story.publish(b"a", 1)
    story.choose(1, 1, 1)
    story.deliver(b"a", 1, term=1, counter=1)
    story.see(Freed(story.tick(), "n0", 1, 7, 1, ((1, 1),)))
    story.choose(1, 1, 2, "w2")
    story.settle("ack", 1)
    story.deliver(b"a", 1, client="w2", term=1, counter=2)


@breaks("S5")
def again(story: Story) -> None:
    """Acknowledged, and delivered again"""
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    story.settle("ack", 1)
    story.deliver(b"a", 1)


@breaks("S5")
def again_by_event(story: Story) -> None:
    """Acknowledged, and chosen again though its client had been waiting since before"""
    story.publish(b"a", 1, uid=7)
    story.choose(1, 1, 1)
    story.deliver(b"a", 1, uid=7, term=1, counter=1)
    since_ns = story.tick()
    story.see(Freed(story.tick(), "n0", 1, 7, 1, ((1, 1),)))
    story.settle("ack", 1, uid=7)
    story.choose(1, 1, 2, "w2")
    story.deliver(b"a", 1, client="w2", uid=7, term=1, counter=2, since_ns=since_ns)


@breaks("S5")
def rejected_again(story: Story) -> None:
    """Rejected, and delivered again"""
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    story.settle("reject", 1)
    story.deliver(b"a", 1)


# -- S6: unacknowledged is delivered again --


@holds("S6")
def redelivered(story: Story) -> None:
    """Given back or lost with its consumer, delivered again; acknowledged perhaps"""
    story.publish(b"a", 1)
    story.publish(b"b", 2)
    story.deliver(b"a", 1)
    story.settle("nack", 1)
    story.deliver(b"a", 1)
    story.settle("ack", 1)
    story.deliver(b"b", 2)
    story.deliver(b"b", 2)
    story.settle("ack", 2, "info")


@holds("S6")
def parked(story: Story) -> None:
    """Given back, and held"""
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    story.settle("nack", 1)
    story.final.remaining = {("q", 0, 1): ("parked", b"a")}


@holds("S6")
def died(story: Story) -> None:
    """Given back, and a dead letter since"""
    story.did("declare", dead_letter="dead")
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    story.settle("nack", 1)
    story.deliver(b"a", 1, queue="dead")
    story.settle("ack", 1, queue="dead")


@holds("S6")
def died_and_held(story: Story) -> None:
    """Given back, and held by the dead-letter queue"""
    story.did("declare", dead_letter="dead")
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    story.settle("nack", 1)
    story.final.remaining = {("dead", 0, 1): ("ready", b"a")}


@holds("S6")
def purged_on_its_way(story: Story) -> None:
    """Chosen, purged by the next leader, and delivered late: seed 23966 of profile swarm"""
    story.publish(b"a", 1)
    chosen_ns = story.tick()
    story.did("purge")
    story.deliver(b"a", 1, chosen_ns=chosen_ns)
    story.settle("release", 1, "info")


@breaks("S6")
def forgotten(story: Story) -> None:
    """Delivered to a consumer that died, and never again"""
    story.publish(b"a", 1)
    story.deliver(b"a", 1)


@breaks("S6")
def nacked_and_gone(story: Story) -> None:
    """Given back, and gone; a refused acknowledgement saves nothing"""
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    story.settle("nack", 1)
    story.settle("ack", 1, "fail")


# -- S7: order --


@holds("S7")
def in_order(story: Story) -> None:
    """Stored and first chosen in order; a redelivery may come late"""
    for number in (1, 2, 3):
        story.did("publish", b"%d" % number, producer="p", producer_seq=number, seq=number)
        story.deliver(b"%d" % number, number)
        story.settle("ack", number)
    story.choose(1, 2, 1)
    story.see(Freed(story.tick(), "n0", 1, 7, 1, ((1, 1),)))
    story.choose(3, 3, 2)
    story.choose(1, 1, 3)


@breaks("S7")
def overtaken(story: Story) -> None:
    """A message was chosen before an earlier one ever was"""
    story.choose(1, 1, 1)
    story.choose(3, 3, 2)
    story.choose(2, 2, 3)


@breaks("S7")
def stored_askew(story: Story) -> None:
    """A producer's later message is stored before an earlier one"""
    for number, seq in ((1, 1), (3, 2), (2, 3)):
        story.did("publish", b"%d" % number, producer="p", producer_seq=number, seq=seq)
        story.deliver(b"%d" % number, seq)
        story.settle("ack", seq)


# -- S9: places --


@holds("S9")
def incarnations(story: Story) -> None:
    """Two incarnations of a queue count from one each; those that are not told apart are not judged"""
    story.publish(b"a", 1, uid=7)
    story.did("delete")
    story.publish(b"b", 1, uid=8)
    story.deliver(b"b", 1, uid=8)
    story.settle("ack", 1, uid=8)
    story.publish(b"c", 1, queue="p")
    story.did("delete", queue="p")
    story.publish(b"d", 1, queue="p")
    story.deliver(b"d", 1, queue="p")
    story.settle("ack", 1, queue="p")


@holds("S9")
def told_apart_by_nothing(story: Story) -> None:
    """Everything anew in a queue that was deleted, by records that do not say so"""
    for body in (b"a", b"b"):
        story.did("publish", body, producer="p", producer_seq=1, seq=1)
        story.deliver(body, 1, client="w" + body.decode(), term=1, counter=1)
        story.settle("ack", 1)
        story.did("delete")


@breaks("S9")
def deletion_refused(story: Story) -> None:
    """A deletion that failed excuses nothing"""
    story.publish(b"a", 1)
    story.did("delete", outcome="fail", error="conflict")
    story.publish(b"b", outcome="info")
    story.deliver(b"b", 1)
    story.settle("ack", 1)


@breaks("S9")
def other_body(story: Story) -> None:
    """A place was confirmed to one message, and another is delivered from it"""
    story.publish(b"a", 1)
    story.publish(b"b", outcome="info")
    story.deliver(b"b", 1)
    story.settle("ack", 1)


@breaks("S9")
def confirmed_twice(story: Story) -> None:
    """A place is confirmed to two messages with one body"""
    story.did("publish", b"a", producer="p", producer_seq=1, seq=1)
    story.did("publish", b"a", producer="o", producer_seq=1, seq=1)
    story.deliver(b"a", 1)
    story.settle("ack", 1)
