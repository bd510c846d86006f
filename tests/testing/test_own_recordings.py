"""What our server records replays both ways without a difference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

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
from studio_relay.testing.pytest_plugin import AUTH_TOKEN, SOCKET_URL, make_app
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
}


class Teller:
    """Tells stories, repeats keys, hands over."""

    @hookimpl
    def on_setup(self) -> str:
        return "Hello. What shall it be?"

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> AsyncIterator[str]:
        if "person" in prompt.voice_prompt:
            yield "One moment: a person will answer."
            await call.end({"reasonCode": "person", "version": 1})
        else:
            yield "Once upon a time there was a relay, "
            yield "and it talked and talked. It had 1234 stories to tell."

    @hookimpl
    def on_dtmf(self, dtmf: Any) -> str:
        return f"Key {dtmf.digit}."


def record(script: str, folder: Path, attributes: RelayAttributes, *, masked: bool = False) -> Path:
    app = make_app(Teller(), record_dir=folder, record_full=not masked)

    async def main() -> None:
        async with AsgiTransport(app) as transport:
            measured = {"rates": MeasuredRates(), "line_delay": LineDelay.measured()}  # as a replay takes them to be
            line = Line(transport=transport, auth_token=AUTH_TOKEN, seed=1, **measured)
            run = await run_call(line, SOCKET_URL, parse_script(script), attributes=attributes)
            assert run.ok, run.checks
        assert transport.failures == []

    run_virtual(main())
    (path,) = folder.glob("*.jsonl")
    return path


def against_server(path: Path) -> ReplayReport:
    async def main() -> ReplayReport:
        async with AsgiTransport(make_app(Teller())) as transport:
            return await replay_as_twilio(path, transport, SOCKET_URL, auth_token=AUTH_TOKEN)

    return run_virtual(main())


BOTH = [(name, mode) for name in CALLS for mode in ("full", "widget") if mode == "full" or "key" not in name]


@pytest.mark.parametrize(("name", "mode"), BOTH)
def test_both_ways(name: str, mode: str, tmp_path: Path) -> None:
    attributes = RelayAttributes.full() if mode == "full" else RelayAttributes(mode="widget")
    path = record(CALLS[name], tmp_path, attributes)
    assert len(read_recording(path).lines) > 5
    application, twilio = replay_as_application(path), against_server(path)
    assert str(application.difference) == "None"
    assert str(twilio.difference) == "None"
    assert application.compared["closes"] == 1
    assert twilio.compared["frames"] > 1


@pytest.mark.parametrize("name", ["hang-up in mid-sentence", "a lost line"])
def test_masked_recordings_too(name: str, tmp_path: Path) -> None:
    path = record(CALLS[name], tmp_path, RelayAttributes.full(), masked=True)
    assert "1234" not in path.read_text(encoding="utf-8")
    application, twilio = replay_as_application(path), against_server(path)
    assert (str(application.difference), str(twilio.difference)) == ("None", "None")
    assert application.masked
    assert twilio.masked


def test_the_wrong_server_is_told_from_the_right_one(tmp_path: Path) -> None:
    path = record(CALLS["a lost line"], tmp_path, RelayAttributes.full())
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("shall it be", "may it be"), encoding="utf-8")
    assert against_server(path).difference is not None
