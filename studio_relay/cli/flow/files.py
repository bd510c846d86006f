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


def write_asking(path: Path, text: str, *, yes: bool) -> None:
    """Write the file; one that is there is only overwritten after a yes. Raises NotDone and FlowError."""
    from studio_relay.cli.asking import ask

    if path.exists():
        ask(f"overwrite {path}?", yes=yes, declined=f"{path} is there already, and nothing was written")
    write_result(path, text)
