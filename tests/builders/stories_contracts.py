"""Stories of queues inside their group: S25, kept and broken."""

from haqactor.errors import SequenceGap
from haqactor.machine import commands
from haqactor.sim.watch.observed import Apply, Chosen, Holdings
from tests.builders.story import Cases, Story

CASES = Cases()
holds, breaks = CASES.holds, CASES.breaks
SETTINGS = {
    "lease_ns": 5, "max_attempts": 2, "dead_letter": None, "backoff_ns": 10, "backoff_max_ns": 100
}  # fmt: skip


def entry(story: Story, index: int, command: commands.Command | None, reply: object) -> None:
    """An entry of group 1 is applied."""
    given = [] if command is None else [command]
    header = commands.encode(1000 + index, given) if given else b""
    replies = [reply] if given else []
    story.see(Apply(story.tick(), "n0", 1, index, 1, index, b"%d" % index, header, replies))


def publish(first: int, count: int) -> commands.Command:
    return commands.publish(7, b"p" * 16, 0, first, count, 1, 0, 1000, 0, 10)


def one_queue(story: Story) -> None:
    """Queue 7 with messages 1 and 2, which may be leased."""
    entry(story, 1, None, None)
    entry(story, 2, commands.follow_directory(1, [], [[7, 1, "q", SETTINGS]]), True)
    story.now_ns += 1
    entry(story, 3, publish(1, 2), [[1, 2, False]])
    entry(story, 4, commands.reserve(7, 10, []), True)


def chosen(story: Story, low: int, high: int, index: int, **more: object) -> None:
    attempts: tuple[tuple[int, int], ...] = ((1, 1),) if more else ()
    story.see(Chosen(story.tick(), "n0", 1, 7, 1, 1, "w1", ((low, high),), index, attempts))


@holds("S25")
def model_agrees(story: Story) -> None:
    """Answers, choices and views are those of the model"""
    one_queue(story)
    chosen(story, 1, 2, 4)
    chosen(story, 9, 9, 3)
    entry(story, 5, commands.settle(7, [[2, 2]], [[1, 1, -1, "no"]], [], []), True)
    story.see(Holdings(story.tick(), "n0", 1, 5, 7, 0, 1, 0, 1, 3))
    story.see(Holdings(story.tick(), "n1", 1, 4, 7, 2, 0, 0, 1, 3))
    entry(story, 6, publish(9, 1), SequenceGap("no"))
    story.see(Apply(story.tick(), "n1", 1, 6, 1, 6, b"6"))
    question = story.begin("info")
    entry(story, 7, publish(3, 1), [[3, 1, False]])
    story.end(question, next_seq=3)
    story.did("info", next_seq=4)
    story.settle("ack", 2)


@holds("S25")
def published_meanwhile(story: Story) -> None:
    """A publish is confirmed that was committed meanwhile"""
    op = story.begin("publish", b"a")
    one_queue(story)
    story.end(op, seq=2, duplicate=False)
    story.final.remaining = {("q", 0, 2): ("ready", b"a")}


@breaks("S25")
def other_answer(story: Story) -> None:
    """The machine stores what it should refuse"""
    one_queue(story)
    entry(story, 5, publish(1, 2), [[3, 2, False]])


@breaks("S25")
def chosen_while_waiting(story: Story) -> None:
    """A message is chosen that waits for its backoff"""
    one_queue(story)
    entry(story, 5, commands.settle(7, [], [[1, 1, -1, "no"]], [], []), True)
    chosen(story, 1, 1, 5, attempts=True)


@breaks("S25")
def chosen_from_nowhere(story: Story) -> None:
    """A message is chosen from a queue that was deleted"""
    one_queue(story)
    entry(story, 5, commands.follow_directory(2, [7], []), True)
    chosen(story, 1, 1, 5)


@breaks("S25")
def chosen_beyond(story: Story) -> None:
    """A message is chosen that nobody stored"""
    one_queue(story)
    chosen(story, 2, 3, 4)


@breaks("S25")
def chosen_beyond_reserve(story: Story) -> None:
    """A message is chosen beyond the reserve mark"""
    one_queue(story)
    entry(story, 5, publish(3, 9), [[3, 9, False]])
    chosen(story, 9, 10, 5)


@breaks("S25")
def failures_forgotten(story: Story) -> None:
    """A message that failed is chosen as if it had not"""
    one_queue(story)
    entry(story, 5, commands.settle(7, [], [[1, 1, 0, "no"]], [], []), True)
    chosen(story, 1, 1, 5)


@breaks("S25")
def wrong_holdings(story: Story) -> None:
    """A machine holds something else"""
    one_queue(story)
    story.see(Holdings(story.tick(), "n0", 1, 4, 7, 1, 0, 0, 1, 3))


@breaks("S25")
def confirmed_uncommitted(story: Story) -> None:
    """A publish is confirmed that is not committed"""
    one_queue(story)
    story.publish(b"a", 3)
    story.final.remaining = {("q", 0, 3): ("ready", b"a")}


@breaks("S25")
def acknowledged_unapplied(story: Story) -> None:
    """An acknowledgement is confirmed that is not applied"""
    one_queue(story)
    story.settle("ack", 1)


@breaks("S25")
def place_of_another(story: Story) -> None:
    """A new publish is given the place of an earlier message"""
    one_queue(story)
    story.publish(b"a", 2, duplicate=False)
    story.final.remaining = {("q", 0, 2): ("ready", b"a")}


@breaks("S25")
def stale_view(story: Story) -> None:
    """Info does not show what was committed before it was asked"""
    one_queue(story)
    story.did("info", next_seq=1)


@breaks("S25")
def view_of_the_future(story: Story) -> None:
    """Info shows what is not committed"""
    one_queue(story)
    story.did("info", next_seq=4)
