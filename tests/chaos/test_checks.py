"""Each promise's check holds for a good history, and tells of the break in a bad one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos import checks
from tests.chaos.bodies import body_of, id_of
from tests.chaos.history import History, Outcome, Record, read


class Story:
    """A history told line by line; time goes on by a second with each."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.history = History(lambda: self.at_s)

    def publish(self, ids: str, place: int, outcome: Outcome = "confirmed", number: int = 0) -> Record:
        """Space-separated ids, one place after the other; a number makes it a named producer's."""
        names = ids.split()
        producer = "p" if number else ""
        record = self.history.begin("publish", "p", "q", names, producer=producer, number=number)
        self.at_s += 1
        if outcome == "confirmed":
            record.places = {each: place + offset for offset, each in enumerate(names)}
        self.history.end(record, outcome)
        return record

    def deliver(self, message: str, place: int, client: str = "c") -> None:
        self.at_s += 1
        self.history.delivered(client, "q", message, place, 1)

    def settle(self, ids: str, outcome: Outcome = "confirmed", verb: str = "ack") -> Record:
        record = self.history.begin("settle", "c", "q", ids.split(), verb=verb)
        self.at_s += 1
        self.history.end(record, outcome)
        return record


def good() -> Story:
    """Retries, an unknown outcome, a return, a refusal: nothing of it breaks a promise."""
    story = Story()
    story.publish("p/1 p/2", 1, "unknown", number=1)
    story.publish("p/1 p/2", 1, number=1)
    story.publish("a/1", 0, "refused")
    story.publish("a/2", 0, "unknown")
    story.publish("p/3", 4, number=3)
    for message, place in (("p/1", 1), ("p/2", 2), ("a/2", 3), ("p/3", 4)):
        story.deliver(message, place)
    story.settle("p/1 p/2")
    story.settle("a/2", verb="nack")
    story.settle("p/3", "refused")
    story.deliver("a/2", 3)
    story.deliver("p/3", 4)
    story.settle("a/2")
    story.settle("p/3", "unknown")
    return story


def judged(story: Story, stored: int = 4) -> list[str]:
    """The promises that are broken."""
    found = checks.judge(
        story.history.records, drained=True, stored={"q": stored}, alone=("q",), calm=[(0.0, 1e9)]
    )
    return [promise for promise, breaks in found.items() if breaks]


def test_a_good_history_breaks_nothing() -> None:
    assert judged(good()) == []


def never_delivered(story: Story) -> None:
    story.publish("p/4", 5, number=4)


def gone_without_acknowledgement(story: Story) -> None:
    story.publish("p/4", 5, number=4)
    story.deliver("p/4", 5)
    story.settle("p/4", verb="release")


def refused_acknowledgement(story: Story) -> None:
    story.publish("p/4", 5, number=4)
    story.deliver("p/4", 5)
    story.settle("p/4", "refused")


def nothing_more(_story: Story) -> None:
    pass


def from_nowhere(story: Story) -> None:
    story.deliver("z/1", 5)
    story.settle("z/1")


def before_it_was_published(story: Story) -> None:
    story.deliver("p/4", 5)
    story.settle("p/4", "unknown")
    story.publish("p/4", 5, number=4)


def refused_and_delivered(story: Story) -> None:
    story.deliver("a/1", 5)
    story.settle("a/1")


def two_receipts(story: Story) -> None:
    story.publish("p/3", 5, number=3)
    story.deliver("p/3", 4)


def delivered_from_two_places(story: Story) -> None:
    story.deliver("p/3", 5)


def one_place_for_two(story: Story) -> None:
    story.publish("a/3", 4)
    story.deliver("a/3", 4)
    story.settle("a/3")


def acknowledged_and_back(story: Story) -> None:
    story.deliver("p/1", 1)


def numbers_out_of_order(story: Story) -> None:
    story.publish("p/5", 5, number=5)
    story.publish("p/4", 6, number=4)
    for message, place in (("p/5", 5), ("p/4", 6)):
        story.deliver(message, place)
        story.settle(message)


def first_deliveries_out_of_order(story: Story) -> None:
    story.publish("p/4 p/5", 5, number=4)
    for message, place in (("p/5", 6), ("p/4", 5)):
        story.deliver(message, place)
        story.settle(message)


def endless(story: Story) -> None:
    story.history.begin("publish", "p", "q", ["a/9"])


def endured(story: Story) -> None:
    record = story.history.begin("settle", "c", "q", ["p/1"], verb="nack")
    story.at_s += 60
    story.history.end(record, "unknown")


@pytest.mark.parametrize(
    ("bad", "promise", "stored"),
    [
        (never_delivered, "nothing confirmed is lost", 5),
        (gone_without_acknowledgement, "nothing confirmed is lost", 5),
        (refused_acknowledgement, "nothing confirmed is lost", 5),
        (nothing_more, "nothing confirmed is lost", 5),  # stored, and delivered to nobody
        (from_nowhere, "nothing invented", 5),
        (before_it_was_published, "nothing invented", 5),
        (refused_and_delivered, "nothing invented", 5),
        (two_receipts, "nothing stored twice", 4),
        (delivered_from_two_places, "nothing stored twice", 5),
        (one_place_for_two, "nothing stored twice", 4),
        (acknowledged_and_back, "settlements are final", 4),
        (numbers_out_of_order, "order per producer", 6),
        (first_deliveries_out_of_order, "order per producer", 6),
        (endless, "every wait ends", 4),
        (endured, "every wait ends", 4),
    ],
)
def test_a_break_is_told(bad: Callable[[Story], None], promise: str, stored: int) -> None:
    story = good()
    bad(story)
    assert promise in judged(story, stored)


def test_order_of_deliveries_is_not_judged_where_something_failed() -> None:
    story = good()
    first_deliveries_out_of_order(story)
    records = story.history.records
    assert checks.late_first(records, ["q"], [(0.0, 1e9)])
    assert not checks.late_first(records, ["q"], [(0.0, 10.0)])
    assert not checks.late_first(records, [], [(0.0, 1e9)])


def test_loss_is_not_judged_before_all_is_drained() -> None:
    story = good()
    never_delivered(story)
    found = checks.judge(story.history.records, drained=False, stored={}, alone=(), calm=[])
    assert not any(found.values())


def test_a_damaged_body_is_nobodys() -> None:
    body = body_of("p/1", 100)
    assert id_of(body) == "p/1"
    assert len(body) == 100
    for at in range(len(body)):
        changed = bytearray(body)
        changed[at] ^= 1
        assert id_of(bytes(changed)) != "p/1"


def test_a_history_is_kept_and_read_back(tmp_path: Path) -> None:
    story = good()
    story.history.write(tmp_path / "history.jsonl")
    assert read(tmp_path / "history.jsonl") == story.history.records


def test_the_backlog_is_what_is_confirmed_and_not_delivered() -> None:
    story = Story()
    story.publish("a/1 a/2", 1)
    assert story.history.backlog("q") == 2
    story.deliver("a/1", 1)
    story.deliver("a/1", 1)
    assert story.history.backlog("q") == 1
