"""Finds the flow files that a user means by files and folders; reads none of them as a flow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from studio_relay.errors import FlowError
from studio_relay.studio.document import MAX_FLOW_BYTES

_SKIPPED = ("node_modules", "__pycache__")
_MARK = b"initial_state"


def flow_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files among `paths`, and every `.json` file below the folders that speaks of an `initial_state`.

    Hidden folders are left out. Raises FlowError for a path that is not there, and where no flow is found at all.
    """
    paths = list(paths)
    found = dict.fromkeys(file for path in paths for file in _files(path))
    if not found:
        raise FlowError(f"{', '.join(map(str, paths))}: no flow there: no .json file that names an `initial_state`.")
    return tuple(found)


def files_below(folder: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    """The files of these suffixes in `folder` and below, sorted; nothing hidden."""
    wanted = tuple(suffixes)
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(names):
            if name.endswith(wanted) and not name.startswith("."):
                yield Path(place) / name


def looks_like_flow(path: Path) -> bool:
    """Whether a JSON file found in a folder is to be taken for a flow, broken or not."""
    with path.open("rb") as file:
        return _MARK in file.read(MAX_FLOW_BYTES)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file for file in files_below(path, (".json",)) if looks_like_flow(file))
    elif path.exists():
        yield path
    else:
        raise FlowError(f"{path}: there is no such file or folder.")
