"""Files that flow commands write: in one step, and never over a file they have just read or were not told to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from studio_relay.errors import FlowError


def write_result(path: Path, text: str, *, inputs: Iterable[Path] = ()) -> None:
    """Write what a command made to the file the user named. Raises FlowError, and then nothing was changed."""
    from studio_relay.studio.writing import write_atomically

    for source in inputs:
        if path.exists() and source.exists() and path.samefile(source):
            raise FlowError(f"{path}: is what was read here; name another file. Nothing was changed.")
    write_atomically(path, text)
