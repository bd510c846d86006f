"""Replay, both ways round, on recordings made here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from studio_relay.errors import RecordingError
from studio_relay.testing import (
    AsgiTransport,
    Line,
    LineDelay,
    MeasuredRates,
    RelayAttributes,
    parse_script,
    run_call,
    run_virtual,
    session,
)
from studio_relay.testing.replay import ReplayReport
from studio_relay.testing.replay_application import replay_as_application
from studio_relay.testing.replay_twilio import replay_as_twilio

URL = "wss://relay.example.test/relay"
TWIML = (
    '<Response><Connect action="https://relay.example.test/action">'
    '<ConversationRelay url="wss://relay.example.test/relay" '
    'welcomeGreeting="Hello there." dtmfDetection="true" partialPrompts="true" '
    'events="speaker-events tokens-played"/></Connect></Response>'
)
SCRIPT = """
steps:
  - say: what is the news
  - talk_over: {after_words: 4, say: Stop it.}
  - press: 7#
  - say: good bye
"""


def desk(frame: dict[str, Any]) -> list[dict[str, Any]]:
    if frame["type"] == "dtmf":
        return [{"type": "text", "token": f"Key {frame['digit']}.", "last": True}]
    if frame["type"] == "prompt" and frame["last"]:
        if "bye" in frame["voicePrompt"]:
            return [{"type": "end", "handoffData": '{"reasonCode":"done"}'}]
        words = f"You said: {frame['voicePrompt']} and that is quite a lot to answer."
        return [{"type": "text", "token": words, "last": True}]
    return []


def record(app: Any, folder: Path) -> Path:
    """A recording of a simulated call, in the form of real ones."""
    attributes = RelayAttributes.from_twiml(TWIML)
    line = Line(transport=AsgiTransport(app), seed=1, rates=MeasuredRates(), line_delay=LineDelay.measured())
    run = run_virtual(run_call(line, URL, parse_script(SCRIPT), attributes=attributes))
    call = run.sessions[0].call
    assert call is not None
    voice = {"ms": call.started_ms - (call.setup_ms or 0), "dir": "http", "path": "/voice", "response": TWIML}
    lines = [voice, {"ms": 0, "dir": "handshake", "session": 1, "headers": {}}, *call.log]
    path = folder / "call.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    return path


def rewrite(path: Path, old: str, new: str, *, count: int = -1) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


def test_a_call_of_the_simulator_replays_to_the_millisecond(serve: Any, tmp_path: Path) -> None:
    report = replay_as_application(record(serve(desk), tmp_path))
    assert str(report.difference) == "None"
    assert report.compared["frames"] > 30
    assert report.compared["closes"] == report.compared["callbacks"] == 1
    assert all(abs(timing.recorded_ms - timing.replayed_ms) <= 1 for timing in report.timings)
    shown = report.to_json()
    assert list(shown)[:4] == ["version", "ok", "recording", "as"]
    assert json.loads(json.dumps(shown)) == shown


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ('"value": "on"', '"value": true', "type"),
        ('"tokensPlayed", "value": "Hello there."', '"tokensPlayed", "value": "Hello."', "value"),
        ('"SessionStatus": "ended"', '"SessionStatus": "failed"', "callback"),
        ('"code": 1000', '"code": 1001', "close"),
        ('"lang": "en-US"', '"lang": "en"', "value"),
        ('"parentCallSid": "", ', "", "extra"),
    ],
)
def test_a_changed_recording_differs_where_it_was_changed(
    serve: Any, tmp_path: Path, old: str, new: str, kind: str
) -> None:
    path = record(serve(desk), tmp_path)
    rewrite(path, old, new, count=1)
    difference = replay_as_application(path).difference
    assert difference is not None
    assert difference.kind == kind
    changed = path.read_text(encoding="utf-8").splitlines()[difference.line - 1]
    assert new in changed


def test_a_missing_frame_is_noticed(serve: Any, tmp_path: Path) -> None:
    path = record(serve(desk), tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    dropped = next(n for n, line in enumerate(lines) if '"interrupt"' in line)
    path.write_text("\n".join(lines[:dropped] + lines[dropped + 1 :]) + "\n", encoding="utf-8")
    difference = replay_as_application(path).difference
    assert difference is not None
    assert difference.kind in ("order", "value")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('{"ms":0,"dir":"in","session":1,"frame":{"type":"prompt","voicePrompt":"a","last":true}}', 1, "setup"),
        ('{"ms":0,"dir":"out","session":1,"frame":{"type":"end"}}', 1, "no `setup`"),
        ('{"ms":0,\n{"ms":1}', 1, None),
    ],
)
def test_an_impossible_recording_says_where(tmp_path: Path, text: str, line: int, says: str | None) -> None:
    path = tmp_path / "call.jsonl"
    path.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(RecordingError, match=says) as refused:
        replay_as_application(path)
    assert refused.value.line == line


def against(path: Path, app: Any, **options: Any) -> ReplayReport:
    return run_virtual(replay_as_twilio(path, AsgiTransport(app), URL, **options))


def test_the_same_server_means_the_same(serve: Any, tmp_path: Path) -> None:
    path = record(serve(desk), tmp_path)
    report = against(path, serve(desk))
    assert str(report.difference) == "None"
    assert report.compared["frames"] == 5
    assert report.to_json()["url"] == URL


def test_token_borders_are_the_servers_own_affair(serve: Any, tmp_path: Path) -> None:
    def wordy(frame: dict[str, Any]) -> list[dict[str, Any]]:
        replies = []
        for message in desk(frame):
            if message["type"] == "text":
                replies += [{"type": "text", "token": letter} for letter in message["token"]]
                replies.append({"type": "text", "token": "", "last": True})
            else:
                replies.append(message)
        return replies

    assert against(record(serve(desk), tmp_path), serve(wordy)).ok


@pytest.mark.parametrize(
    ("change", "kind", "path"),
    [
        (lambda m: {**m, "token": "Other words."} if m["type"] == "text" else m, "value", "$.text"),
        (lambda m: {**m, "preemptible": True} if m["type"] == "text" else m, "value", "$.preemptible"),
        (lambda m: {**m, "handoffData": "{}"} if m["type"] == "end" else m, "value", "$.handoffData"),
        (lambda m: {"type": "sendDigits", "digits": "1"} if m["type"] == "end" else m, "order", "$.type"),
    ],
)
def test_another_meaning_is_a_difference(serve: Any, tmp_path: Path, change: Any, kind: str, path: str) -> None:
    other = serve(lambda frame: [change(message) for message in desk(frame)])
    difference = against(record(serve(desk), tmp_path), other).difference
    assert difference is not None
    assert (difference.kind, difference.path) == (kind, path)


def test_text_can_be_left_out_of_account(serve: Any, tmp_path: Path) -> None:
    other = serve(lambda f: [{**m, "token": "Else."} if m["type"] == "text" else m for m in desk(f)])
    assert against(record(serve(desk), tmp_path), other, ignore_text=True).ok


def test_a_server_that_says_nothing_or_too_much(serve: Any, tmp_path: Path) -> None:
    path = record(serve(desk), tmp_path)
    keys = {"type": "sendDigits", "digits": "1"}
    silent = serve(lambda frame: [])
    chatty = serve(lambda frame: [*desk(frame), keys] if frame.get("digit") == "#" else desk(frame))
    missing, extra = against(path, silent).difference, against(path, chatty).difference
    assert missing is not None
    assert missing.kind == "missing"
    assert extra is not None
    assert extra.kind == "order"


def test_without_twiml_the_attributes_are_guessed_from_the_frames(serve: Any, tmp_path: Path) -> None:
    path = record(serve(desk), tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    report = replay_as_application(path)
    assert str(report.difference) == "None"
    assert report.compared["frames"] > 30


def timed(path: Path, app: Any) -> tuple[ReplayReport, float]:
    """The report, and the seconds the replay took."""

    async def main() -> tuple[ReplayReport, float]:
        loop = asyncio.get_running_loop()
        report = await replay_as_twilio(path, AsgiTransport(app), URL)
        return report, loop.time()

    return run_virtual(main())


def long_call(path: Path) -> Path:
    """The recording with minutes of silence and many more questions in the middle."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    first = next(n for n, line in enumerate(lines) if (line.get("frame") or {}).get("token"))
    later = [{**line, "ms": line["ms"] + 300_000} for line in lines[first + 1 :]]
    asked = {"type": "prompt", "voicePrompt": "And now?", "lang": "en-US", "last": True}
    more = [{"ms": lines[first]["ms"] + 7_000 * n, "dir": "in", "session": 1, "frame": asked} for n in range(1, 40)]
    path.write_text("\n".join(json.dumps(line) for line in [*lines[: first + 1], *more, *later]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("fault", "kind", "within_seconds"),
    [
        (lambda message: {**message, "token": "Other words."}, "value", 10),
        (lambda message: {"type": "sendDigits", "digits": "1"}, "order", 10),
        (lambda message: {**message, "last": False}, "missing", 20),
        (lambda message: {"type": "language", "ttsLanguage": "sv-SE"}, "order", 10),
    ],
)
def test_the_first_difference_ends_the_replay(
    serve: Any, tmp_path: Path, fault: Any, kind: str, within_seconds: float
) -> None:
    path = long_call(record(serve(desk), tmp_path))
    app = serve(lambda frame: [fault(message) for message in desk(frame)])
    report, seconds = timed(path, app)
    assert report.difference is not None
    assert report.difference.kind == kind
    assert seconds < within_seconds
    assert [frame.get("voicePrompt") for frame in app.frames].count("And now?") <= 1


def test_a_server_that_closes_or_says_too_much_ends_it_too(serve: Any, tmp_path: Path) -> None:
    path = long_call(record(serve(desk), tmp_path))
    keys = {"type": "sendDigits", "digits": "1"}
    mute, chatty = serve(lambda frame: []), serve(lambda frame: [*desk(frame), *[keys] * 9])
    for app, kind in ((mute, "missing"), (chatty, "order")):
        report, seconds = timed(path, app)
        assert report.difference is not None
        assert report.difference.kind == kind
        assert seconds < 20


def test_a_host_that_knows_no_reason_of_a_close_makes_no_difference(serve: Any, tmp_path: Path) -> None:
    path = record(serve(desk), tmp_path)
    rewrite(path, '"reason": "Closing websocket session"', '"reason": ""')
    assert str(replay_as_application(path).difference) == "None"
    rewrite(path, '"reason": ""', '"reason": "Another reason"')
    assert replay_as_application(path).difference is not None


def test_a_call_made_faster_than_real_time_says_so_and_replays(serve: Any, tmp_path: Path) -> None:
    path = record(serve(desk), tmp_path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    quick = [{**line, "ms": line["ms"] / 8} for line in lines]
    path.write_text("\n".join(json.dumps(line) for line in quick), encoding="utf-8")
    assert replay_as_application(path).difference is not None
    rewrite(path, '"headers": {}', '"headers": {"x-studio-relay-speed": "8"}')
    assert str(replay_as_application(path).difference) == "None"


@pytest.mark.parametrize("limit", [8, 9, 11, 12])
def test_a_simulator_that_closes_after_more_or_fewer_bad_texts_is_noticed(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    burst = [f"bad #{number}" for number in range(10)]
    path = record(serve(lambda frame: burst if frame["type"] == "setup" else []), tmp_path)
    assert '"code": 1007' in path.read_text(encoding="utf-8")
    assert str(replay_as_application(path).difference) == "None"
    monkeypatch.setattr(session, "MALFORMED_LIMIT", limit)
    assert replay_as_application(path).difference is not None
