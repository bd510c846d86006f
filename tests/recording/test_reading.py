"""Reading recordings: ours, those of others, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio_relay.errors import RecordingError
from studio_relay.recording import CloseLine, FrameLine, HandshakeLine, HttpLine, NoteLine, read_recording

SHARED = Path(__file__).resolve().parents[3] / "shared" / "recordings"

CALL = """\
{"ms":-7,"dir":"http","path":"/voice","form":{"CallSid":"CA1"}}
{"ms":-7,"dir":"http","path":"/voice","response":"<Response/>"}
{"ms":0,"dir":"handshake","headers":{"host":"h"},"signatureMatched":{"wss":true}}

{"ms":1,"dir":"in","session":1,"frame":{"type":"setup"}}
{"ms":2.4,"dir":"out","raw":"this is not json"}
{"ms":3,"dir":"in","raw":"{","refused":"not JSON"}
{"ms":4,"dir":"close","code":1006,"reason":""}
{"ms":5,"dir":"handshake","headers":{}}
{"ms":6,"dir":"weather","sun":true}
{"ms":7,"dir":"in","frame":{"type":"setup"}}
{"ms":8,"dir":"close","code":null}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "call.jsonl"


def test_every_kind_of_line(file: Path) -> None:
    file.write_text(CALL)
    recording = read_recording(file)
    kinds = [type(line) for line in recording.lines]
    assert kinds == [
        HttpLine, HttpLine, HandshakeLine, FrameLine, FrameLine, FrameLine, CloseLine, HandshakeLine, NoteLine,
        FrameLine, CloseLine,
    ]  # fmt: skip
    assert (recording.masked, recording.dialect, recording.truncated) == (None, None, False)
    assert recording.sessions == (1, 2)
    assert [line.number for line in recording.of_session(2)] == [9, 11, 12]
    raw = recording.lines[4]
    assert isinstance(raw, FrameLine)
    assert (raw.dir, raw.raw, raw.frame, raw.ms) == ("out", "this is not json", None, 2)
    refused = recording.lines[5]
    assert isinstance(refused, FrameLine)
    assert refused.refused == "not JSON"
    assert recording.lines[2].facts["signatureMatched"] == {"wss": True}


def test_the_head_is_understood(file: Path) -> None:
    file.write_text('{"ms":0,"dir":"note","format":1,"masked":true,"dialect":"telnyx","recorder":"x"}\n')
    recording = read_recording(file)
    assert (recording.masked, recording.dialect) == (True, "telnyx")


def test_a_last_line_cut_off_is_left_out(file: Path) -> None:
    file.write_text(CALL + '{"ms":9,"dir":"in","fra')
    recording = read_recording(file)
    assert recording.truncated
    assert len(recording.lines) == 11


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{broken", "expected one JSON object"),
        ("[1]", "expected a JSON object"),
        ('{"dir":"in"}', "expected \"ms\" of type int or float, found 'NoneType'"),
        ('{"ms":true,"dir":"in"}', 'expected "ms"'),
        ('{"ms":1}', 'expected "dir" of type str'),
        ('{"ms":1,"dir":"in"}', 'expected either "frame" or "raw", found \'none\''),
        ('{"ms":1,"dir":"in","frame":{},"raw":""}', 'expected either "frame" or "raw", found \'both\''),
        ('{"ms":1,"dir":"in","frame":[]}', 'expected "frame" of type dict'),
        ('{"ms":1,"dir":"in","frame":{},"session":"1"}', 'expected "session" of type int'),
        ('{"ms":1,"dir":"close","code":"1000"}', 'expected "code" of type int'),
        ('{"ms":1,"dir":"http"}', 'expected "path" of type str'),
        ('{"ms":1,"dir":"note","format":2}', "expected format 1; update studio-relay, found 'format 2'"),
        ('{"ms":NaN,"dir":"note"}', "expected"),
        ('{"ms":1e999,"dir":"note"}', "expected"),
    ],
)
def test_a_wrong_line_is_named(file: Path, line: str, expected: str) -> None:
    file.write_text(f'{{"ms":0,"dir":"note"}}\n{line}\n')
    with pytest.raises(RecordingError) as caught:
        read_recording(file)
    assert caught.value.line == 2
    assert f"line 2: {expected}" in str(caught.value)


def test_files_that_are_no_recordings(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    for path, expected in ((file, "UTF-8"), (tmp_path / "none", "No such file"), (tmp_path, "directory")):
        with pytest.raises(RecordingError, match=expected):
            read_recording(path)
    file.write_text("\n\n")
    with pytest.raises(RecordingError, match="found none"):
        read_recording(file)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded calls are not next to this repository")
def test_recorded_calls_are_read() -> None:
    for path in SHARED.glob("*.jsonl"):
        recording = read_recording(path)
        assert recording.sessions == (1,)
        assert isinstance(recording.of_session(1)[-1], CloseLine)
