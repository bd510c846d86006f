"""Makes the folder of a new plugin out of the files in `templates/`; installs nothing."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from string import Template

from studio_relay import __version__
from studio_relay.errors import PluginError
from studio_relay.plugins import GROUPS, Kind

MAX_NAME = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TEMPLATES = Path(__file__).parent / "templates"


def create(name: str, kind: Kind, parent: Path) -> Path:
    """Make `studio-relay-NAME` in `parent`, wholly or not at all; returns the folder.

    Raises PluginError for a name that cannot be used, and for a folder that is there already.
    """
    _check(name, kind)
    folder = parent / f"studio-relay-{name}"
    if folder.exists() or folder.is_symlink():
        raise PluginError(f"{folder} is there already and nothing is overwritten; choose another name or --path")
    if not parent.is_dir():
        raise PluginError(f"{parent} is no folder; make it first, or choose another --path")
    staging = Path(tempfile.mkdtemp(prefix=".studio-relay-", dir=parent))
    try:
        for target, text in _files(name, kind):
            (staging / target).parent.mkdir(parents=True, exist_ok=True)
            (staging / target).write_text(text, encoding="utf-8")
        staging.chmod(0o755)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _check(name: str, kind: Kind) -> None:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        nearest = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_NAME].strip("-")
        hint = f"; did you mean {nearest!r}?" if _NAME.fullmatch(nearest) else "; for example 'front-desk'"
        raise PluginError(
            f"a name is lower-case words with dashes, at most {MAX_NAME} characters, found {name!r}{hint}"
        )
    if name.startswith("studio-relay-"):
        short = name.removeprefix("studio-relay-")
        raise PluginError(f"the folder will be called studio-relay-... anyway; did you mean {short!r}?")
    if name in {entry.name for entry in entry_points(group=GROUPS[kind])}:
        raise PluginError(
            f"the {kind} {name!r} is installed already, and no server starts with two; choose another name"
        )


def _files(name: str, kind: Kind) -> Iterator[tuple[Path, str]]:
    """Each file's place in the new folder, and its text."""
    module = "studio_relay_" + name.replace("-", "_")
    words = {
        "name": name,
        "kind": kind,
        "module": module,
        "Title": "".join(part.capitalize() for part in name.split("-")),
        "group": GROUPS[kind],
        "core": ".".join(__version__.split(".")[:2]),
    }
    places = {
        f"{kind}.py.txt": Path(f"{module}.py"),
        f"{kind}_test.py.txt": Path("tests") / f"test_{module.removeprefix('studio_relay_')}.py",
        f"{kind}_readme.md.txt": Path("README.md"),
        "pyproject.toml.txt": Path("pyproject.toml"),
    }
    for template, place in places.items():
        yield place, Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)
