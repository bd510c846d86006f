"""The recorder: files, sessions, order, and what happens when the disk or the caller misbehaves."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from studio_relay.errors import RecordingError
from studio_relay.recording import FrameLine, Recorder, read_recording

SID = "CA0123456789abcdef0123456789abcdef"
SETUP = json.dumps({"type": "setup", "callSid": SID, "sessionId": "VX1", "from": "+14155550123", "to": "+14155550124"})
HEADERS = [("host", "relay.example.org"), ("x-twilio-signature", "canary-signature")]
NAME = "20261120T120000Z-89abcdef.jsonl"


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def recorder(tmp_path: Path, clock: Clock) -> AsyncIterator[Recorder]:
    async with asyncio.timeout(20):
        made = new_recorder(tmp_path, clock)
        yield made
        await made.close()


def new_recorder(folder: Path, clock: Clock, **given: Any) -> Recorder:
    return Recorder(folder, clock=clock, wall=lambda: datetime(2026, 11, 20, 12, tzinfo=UTC), **given)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_call_is_one_file_in_order(recorder: Recorder, tmp_path: Path, clock: Clock) -> None:
    recorder.http(SID, "/voice", form={"CallSid": SID, "From": "+14155550123"})
    clock.now += 0.5
    session = recorder.open_session(HEADERS, path="/relay")
    clock.now += 0.001
    session.inbound(SETUP)
    session.outbound('{"type":"text","token":"Hello.","last":true}')
    session.inbound(b"nonsense", refused="not JSON")
    session.note(decided="nothing")
    clock.now += 2
    session.close(1000, "Closing websocket session")
    await recorder.close()
    assert os.listdir(tmp_path) == [NAME]
    written = lines(tmp_path / NAME)
    assert written[0].pop("recorder").startswith("studio-relay ")
    sid = "CA" + "1".zfill(32)
    assert written == [
        {"ms": -500, "dir": "note", "format": 1, "masked": True, "dialect": "twilio"},
        {"ms": -500, "dir": "http", "path": "/voice", "form": {"CallSid": sid, "From": "+15550100001"}},
        {"ms": 0, "dir": "handshake", "session": 1, "path": "/relay", "headers": {"host": "host-1.example.com"},
         "otherHeaders": ["x-twilio-signature"]},
        {"ms": 1, "dir": "in", "session": 1, "frame": {"type": "setup", "callSid": sid, "sessionId": "id-1",
         "from": "+15550100001", "to": "+15550100002"}},
        {"ms": 1, "dir": "out", "session": 1, "frame": {"type": "text", "token": "Hello.", "last": True}},
        {"ms": 1, "dir": "in", "session": 1, "raw": "nonsense", "refused": "not JSON"},
        {"ms": 1, "dir": "note", "session": 1, "decided": "nothing"},
        {"ms": 2001, "dir": "close", "session": 1, "code": 1000, "reason": "Closing websocket session"},
    ]  # fmt: skip


async def test_a_reconnect_goes_on_in_the_same_file(recorder: Recorder, tmp_path: Path, clock: Clock) -> None:
    for number in (1, 2):
        session = recorder.open_session(HEADERS, path="/relay")
        session.inbound(SETUP)
        session.close(1006)
        clock.now += 10
        recorder.http(SID, "/connect-action", response="<Response><Hangup /></Response>")
        await recorder.flush()
        assert os.listdir(tmp_path) == [NAME], number
    await recorder.close()
    recording = read_recording(tmp_path / NAME)
    assert recording.sessions == (1, 2)
    assert [line.ms for line in recording.of_session(2)] == [10_000] * 3
    setups = [line.frame for line in recording.lines if isinstance(line, FrameLine)]
    assert setups[0] == setups[1]
    assert sum(line.facts["dir"] == "http" for line in recording.lines) == 2


async def test_an_unfinished_file_is_a_part(recorder: Recorder, tmp_path: Path) -> None:
    session = recorder.open_session(HEADERS, path="/relay")
    session.inbound(SETUP)
    await recorder.flush()
    assert os.listdir(tmp_path) == [f"{NAME}.part"]
    await recorder.close()
    assert lines(tmp_path / NAME)[-1] == {"ms": 0, "dir": "note", "unfinished": True}


async def test_two_calls_that_look_alike_get_two_files(recorder: Recorder, tmp_path: Path) -> None:
    for sid in (SID, "CA" + "f" * 24 + "89abcdef"):
        session = recorder.open_session(HEADERS, path="/relay")
        session.inbound(SETUP.replace(SID, sid))
        session.close(1000)
    await recorder.close()
    assert set(os.listdir(tmp_path)) == {NAME, NAME.replace(".jsonl", "-2.jsonl")}


async def test_a_socket_without_setup_leaves_nothing(recorder: Recorder, tmp_path: Path) -> None:
    session = recorder.open_session(HEADERS, path="/relay")
    for _ in range(1_000):
        session.inbound('{"type":"prompt","voicePrompt":"too early"}')
    session.close(1008)
    recorder.http("CA" + "9" * 32, "/voice", form={})
    await recorder.close()
    assert os.listdir(tmp_path) == []


async def test_digits_that_come_in_pieces_are_masked(recorder: Recorder, tmp_path: Path) -> None:
    session = recorder.open_session(HEADERS, path="/relay")
    session.inbound(SETUP)
    for token in ("Dial ", "41", "5", "-", "867", "-53", "09", " now", " or 1"):
        session.outbound(json.dumps({"type": "text", "token": token}))
    session.inbound('{"type":"prompt","voicePrompt":"stop"}')
    session.outbound('{"type":"text","token":"23","last":true}')
    session.outbound('{"type":"text","token":"4","last":true}')
    session.close(1000)
    await recorder.close()
    frames = [line["frame"] for line in lines(tmp_path / NAME) if "frame" in line][1:]
    assert [frame.get("token") or frame["voicePrompt"] for frame in frames] == [
        "Dial ", "00", "0", "-", "000", "-00", "00", " now", " or 1", "stop", "23", "4",
    ]  # fmt: skip


async def test_no_signature_and_no_number_reach_the_disk(recorder: Recorder, tmp_path: Path) -> None:
    session = recorder.open_session(HEADERS, path="/relay?token=canary-query")
    session.inbound(SETUP)
    session.inbound('{"type":"prompt","voicePrompt":"415 555 0123","last":true}')
    session.close(1000, "bye +14155550123")
    await recorder.close()
    text = (tmp_path / NAME).read_text()
    assert [canary for canary in ("canary", "5550123", "0123", SID, "relay.example.org") if canary in text] == []


async def test_full_keeps_all_but_the_signature(tmp_path: Path, clock: Clock) -> None:
    recorder = new_recorder(tmp_path, clock, full=True)
    session = recorder.open_session(HEADERS, path="/relay")
    session.inbound(SETUP)
    session.close(1000)
    await recorder.close()
    text = (tmp_path / NAME).read_text()
    assert "canary" not in text
    assert '"masked":false' in text
    assert '"from":"+14155550123"' in text


async def test_odd_text_is_written_so_that_it_can_be_read(recorder: Recorder, tmp_path: Path) -> None:
    session = recorder.open_session(HEADERS, path="/relay")
    session.inbound(SETUP)
    odd = ["\ud800", "\x00", "a\nb", "\u2028", "ü"]
    for text in odd:
        session.inbound(text, refused="odd")
    session.close(1000)
    await recorder.close()
    recording = read_recording(tmp_path / NAME)
    assert [line.raw for line in recording.of_session(1) if isinstance(line, FrameLine) and line.raw] == odd


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX matter")
async def test_only_the_owner_may_read_recordings(tmp_path: Path, clock: Clock) -> None:
    recorder = new_recorder(tmp_path / "a" / "b", clock)
    session = recorder.open_session(HEADERS, path="/relay")
    session.inbound(SETUP)
    session.close(1000)
    await recorder.close()
    assert mode(tmp_path / "a" / "b" / NAME) == 0o600
    assert mode(tmp_path / "a" / "b") & 0o077 == 0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_disk_that_fails_costs_the_recording_only(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> int:
        raise OSError(28, "No space left on device")

    session = recorder.open_session(HEADERS, path="/relay")
    session.inbound(SETUP)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr("studio_relay.recording.filing.os.open", full_disk)
        await recorder.flush()
    session.close(1000)
    other = recorder.open_session(HEADERS, path="/relay")
    other.inbound(SETUP.replace(SID, "CA" + "7" * 32))
    other.close(1000)
    await recorder.close()
    assert caplog.messages == [f"recording {NAME} stopped: No space left on device"]
    assert os.listdir(tmp_path) == [NAME.replace("89abcdef", "77777777")]


async def test_a_fault_in_one_line_does_not_end_the_thread(recorder: Recorder, tmp_path: Path) -> None:
    session = recorder.open_session(HEADERS, path="/relay")
    session.inbound(SETUP)
    session.note(strange={1, 2}, worse=float)
    session.close(1000)
    await recorder.close()
    assert lines(tmp_path / NAME)[-1]["dir"] == "close"


async def test_after_close_nothing_is_taken(recorder: Recorder, tmp_path: Path) -> None:
    session = recorder.open_session(HEADERS, path="/relay")
    await recorder.close()
    session.inbound(SETUP)
    await recorder.close()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="STUDIO_RELAY_RECORD_DIR: expected a folder"):
        Recorder(tmp_path / "file")
