"""What our server records on each host, with the TwiML of its own `/voice`, replays both ways without a difference.

The calls go over real sockets, several at once and faster than real time; so do the replays to the server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hosts import PUBLIC_URL, TOKEN, running

from studio_relay.recording.reading import CloseLine, read_recording
from studio_relay.testing import LineDelay, MeasuredRates, NetTransport, parse_script, run_call
from studio_relay.testing.relay import Line
from studio_relay.testing.replay import ReplayReport
from studio_relay.testing.replay_application import replay_as_application
from studio_relay.testing.replay_twilio import replay_as_twilio

SPEED = 4.0
LIMIT_SECONDS = 60

AGENT = '''
"""Tells stories, at once or word by word; repeats keys; hands over."""

import asyncio

from studio_relay import hookimpl

relay = {"welcome_greeting": "Hello. What shall it be?"}
STORY = "Once upon a time there was a relay, and it talked and talked. It had 1234 stories to tell."


@hookimpl
async def on_prompt(call, prompt):
    if "person" in prompt.voice_prompt:
        yield "One moment: a person will answer."
        await call.end({"reasonCode": "person", "version": 1})
    elif "slowly" in prompt.voice_prompt:
        for word in STORY.split():
            yield f"{word} "
            await asyncio.sleep(0.03)
    else:
        yield STORY


@hookimpl
def on_dtmf(call, dtmf):
    return f"Key {dtmf.digit}."
'''
SCRIPTS = {
    "barge-ins, keys, end": """
steps:
  - say: tell me a story
  - talk_over: {after_words: 5, say: "No, please stop."}
  - press: "1"
  - say: tell it slowly
  - talk_over: {after_words: 4, say: "Stop."}
  - say: a person please
""",
    "hang-up in mid-sentence": "steps: [{say: tell me a story}, {hear: once upon}, hang_up]\n",
    "a key over speech": "steps: [{say: a story}, {talk_over: {after_ms: 900, press: '9'}}, {silence: 3}, hang_up]\n",
    "a drop": """
steps:
  - talk_over: {after_words: 2, say: A story.}
  - talk_over: {after_words: 6, say: Stop.}
  - drop_socket
  - say: a person
""",
}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A host, and the recordings of the calls that it took."""

    port: int
    files: dict[str, Path]


@pytest.fixture(scope="module", params=["serve", "uvicorn", "granian"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """The calls, made on each host in turn, which still runs."""
    folder = tmp_path_factory.mktemp(request.param)
    with running(request.param, folder, AGENT, STUDIO_RELAY_RECORD_DIR=str(folder / "calls")) as server:
        port = server.port

        async def all_calls() -> list[Path]:
            async with asyncio.timeout(LIMIT_SECONDS):
                return await asyncio.gather(*(call(port, script, folder / "calls") for script in SCRIPTS.values()))

        yield Recorded(port=port, files=dict(zip(SCRIPTS, asyncio.run(all_calls()), strict=True)))


async def call(port: int, script: str, folder: Path) -> Path:
    """Make a call; its recording, when all of it is there."""
    # At the measured pace and delay, as a replay takes them to be: real sockets and hosts disturb the calls enough.
    line = Line(
        transport=NetTransport(f"http://127.0.0.1:{port}"),
        auth_token=TOKEN,
        rates=MeasuredRates(),
        line_delay=LineDelay.measured(),
    )
    run = await run_call(line, f"{PUBLIC_URL}/voice", parse_script(script), speed=SPEED)
    assert run.ok, run.checks
    first = run.sessions[0].call
    assert first is not None
    sid, sessions = first.identity.call_sid, len(run.sessions)
    while (path := _complete(folder, sid, sessions)) is None:  # noqa: ASYNC110  # a file
        await asyncio.sleep(0.02)
    return path


def _complete(folder: Path, sid: str, sessions: int) -> Path | None:
    """The recording of a call, once what followed on so many sessions is in it."""
    for path in folder.glob(f"*-{sid[-8:]}.jsonl"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        answers = [line for line in lines if line["dir"] == "http" and "response" in line]
        if sum("connect-action" in line["path"] for line in answers) == sessions:
            return path
    return None


@pytest.mark.parametrize("name", SCRIPTS)
def test_as_application(recorded: Recorded, name: str) -> None:
    report = replay_as_application(recorded.files[name])
    assert str(report.difference) == "None"
    assert report.masked
    assert report.compared["closes"] == report.compared["callbacks"] == (2 if name == "a drop" else 1)
    assert report.compared["frames"] > 5


def test_to_the_server_that_made_them(recorded: Recorded) -> None:
    async def all_replays() -> list[ReplayReport]:
        transport = NetTransport(f"http://127.0.0.1:{recorded.port}")
        url = f"{PUBLIC_URL.replace('https', 'wss')}/relay"
        replays: Any = [
            replay_as_twilio(path, transport, url, auth_token=TOKEN, speed=SPEED) for path in recorded.files.values()
        ]
        async with asyncio.timeout(LIMIT_SECONDS):
            return list(await asyncio.gather(*replays))

    reports = dict(zip(recorded.files, asyncio.run(all_replays()), strict=True))
    assert {name: str(report.difference) for name, report in reports.items()} == dict.fromkeys(SCRIPTS, "None")
    assert all(report.compared["frames"] >= 1 for report in reports.values())


def test_the_reason_of_a_close_is_kept(recorded: Recorded, request: pytest.FixtureRequest) -> None:
    """As far as a host tells it: granian knows the code alone."""
    closes = [line for line in read_recording(recorded.files["a drop"]).lines if isinstance(line, CloseLine)]
    assert closes[0].code in (1005, 1006)
    host = request.node.callspec.params["recorded"]
    reason = "" if host == "granian" else "Closing websocket session"
    assert [(close.code, close.reason) for close in closes[1:]] == [(1000, reason)]
