"""The note beside an exported file: written, read back, and refused where it is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_in import definition

from studio_relay.errors import FlowError
from studio_relay.studio.account.export_mark import ExportMark, digest, mark_path, read_mark, write_mark


def test_a_note_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "desk.json"
    path = write_mark(file, flow_sid="FW1", revision=7, definition=definition("hi"))
    assert path == mark_path(file) == tmp_path / "desk.json.revision"
    assert read_mark(file) == ExportMark(flow_sid="FW1", revision=7, sha256=digest(definition("hi")))


def test_no_note_is_none(tmp_path: Path) -> None:
    assert read_mark(tmp_path / "desk.json") is None


def test_the_digest_minds_values_and_not_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert len({digest(d) for d in ({"a": 1}, {"a": "1"}, {"a": True}, {"a": [1]}, {})}) == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"version": 1}',
        '{"version": 2, "flow": "FW1", "revision": 1, "sha256": "x"}',
        '{"version": 1, "flow": "FW1", "revision": true, "sha256": "x"}',
        '{"version": 1, "flow": "FW1", "revision": "1", "sha256": "x"}',
        '{"version": 1, "flow": 1, "revision": 1, "sha256": "x"}',
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
