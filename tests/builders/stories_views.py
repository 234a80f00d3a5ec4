"""Stories of what clients see of queues: S17 and S18, kept and broken."""

from tests.builders.story import Cases, Story

CASES = Cases()
holds, breaks = CASES.holds, CASES.breaks


# -- S17: metadata --


@holds("S17")
def declared_and_deleted(story: Story) -> None:
    """Declared, changed, deleted, declared anew; what is concurrent may be in any order"""
    story.did("info", outcome="fail", error="not_found")
    story.did("declare", uid=7, version=1, created=True, changed=True)
    story.did("declare", client="c2", uid=7, version=2, created=False, changed=True)
    story.did("delete", outcome="fail", error="conflict")
    slow = story.begin("info", client="c3")
    story.did("delete")
    story.did("info", outcome="fail", error="not_found")
    story.end(slow, uid=7, version=2)
    story.did("declare", outcome="info")
    story.did("info", uid=9, version=1)
    story.did("delete", outcome="info")
    story.did("delete", outcome="fail", error="not_found")


@holds("S17")
def dead_letters_declared(story: Story) -> None:
    """A declaration makes its dead-letter queue, too"""
    story.did("declare", uid=7, version=1, created=True, dead_letter="dead")
    story.did("info", queue="dead", uid=6, version=1)
    story.did("declare", queue="dead", uid=6, version=1, created=False, changed=False)


@holds("S17")
def declared_again(story: Story) -> None:
    """A declaration that was sent twice made the queue itself, and found it there"""
    story.did("declare", uid=7, created=False, changed=False, again=1)
    story.did("info", uid=7, version=1)


@breaks("S17")
def declared_once(story: Story) -> None:
    """A declaration found a queue that nobody had made"""
    story.did("declare", uid=7, created=False, changed=False, again=0)


def declared_in_copies(story: Story, copies: int) -> None:
    """The first copy makes the queue, another one finds it there, and after the deletion one comes late."""
    story.did("declare", uid=7, created=False, changed=False, again=copies)
    story.did("delete")
    story.did("info", outcome="fail", error="not_found")
    story.did("info", uid=9, version=1)


@holds("S17")
def a_copy_comes_late(story: Story) -> None:
    """A declaration that was sent three times makes the queue twice"""
    declared_in_copies(story, 2)


@breaks("S17")
def no_copy_is_left(story: Story) -> None:
    """It was sent twice, and both copies have acted"""
    declared_in_copies(story, 1)


@breaks("S17")
def two_incarnations(story: Story) -> None:
    """Two incarnations are seen, and it was declared once, as a dead-letter queue"""
    story.did("declare", dead_letter="dead")
    story.did("info", queue="dead", uid=6)
    story.did("info", queue="dead", client="c2", uid=5)


@breaks("S17")
def stale_info(story: Story) -> None:
    """Seen after it was deleted"""
    story.did("declare", uid=7, version=1, created=True)
    story.did("delete")
    story.did("info", uid=7, version=1)


@breaks("S17")
def lost_declaration(story: Story) -> None:
    """Declared for certain, and not there"""
    story.did("declare", uid=7, version=1, created=True)
    story.did("info", client="c2", outcome="fail", error="not_found")


@breaks("S17")
def created_twice(story: Story) -> None:
    """Two clients both created it"""
    first, second = story.begin("declare"), story.begin("declare", client="c2")
    story.end(first, created=True)
    story.end(second, created=True)


@breaks("S17")
def old_version(story: Story) -> None:
    """A change is not seen by a client that asks afterwards"""
    story.did("declare", uid=7, version=1, created=True)
    story.did("declare", uid=7, version=2, created=False, changed=True)
    story.did("info", client="c2", uid=7, version=1)


# -- S18: views --


@holds("S18")
def forward(story: Story) -> None:
    """Views move on; two questions at once may be answered in any order; a new incarnation begins anew"""
    story.did("declare", uid=7, version=1)
    story.publish(b"a", 1, uid=7)
    story.deliver(b"a", 1, uid=7)
    story.settle("ack", 1, uid=7)
    story.did("info", uid=7, first_seq=1, next_seq=2)
    old, new = story.begin("info"), story.begin("info")
    story.end(new, uid=7, first_seq=2, next_seq=5)
    story.end(old, uid=7, first_seq=1, next_seq=3)
    story.did("info", client="c2", uid=7, first_seq=1, next_seq=2)
    story.did("delete", client="c2")
    story.did("declare", client="c2", uid=8, version=1)
    story.did("info", uid=8, first_seq=1, next_seq=1)


@breaks("S18")
def backward(story: Story) -> None:
    """A queue has fewer messages than its client saw"""
    story.did("info", uid=7, first_seq=1, next_seq=5)
    story.did("info", uid=7, first_seq=1, next_seq=4)


@breaks("S18")
def own_publish_unseen(story: Story) -> None:
    """A client does not see what it was confirmed"""
    story.publish(b"a", 1)
    story.deliver(b"a", 1)
    story.settle("ack", 1)
    story.did("info", first_seq=1, next_seq=1)


@breaks("S18")
def earlier_incarnation(story: Story) -> None:
    """A deleted incarnation is seen again"""
    story.did("info", uid=8, next_seq=1)
    story.did("info", uid=7, next_seq=9)
