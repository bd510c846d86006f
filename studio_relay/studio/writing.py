"""Writing a flow file: what would change, line by line, and the change in one step."""

from __future__ import annotations

import difflib
import os
import tempfile
from pathlib import Path

from studio_relay.errors import FlowError


def text_diff(old: str, new: str, name: str) -> str:
    """A unified diff of two texts of the file `name`."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{name} (before)", f"{name} (after)"
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def write_atomically(path: str | Path, text: str) -> None:
    """Write `text` to the file in one step: readers see the old text or the new. Raises FlowError."""
    target = Path(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            temporary = file.name
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, target.stat().st_mode & 0o777 if target.exists() else 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise FlowError(f"{target}: cannot be written: {error.strerror or error}. Nothing was changed.") from None
