"""What our server records replays both ways without a difference.

Asked for in three ways: all that a TwiML can ask for (`full`), what our own `/voice` asks for (`ours`: speaker
events, no partial prompts), and nothing (`widget`). The agent answers in one burst, or streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from studio_relay import hookimpl
from studio_relay.recording.reading import read_recording
from studio_relay.testing import (
    AsgiTransport,
    Line,
    LineDelay,
    MeasuredRates,
    RelayAttributes,
    parse_script,
    run_call,
    run_virtual,
)
from studio_relay.testing.pytest_plugin import AUTH_TOKEN, PUBLIC_URL, SOCKET_URL, make_app
from studio_relay.testing.replay import ReplayReport
from studio_relay.testing.replay_application import replay_as_application
from studio_relay.testing.replay_twilio import replay_as_twilio

CALLS = {
    "barge-in, keys, handoff": """
steps:
  - say: tell me a long story
  - talk_over: {after_words: 5, say: "No, please stop."}
  - press: "12#"
  - say: a person please
expect: {handoff: {reasonCode: person}}
""",
    "hang-up in mid-sentence": "steps: [{say: tell me a story}, {hear: once upon}, hang_up]\n",
    "a key over speech": "steps: [{say: a story}, {talk_over: {after_ms: 900, press: '9'}}, {silence: 4}, hang_up]\n",
    "a lost line": "steps: [{say: hello}, drop_socket]\n",
    "a barge-in into the greeting": """
steps:
  - talk_over: {after_words: 2, say: "Tell me a very long story, and then another one."}
  - silence: 3
  - hang_up
""",
    "one barge-in after another": """
steps:
  - say: a story
  - talk_over: {after_words: 3, say: Stop.}
  - talk_over: {after_words: 3, say: No.}
  - talk_over: {after_words: 6, say: "No, no, no, I have heard all of it before."}
  - say: a person
""",
    "a line that drops in mid-reply": """
steps:
  - say: tell me a story
  - talk_over: {after_words: 4, say: Stop it.}
  - drop_socket
  - say: a person, please
""",
}
VOICE_URL = f"{PUBLIC_URL}/voice"


class Teller:
    """Tells stories, repeats keys, hands over."""

    relay: ClassVar = {"welcome_greeting": "Hello. What shall it be?"}
    pace = 0.0

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> AsyncIterator[str]:
        if "person" in prompt.voice_prompt:
            yield "One moment: a person will answer."
            await call.end({"reasonCode": "person", "version": 1, "call": call.call_sid})
        else:
            for piece in ("Once upon a time there was a relay, ", "and it talked and talked. ", "It had 1234 stories."):
                for word in piece.split(" ") if self.pace else [piece]:
                    yield f"{word} " if self.pace else word
                    await asyncio.sleep(self.pace)

    @hookimpl
    def on_dtmf(self, dtmf: Any) -> str:
        return f"Key {dtmf.digit}."


class Streamer(Teller):
    """The same, word by word, and still at it when the caller interrupts."""

    pace = 0.09


AGENTS = {"at once": Teller, "streaming": Streamer}


def record(script: str, folder: Path, mode: str, *, agent: type = Teller, masked: bool = False) -> Path:
    app = make_app(agent(), record_dir=folder, record_full=not masked)
    url = VOICE_URL if mode == "ours" else SOCKET_URL
    attributes = RelayAttributes(mode="widget") if mode == "widget" else RelayAttributes.full()

    async def main() -> None:
        async with AsgiTransport(app) as transport:
            measured = {"rates": MeasuredRates(), "line_delay": LineDelay.measured()}  # as a replay takes them to be
            line = Line(transport=transport, auth_token=AUTH_TOKEN, seed=1, **measured)
            run = await run_call(line, url, parse_script(script), attributes=attributes)
            assert run.ok, run.checks
        assert transport.failures == []

    run_virtual(main())
    (path,) = folder.glob("*.jsonl")
    return path


def against_server(path: Path, agent: type = Teller, *, calls: int = 1) -> ReplayReport:
    """The last of so many replays to one server."""

    async def main() -> ReplayReport:
        async with AsgiTransport(make_app(agent())) as transport:
            reports = [await replay_as_twilio(path, transport, SOCKET_URL, auth_token=AUTH_TOKEN) for _ in range(calls)]
            return reports[-1]

    return run_virtual(main())


MODES = ("full", "ours", "widget")
BOTH = [(name, mode) for name in CALLS for mode in MODES if mode != "widget" or "key" not in name]


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize(("name", "mode"), BOTH)
def test_both_ways(name: str, mode: str, agent: str, tmp_path: Path) -> None:
    path = record(CALLS[name], tmp_path, mode, agent=AGENTS[agent])
    recording = read_recording(path)
    assert len(recording.lines) > 5
    application, twilio = replay_as_application(path), against_server(path, AGENTS[agent])
    assert str(application.difference) == "None"
    assert str(twilio.difference) == "None"
    assert application.compared["closes"] == len(recording.sessions)
    assert twilio.compared["frames"] >= 1


@pytest.mark.parametrize("mode", ["full", "ours"])
@pytest.mark.parametrize("name", CALLS)
def test_masked_recordings_too(name: str, mode: str, tmp_path: Path) -> None:
    path = record(CALLS[name], tmp_path, mode, masked=True)
    assert "1234" not in path.read_text(encoding="utf-8")
    application, twilio = replay_as_application(path), against_server(path)
    assert (str(application.difference), str(twilio.difference)) == ("None", "None")
    assert application.masked
    assert twilio.masked


def test_a_call_that_dropped_can_be_replayed_to_one_server_again(tmp_path: Path) -> None:
    """The server remembers calls; a replay is a call of its own."""
    path = record(CALLS["a line that drops in mid-reply"], tmp_path, "ours")
    assert len(read_recording(path).sessions) == 2
    assert str(against_server(path, calls=2).difference) == "None"


def test_the_wrong_server_is_told_from_the_right_one(tmp_path: Path) -> None:
    path = record(CALLS["a lost line"], tmp_path, "full")
    text = path.read_text(encoding="utf-8")
    assert "Once upon" in text
    path.write_text(text.replace("Once upon", "Twice upon"), encoding="utf-8")
    assert against_server(path).difference is not None
