"""The page of a failure: whole, small, without a network, and deaf to what the run says."""

import json
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from haqactor.sim.drawn import Drawn
from haqactor.sim.failure.artefact import Artefact
from haqactor.sim.report.html import BYTES_MAX, page
from haqactor.sim.trace import Event
from haqactor.sim.verdict import Verdict
from tests.builders.failed_run import example_artefact, example_trace

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'`@run@\u2028<!--"
VOID = {"meta", "link", "br", "img", "input"}
ROOT = Path(__file__).resolve().parents[3]


class Structure(HTMLParser):
    """Every element closed in its turn; what each holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            tag, attributes = self.open[-1]
            name = str(attributes.get("id") or tag)
            self.texts[name] = self.texts.get(name, "") + data


def made(events: list[Event], artefact: Artefact) -> tuple[str, Structure, dict[str, Any]]:
    text = page(artefact, events)
    structure = Structure(text)
    return text, structure, json.loads(structure.texts["run"])


def numbers(run: dict[str, Any]) -> list[int]:
    found: list[int] = []
    number = 0
    for row in run["rows"]:
        number += row[0] if row else 0
        found.append(number)
    return found


EVENTS = example_trace(seconds=4)
FAILED = example_artefact(EVENTS)
TEXT, STRUCTURE, RUN = made(EVENTS, FAILED)


def test_it_is_a_page() -> None:
    tags = [tag for tag, _ in STRUCTURE.elements]
    for tag in ("html", "head", "title", "body", "main", "aside"):
        assert tags.count(tag) == 1
    assert STRUCTURE.texts["title"] == "safety S1 seed 17"
    assert "FAIL safety  S1" in STRUCTURE.texts["report"]
    assert not re.search("@[a-z]+@", TEXT)


def test_nothing_is_fetched() -> None:
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", TEXT)
    assert not re.findall(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import)\s*\(", TEXT)
    for _, attributes in STRUCTURE.elements:
        assert not {"src", "href", "srcset", "action"} & set(attributes)
    assert not re.findall(r"@import|url\((?!#)", TEXT)
    (policy,) = [a["content"] for _, a in STRUCTURE.elements if a.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none';")


def test_all_of_a_short_run_is_there() -> None:
    assert RUN["total"] == len(EVENTS)
    assert numbers(RUN) == [event.number for event in EVENTS]
    assert [lane[0] for lane in RUN["lanes"]] == ["n0", "n1", "n2", "client-0", "client-1"]
    assert numbers(RUN)[RUN["violation"]] == FAILED.event
    assert {span[0] for span in RUN["spans"]} >= {"down", "paused", "apart", "call"}
    assert sum(RUN["density"]) == len(EVENTS)
    at_ns = RUN["begin"] + sum(row[1] for row in RUN["rows"] if len(row) > 1)
    assert at_ns == EVENTS[-1].at_ns


def test_causes_are_kept() -> None:
    for place, row in enumerate(RUN["rows"]):
        event = EVENTS[place]
        if event.cause >= 0:
            assert place - row[7] == event.cause
            assert (row[8] if len(row) > 8 else 0) == 0


@pytest.mark.parametrize("busy", [1, 20])
def test_small(busy: int) -> None:
    events = example_trace(busy=busy)
    artefact = example_artefact(events)
    text, _, run = made(events, artefact)
    assert len(text.encode()) <= BYTES_MAX
    shown = numbers(run)
    assert len(shown) == len(set(shown)) <= 4000
    assert run["violation"] >= 0
    if busy == 1:
        return
    assert len(shown) < run["total"]
    near = [event.number for event in events[-500:]]
    assert set(near) <= set(shown)
    for event in events:
        if event.kind in ("crash", "start", "partition", "heal", "pause", "resume", "fault"):
            assert event.number in shown
    assert run["facts"][0][5] >= 0
    tenth = events[-1].at_ns // 10
    times = [events[number].at_ns for number in shown]
    for part in range(10):
        assert any(part * tenth <= at_ns < (part + 1) * tenth for at_ns in times)


def test_messages_have_both_ends() -> None:
    events = example_trace(busy=20)
    _, _, run = made(events, example_artefact(events))
    shown = dict.fromkeys(numbers(run))
    for number in shown:
        if events[number].kind in ("recv", "drop"):
            assert events[number].cause in shown


def test_a_smaller_page() -> None:
    text = page(FAILED, EVENTS, bytes_max=60_000)
    run = json.loads(Structure(text).texts["run"])
    assert len(text.encode()) <= 60_000
    assert 0 < len(run["rows"]) < len(EVENTS)
    assert numbers(run)[run["violation"]] == FAILED.event


def test_what_the_run_says_is_only_text() -> None:
    events = example_trace(seconds=4, evil=EVIL)
    events = [
        event._replace(host=event.host + EVIL if event.host == "n2" else event.host) for event in events
    ]
    artefact = replace(example_artefact(events, evil=EVIL), invariant=EVIL)
    text, structure, run = made(events, artefact)
    assert [tag for tag, _ in structure.elements] == [tag for tag, _ in STRUCTURE.elements]
    assert "<img" not in text
    assert "alert(1)</script>" not in text
    assert run["message"].endswith(EVIL)
    assert any(EVIL in lane[0] for lane in run["lanes"])
    assert EVIL in structure.texts["title"]


def test_the_script_makes_no_markup_of_words() -> None:
    script = max((value for name, value in STRUCTURE.texts.items() if name == "script"), key=len)
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script
    )


def test_without_a_trace() -> None:
    least = Artefact(seed=0, profile="calm", run=Drawn(), verdict=Verdict.LIVENESS, digest="")
    _, _, run = made([], least)
    assert run["rows"] == []
    assert run["violation"] == -1


def test_same_every_time() -> None:
    assert page(FAILED, EVENTS) == TEXT


def test_its_parts_are_shipped() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    parts = [
        path.name for path in (ROOT / "sim" / "report").iterdir() if path.suffix in (".html", ".css", ".js")
    ]
    assert sorted(shipped["haqactor.sim.report"]) == sorted(parts)


def test_what_clients_did_with_a_message_is_there_however_busy_the_run() -> None:
    events = example_trace(busy=20)
    call = Event(0, events[10].at_ns, "client.call", "client-0", ("publish", "orders", b"p0/orders/3"), -1)
    events.insert(10, call)
    events = [event._replace(number=number) for number, event in enumerate(events)]
    artefact = example_artefact(events)
    told = replace(artefact.records[0], text="deliver orders b'p0/orders/3': ok", event=None)
    _, _, run = made(events, replace(artefact, records=(told,)))
    assert 10 in numbers(run)
    assert any('"p0/orders/3"' in word for word in run["words"])
