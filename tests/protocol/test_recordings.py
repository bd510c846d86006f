"""Recorded calls, with an agent that sends what was sent then: the transcript must be what was played.

Own recordings stand in tests/data/calls (written by hand); real ones are used where they lie beside the clone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio_relay.protocol.events import Ended, Interrupted, Refused
from studio_relay.protocol.messages import SendDigits, Text
from studio_relay.protocol.session import Session

REPO = Path(__file__).resolve().parents[2]
OWN = sorted((REPO / "tests" / "data" / "calls").glob("*.jsonl"))
SHARED = sorted((REPO.parent / "shared" / "recordings").glob("*.jsonl"))
needs_shared = pytest.mark.skipif(not SHARED, reason="the shared recordings are not beside this clone")


class Application:
    """Puts the recorded application's frames through a session."""

    def __init__(self) -> None:
        self.session = Session()
        self.played = ""
        self.ended: list[Ended] = []
        self._cycle: int | None = None

    def run(self, recording: Path) -> None:
        for line in recording.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            now = entry["ms"] / 1000
            if entry["dir"] == "in":
                self.receive(entry["frame"], now)
            elif entry["dir"] == "out" and "frame" in entry:
                self.send(entry["frame"], now)
            elif entry["dir"] == "close":
                self.ended += [
                    e for e in self.session.receive_close(entry["code"], entry["reason"], now) if type(e) is Ended
                ]

    def receive(self, frame: dict[str, Any], now: float) -> None:
        if frame.get("name") == "tokensPlayed":
            self.played += frame["value"]
        for event in self.session.receive_text(json.dumps(frame), now):
            assert not isinstance(event, Refused), event
            if isinstance(event, Interrupted) and self._cycle in event.cut:
                self._cycle = None

    def send(self, frame: dict[str, Any], now: float) -> None:
        """Send `frame` and check that it is what goes on the wire."""
        if frame["type"] == "end":
            self.session.end(frame["handoffData"])
        elif frame["type"] == "sendDigits":
            cycle = self.session.begin()
            self.session.send(cycle, SendDigits(digits=frame["digits"]))
            self.session.finish(cycle)
        else:
            self.say(frame)
        sent = [json.loads(text) for text in iter(lambda: self.session.next_text(now), None)]
        assert sent == [frame]

    def say(self, frame: dict[str, Any]) -> None:
        if self._cycle is None:
            self._cycle = self.session.begin()
        if frame.get("preemptible"):
            self.session.send(self._cycle, Text(token=frame["token"], last=False, preemptible=True))
        elif frame["token"] or not frame["last"]:
            self.session.say(self._cycle, frame["token"])
        if frame["last"]:
            self.session.finish(self._cycle)
            self._cycle = None

    @property
    def heard(self) -> str:
        turns = self.session.transcript.turns()
        return "".join(turn.text + (turn.digits or "") for turn in turns if turn.who == "agent")


def without_spaces(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("recording", OWN + SHARED, ids=lambda path: path.stem)
def test_what_the_agent_was_heard_to_say_is_what_was_played(recording: Path) -> None:
    application = Application()
    application.run(recording)
    assert without_spaces(application.heard) == without_spaces(application.played)
    assert len(application.ended) == 1
    assert application.session.playback.done(1e9)
    assert not any(turn.estimated for turn in application.session.transcript.turns())


@needs_shared
def test_the_shared_recordings_are_all_there() -> None:
    assert len(SHARED) == 9


def agent_turns(name: str) -> list[tuple[str, str | None]]:
    application = Application()
    application.run(REPO / "tests" / "data" / "calls" / f"{name}.jsonl")
    return [(turn.text, turn.sent) for turn in application.session.transcript.turns() if turn.who == "agent"]


def test_turns_of_a_voice_barge_in() -> None:
    greeting, cut, last = agent_turns("voice-barge-in")
    assert greeting == ("Harbour office, good morning.", None)
    assert cut[0] == "Three ferries run today: the first at eight, the second at noon. The last"
    assert cut[1] is not None
    assert cut[1].startswith(cut[0])
    assert last == ("Noon it is. Noon it is. See you then.", None)


def test_turns_of_keys_over_speech() -> None:
    assert agent_turns("keys-over-speech") == [
        ("Welcome to the", None),
        ("Two, tickets.", None),
        ("Four tickets are", "Four tickets are reserved under your number. Anything else?"),
        ("Four, no, seven tickets.", None),
    ]


def test_the_caller_is_in_the_transcript_in_order() -> None:
    application = Application()
    application.run(REPO / "tests" / "data" / "calls" / "keys-over-speech.jsonl")
    who = [turn.digits or turn.text.split()[0] for turn in application.session.transcript.turns()]
    assert who == ["Welcome", "2", "Two,", "4", "Four", "7", "Four,"]
