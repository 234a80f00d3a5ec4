"""A trace becomes a story: arrows find their ends, hosts their fates, and effects their likely causes."""

from haqactor.sim.report.story import WORLD, Story, tell
from haqactor.sim.report.words import data_text
from haqactor.sim.trace import Datum, Event


class Log:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, at_ns: int, kind: str, host: str, *data: Datum, cause: int = -1) -> int:
        self.events.append(Event(len(self.events), at_ns, kind, host, data, cause))
        return len(self.events) - 1

    def story(self) -> Story:
        return tell(self.events, clients=["user"])


def begun() -> Log:
    log = Log()
    for name in ("n10", "n2", "user"):
        log.add(0, "start", name, 1)
    log.add(0, "client.call", "writer", "publish")
    return log


def test_lanes() -> None:
    story = begun().story()
    assert [lane.name for lane in story.lanes] == ["n2", "n10", "user", "writer"]
    assert [lane.client for lane in story.lanes] == [False, False, True, True]


def test_who_never_writes_is_a_client() -> None:
    log = begun()
    log.add(5, "fsync", "n2", "journal", 1)
    assert [lane.name for lane in log.story().lanes if not lane.client] == ["n2"]


def test_what_happens_to_everybody_has_no_lane() -> None:
    log = begun()
    fault = log.add(5, "fault", "network", "storm")
    story = log.story()
    assert len(story.lanes) == 4
    assert story.rows[fault].lane == WORLD
    assert story.words(fault) == ("fault", "storm")


def test_messages_by_cause() -> None:
    log = begun()
    sent = log.add(1, "send", "n2", "n2", "n10", 60, 7, 12345)
    lost = log.add(2, "send", "n2", "n2", "n10", 61, 7, "Vote")
    flying = log.add(3, "send", "user", "user", "n2", 1, 8)
    came = log.add(4, "recv", "n10", "n2", "n10", 60, 7, 12345, cause=sent)
    drop = log.add(5, "drop", "n2", "n2", "n10", 61, 7, "loss", cause=lost)
    story = log.story()
    assert story.fates == {sent: [came], lost: [drop], flying: []}
    row = story.rows[came]
    assert (story.lanes[row.lane].name, story.lanes[row.peer].name) == ("n10", "n2")
    assert story.words(came) == ("peer message", "60 B, stream 7")
    assert story.words(drop) == ("Vote", "loss: 61 B, stream 7, Vote")
    assert story.words(lost)[0] == "Vote"
    assert story.words(flying)[0] == "client message"


def test_messages_without_a_noted_cause() -> None:
    log = begun()
    first = log.add(1, "send", "n2", "n2", "n10", 60, 7)
    second = log.add(2, "send", "n2", "n2", "n10", 60, 7)
    came = log.add(4, "recv", "n10", "n2", "n10", 60, 7)
    story = log.story()
    assert story.fates == {first: [came], second: []}
    assert not story.rows[came].guessed


def test_messages_that_travel_together() -> None:
    log = begun()
    first = log.add(1, "send", "n2", "n2", "n10", 60, 7)
    second = log.add(1, "send", "n2", "n2", "n10", 20, 7)
    later = log.add(2, "send", "n2", "n2", "n10", 20, 7)
    came = log.add(4, "recv", "n10", "n2", "n10", 80, 7, cause=second)
    story = log.story()
    assert story.joined == {first: second}
    assert story.fates[second] == [came]
    assert story.fates[later] == []


def test_likely_causes() -> None:
    log = begun()
    sent = log.add(1, "send", "n2", "n2", "n10", 60, 7)
    came = log.add(5, "recv", "n10", "n2", "n10", 60, 7, cause=sent)
    other = log.add(5, "send", "n10", "n10", "n2", 1, 7)
    reply = log.add(5, "send", "n10", "n10", "n2", 1, 7)
    synced = log.add(9, "fsync", "n10", "journal", 4096)
    answer = log.add(9, "send", "n10", "n10", "user", 1, 7)
    timer = log.add(30, "send", "n10", "n10", "n2", 1, 7)
    rows = log.story().rows
    assert [rows[number].cause for number in (other, reply, synced, answer, timer)] == [
        came,
        came,
        came,
        synced,
        -1,
    ]
    assert rows[reply].guessed
    assert not rows[came].guessed
    chain = [row.event.number for row in log.story().chain(answer)]
    assert chain == [sent, came, synced, answer]


def test_dark_still_and_apart() -> None:
    log = begun()
    log.add(10, "pause", "n2")
    log.add(20, "crash", "n2")
    log.add(30, "start", "n2", 2)
    log.add(40, "pause", "n10")
    log.add(50, "resume", "n10")
    log.add(60, "partition", "", "isolate", 1, "n10 | n2 user")
    log.add(62, "partition", "", "mute", 2, "n2>n10,n2>user")
    log.add(64, "heal", "", "isolate", 1)
    log.add(70, "heal", "all")
    log.add(80, "partition", "", "n2")
    log.add(90, "mark", "n2", "end")
    story = log.story()
    spans = [(span.kind, story.lanes[span.lane].name, span.from_ns, span.to_ns) for span in story.spans]
    assert spans == [
        ("unanswered", "writer", 0, 90),
        ("paused", "n2", 10, 20),
        ("down", "n2", 20, 30),
        ("paused", "n10", 40, 50),
        ("apart", "n10", 60, 64),
        ("apart", "n2", 62, 70),
        ("apart", "n2", 80, 90),
    ]


def test_operations() -> None:
    log = begun()
    log.add(50, "client.return", "writer", "ok", cause=3)
    (span,) = log.story().spans
    assert (span.kind, span.from_ns, span.to_ns, span.text) == ("call", 0, 50, "client.call publish")


def test_describe() -> None:
    log = begun()
    sent = log.add(1, "send", "n2", "n2", "n10", 60, 7)
    story = tell(log.events, describe=lambda event: ("Append", "e" * 999) if event.kind == "send" else None)
    assert story.words(sent)[0] == "Append"
    assert len(story.words(sent)[1]) == 200
    assert story.words(0)[0] == "start"


def test_text_is_one_short_line() -> None:
    assert data_text((None, 5, "a\nb", b"abc", b"\x00\xff")) == '- 5 a·b "abc" 0x00ff'
    assert len(data_text(("x" * 500, b"y" * 500))) == 200


def test_nothing_at_all() -> None:
    story = tell([])
    assert (story.lanes, story.rows, story.spans) == ((), {}, ())


def test_what_a_checker_finds_follows_what_came_last() -> None:
    log = begun()
    came = log.add(4, "recv", "n10", "n2", "n10", 60, 7)
    found = log.add(9, "violation", "n10", "S1", "gone")
    crashed = log.add(9, "ended", "n10", "KeyError")
    story = log.story()
    assert (story.rows[found].cause, story.rows[found].guessed) == (came, True)
    assert story.rows[crashed].cause == found


def test_a_client_that_is_done_is_not_down() -> None:
    log = begun()
    log.add(5, "ended", "user", None)
    log.add(5, "ended", "writer", "KeyError")
    log.add(5, "ended", "n2", None)
    log.add(9, "mark", "n10")
    story = log.story()
    assert sorted(story.lanes[span.lane].name for span in story.spans if span.kind == "down") == [
        "n2",
        "writer",
    ]
