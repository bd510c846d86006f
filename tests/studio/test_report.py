"""The page of a run is whole, safe and self-contained."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from studio_relay.studio.flow import load_flow
from studio_relay.studio.report import run_page


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


RUN: dict[str, Any] = {
    "version": 1,
    "ok": False,
    "script": "person.yaml",
    "transcript": [
        {"at_ms": 10, "who": "agent", "text": "How can I", "sent": "How can I help?"},
        {"at_ms": 20, "who": "caller", "text": "<script>alert(1)</script>"},
    ],
    "sessions": [{"widget": "relay", "agent": "desk", "status": "ended", "close_code": 1000, "duration_ms": 9}],
    "handoff": {"reasonCode": "person"},
    "expectations": [{"line": 9, "expect": "hear: x", "ok": False, "found": "y & z"}],
    "warnings": [{"widget": "relay", "message": "careful"}],
    "timings": {"total_ms": 1234, "first_word_ms": [100], "longest_silence_ms": 50},
}


async def test_a_page_of_a_run(run: Any, kit: Any) -> None:
    flow = load_flow(kit.repo / "studio_flows" / "front_desk.json")
    caller = kit.Caller(answers={"person": {"event": "callCompleted"}})
    walked = await run(flow, relay=kit.ended('{"reasonCode":"person"}'), caller=caller)
    page = run_page(flow, RUN | {"path": [step.to_json() for step in walked.path]})
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not {"script", "link", "img", "iframe"} & set(tags.seen)
    assert "&lt;script&gt;" in page
    assert "<del> help?</del>" in page
    assert "found y &amp; z" in page
    assert '<g class="outside on"><title>person (connect-call-to)' in page
    assert '<g class="on"><title>route → person: equal_to person' in page
    assert '<g class="off"><title>relay → sorry: failed' in page


def test_an_empty_run_is_a_page_too(kit: Any) -> None:
    page = run_page(kit.flow(kit.state("a", "say-play")), {"ok": True})
    assert "as expected" in page
    assert "Transcript" not in page
