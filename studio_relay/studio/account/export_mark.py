"""The note beside an exported flow file: which flow and revision it is a copy of; the file itself stays bare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio_relay.errors import FlowError

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExportMark:
    """Where a file came from. `sha256` is the digest of the definition as it was exported."""

    flow_sid: str
    revision: int
    sha256: str


def mark_path(file: Path) -> Path:
    """The note's own file: `NAME.json.revision` beside `NAME.json`."""
    return file.with_name(f"{file.name}.revision")


def digest(definition: Mapping[str, Any]) -> str:
    """What tells two definitions apart whatever the order of their keys: SHA-256, hexadecimal."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_mark(file: Path, *, flow_sid: str, revision: int, definition: Mapping[str, Any]) -> Path:
    """Note beside `file` which revision it holds; returns the note's path. Raises FlowError."""
    from studio_relay.studio.writing import write_atomically

    mark = {"version": _VERSION, "flow": flow_sid, "revision": revision, "sha256": digest(definition)}
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
        raise FlowError(f"{path}: cannot be read: {error}") from None
    mark = _parsed(text)
    if mark is None:
        raise FlowError(
            f"{path}: expected what `flow export` writes: JSON with version {_VERSION}, flow, revision and sha256. "
            "Remove it, or export the flow again."
        )
    return mark


def _parsed(text: str) -> ExportMark | None:
    try:
        table = json.loads(text)
        flow, revision, sha256 = table["flow"], table["revision"], table["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    is_ours = table.get("version") == _VERSION and type(revision) is int
    if not (is_ours and isinstance(flow, str) and isinstance(sha256, str)):
        return None
    return ExportMark(flow_sid=flow, revision=revision, sha256=sha256)
