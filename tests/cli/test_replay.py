"""`studio-relay replay`: recordings of our own server, both ways; and recordings that cannot be replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Server = Callable[..., str]

SCRIPT = """
steps:
  - say: hello there
  - talk_over: {after_words: 3, say: stop it}
  - hang_up
"""


@pytest.fixture
def recorded(run: Any, server: Server, tmp_path: Path) -> Path:
    """A recording that our server made of a call with a barge-in."""
    (tmp_path / "s.yaml").write_text(SCRIPT)
    url = server("--insecure", "--agent", "echo", STUDIO_RELAY_RECORD_DIR=str(tmp_path / "calls"))
    done = run("call", url, "--script", "s.yaml", "--speed", "8")
    assert done.exit_code == 0, done.stderr
    (path,) = (tmp_path / "calls").glob("*.jsonl*")
    return path


def test_the_server_means_the_same_again(server: Server, run: Any, recorded: Path) -> None:
    url = server("--insecure", "--agent", "echo")
    shown = run("replay", str(recorded), url, "--speed", "8")
    assert shown.exit_code == 0, shown.stdout + shown.stderr
    assert "result    no difference" in shown.stdout
    assert url in shown.stdout
    report = json.loads(run("replay", str(recorded), url, "--speed", "8", "--json").stdout)
    assert list(report)[:5] == ["version", "ok", "recording", "as", "url"]
    assert (report["ok"], report["as"], report["difference"]) == (True, "twilio", None)
    other = run("replay", str(recorded), server("--insecure", "--agent", "scripted"), "--speed", "8")
    assert other.exit_code == 1
    assert "a difference of" in other.stdout


CALL = [
    {"ms": 0, "dir": "handshake", "session": 1, "headers": {}},
    {"ms": 0, "dir": "in", "session": 1, "frame": {"type": "setup", "sessionId": "VX1", "callSid": "CA1"}},
    {"ms": 900, "dir": "close", "session": 1, "code": 1006, "reason": ""},
]
PROMPT = {"ms": 5, "dir": "in", "session": 1, "frame": {"type": "prompt", "voicePrompt": "a", "last": True}}
TWIML = {"ms": -9, "dir": "http", "path": "/voice", "response": "<Response><ConversationRelay/></Response>"}


def write(lines: list[Any]) -> str:
    Path("call.jsonl").write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return "call.jsonl"


def test_a_difference_is_shown_with_its_line(run: Any) -> None:
    lines = [*CALL[:2], {**PROMPT, "frame": {"type": "info", "name": "agentSpeaking", "value": "on"}}, CALL[2]]
    done = run("replay", write(lines), "--as-application")
    assert done.exit_code == 1
    assert "line 2, session 1" in done.stdout
    assert "found " in done.stdout
    report = json.loads(run("replay", write(lines), "--as-application", "--json").stdout)
    assert report["ok"] is False
    assert report["difference"]["line"] == 2
    assert report["as"] == "application"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"ms":0,', *CALL], "call.jsonl, line 1: expected one JSON object"),
        ([*CALL[:1], "[1]", CALL[1]], "call.jsonl, line 2: expected a JSON object"),
        ([{"dir": "in"}, *CALL], 'line 1: expected "ms" of type int or float'),
        ([CALL[0], CALL[2]], "line 2: session 1 has no `setup`: its first `in` frame must be"),
        ([CALL[0], PROMPT, *CALL[1:]], 'line 2: expected {"type":"setup",…} as the first `in` frame'),
        ([*CALL, {**PROMPT, "ms": 950}], "line 4: a frame of Twilio behind the close in line 3; move it before"),
        ([*CALL, CALL[2]], "line 4: session 1 was closed in line 3 already"),
        ([*CALL[:2], {**PROMPT, "ms": 9000}, PROMPT, CALL[2]], '"ms" goes back from 9000 (line 3) to 5'),
        ([*CALL[:2], CALL[0], CALL[2]], "line 3: a second handshake in session 1; give it the next number"),
        ([{"ms": 0, "dir": "note"}], "no session: expected an `in` line"),
        ([], "expected JSON lines of a recorded call, found none"),
    ],
)
@pytest.mark.parametrize("how", [["--as-application"], ["ws://127.0.0.1:1/relay"]])
def test_a_recording_that_cannot_be_replayed(run: Any, lines: list[Any], message: str, how: list[str]) -> None:
    done = run("replay", write(lines), *how)  # nothing listens there: whoever dialled would say so instead
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_twiml_in_a_recording_that_starts_no_relay(run: Any) -> None:
    twiml = '<Response><Connect><ConversationRelay url="https://x"/></Connect></Response>'
    done = run("replay", write([{**TWIML, "response": twiml}, *CALL]), "--as-application")
    assert done.exit_code == 2
    assert "call.jsonl, line 1: the TwiML, line 1: `url` must be wss://" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jsonl", "--as-application"], "expected a recording to read"),
        (["call.jsonl", "ws://127.0.0.1:1/relay", "--as-application"], "--as-application dials nobody"),
        (["call.jsonl", "http://127.0.0.1:1/"], "expected a ws:// or wss:// URL"),
        (["call.jsonl", "ws://127.0.0.1:1/relay"], "is the server running?"),
        (["call.jsonl", "--auth-token-env", "NOT_SET"], "NOT_SET is not set"),
    ],
)
def test_what_cannot_be_done(run: Any, arguments: list[str], message: str) -> None:
    write(CALL)
    done = run("replay", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
