"""The note beside an exported file: written, read back, and refused where it is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio_relay.errors import FlowError
from studio_relay.studio.account.export_mark import ExportMark, mark_path, read_mark, write_mark


def test_a_note_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "desk.json"
    path = write_mark(file, flow_sid="FW1", revision=7)
    assert path == mark_path(file) == tmp_path / "desk.json.revision"
    assert read_mark(file) == ExportMark(flow_sid="FW1", revision=7)


def test_no_note_is_none(tmp_path: Path) -> None:
    assert read_mark(tmp_path / "desk.json") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"version": 1}',
        '{"version": 2, "flow": "FW1", "revision": 1}',
        '{"version": 1, "flow": "FW1", "revision": true}',
        '{"version": 1, "flow": "FW1", "revision": "1"}',
        '{"version": 1, "flow": 1, "revision": 1}',
    ],
)
def test_what_is_no_note_is_refused(tmp_path: Path, text: str) -> None:
    mark_path(tmp_path / "desk.json").write_text(text)
    with pytest.raises(FlowError, match="Remove it, or export the flow again"):
        read_mark(tmp_path / "desk.json")


def test_a_note_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    mark_path(tmp_path / "desk.json").write_bytes(b"\xff")
    with pytest.raises(FlowError, match="cannot be read"):
        read_mark(tmp_path / "desk.json")
    mark_path(tmp_path / "other.json").mkdir()
    with pytest.raises(FlowError, match="cannot be read"):
        read_mark(tmp_path / "other.json")
