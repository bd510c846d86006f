"""The note beside an exported flow file: which flow and revision it is a copy of; the file itself stays bare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from studio_relay.errors import FlowError

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExportMark:
    """Which revision a file was made from."""

    flow_sid: str
    revision: int


def mark_path(file: Path) -> Path:
    """The note's own file: `NAME.json.revision` beside `NAME.json`."""
    return file.with_name(f"{file.name}.revision")


def write_mark(file: Path, *, flow_sid: str, revision: int) -> Path:
    """Note beside `file` which revision it holds; returns the note's path. Raises FlowError."""
    from studio_relay.studio.writing import write_atomically

    mark = {"version": _VERSION, "flow": flow_sid, "revision": revision}
    write_atomically(mark_path(file), json.dumps(mark, indent=2) + "\n")
    return mark_path(file)


def read_mark(file: Path) -> ExportMark | None:
    """The note beside `file`, None if there is none. Raises FlowError if it is no such note."""
    path = mark_path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise FlowError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    mark = _parsed(text)
    if mark is None:
        raise FlowError(
            f"{path}: expected what `flow export` writes: JSON with version {_VERSION}, flow and revision. "
            "Remove it, or export the flow again."
        )
    return mark


def _parsed(text: str) -> ExportMark | None:
    try:
        table = json.loads(text)
        flow, revision = table["flow"], table["revision"]
    except (ValueError, KeyError, TypeError):
        return None
    is_ours = table.get("version") == _VERSION and type(revision) is int
    return ExportMark(flow_sid=flow, revision=revision) if is_ours and isinstance(flow, str) else None
