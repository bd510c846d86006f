"""Imports point one way, and what is imported where stays light; both stated as data."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import studio_relay

ROOT = Path(studio_relay.__file__).parent

# What each part of the package may import of the others, besides itself; "*" is anything but `cli`.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "protocol": {"errors"},
    "settings": {"errors", "protocol"},
    "handoff": {"errors", "protocol"},
    "recording": {"errors", "protocol"},
    "store": {"errors", "protocol", "sqlite_store"},
    "sqlite_store": {"errors", "protocol", "store"},
    "log": {"errors"},
    "hookspecs": set(),
    "watchdog": {"errors"},
    "studio": {"errors", "handoff"},
    "call": {"errors", "protocol"},
    "plugins": {"errors", "handoff", "hookspecs"},
    "blame": {"errors", "plugins"},
    "hooks": {"errors", "blame", "plugins"},
    "story": {"call"},
    "metrics": {"story"},
    "watching": {"errors", "blame", "call", "hooks", "plugins", "story"},
    "listening": {"errors", "progress", "protocol"},
    "progress": {"protocol"},
    "call_state": {"errors", "call", "store"},
    "keeping": {"call", "call_state", "memory"},
    "wrapping": {"errors", "call", "hooks", "plugins"},
    "voice": {"errors", "progress", "protocol", "hooks", "plugins", "wrapping"},
    "replies": {"errors", "blame", "hooks", "plugins", "voice"},
    "floor": {"replies"},
    "turn_taking": {"protocol"},
    "ticket": {"protocol"},
    "memory": {"log", "errors", "protocol", "call", "store"},
    "dispatch": {
        "errors", "blame", "protocol", "call", "floor", "handoff", "keeping", "listening", "memory", "plugins", "hooks",
        "progress", "replies", "settings", "store", "ticket", "voice", "watching", "wrapping", "log", "story",
        "turn_taking",
    },
    "registry": {"errors", "protocol", "call", "dispatch"},
    "testing": {"*"},
    "cli": {"*", "cli"},
    "__main__": {"cli"},
}  # fmt: skip

HEAVY = {
    "quart",
    "asyncio",
    "pluggy",
    "twilio",
    "liquid",
    "yaml",
    "httpx",
    "rich",
    "websockets",
    "hypercorn",
    "pydantic",
}


def parts() -> Iterator[str]:
    for path in sorted(ROOT.iterdir()):
        if path.suffix == ".py" or (path / "__init__.py").exists():
            yield path.stem


def files(part: str) -> list[Path]:
    return sorted((ROOT / part).rglob("*.py")) if (ROOT / part).is_dir() else [ROOT / f"{part}.py"]


def imported_parts(path: Path) -> Iterator[tuple[str, int]]:
    """The parts of our package that a file imports when it runs, inside functions too; types do not count."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            names = [f"{module}.{a.name}" if module == "studio_relay" else module for a in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "studio_relay" and rest:
                yield rest.partition(".")[0], node.lineno


def test_imports_are_absolute() -> None:
    for path in ROOT.rglob("*.py"):
        relative = [
            n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.level
        ]
        assert not relative, f"{path.relative_to(ROOT)} imports relatively in lines {relative}"


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_point_one_way(part: str) -> None:
    allowed = MAY_IMPORT[part] | {part}
    public = set(studio_relay.__all__) | {"__version__"}
    for path in files(part):
        for name, line in imported_parts(path) if path.exists() else ():
            fine = name in allowed or name in public or ("*" in allowed and name != "cli")
            assert fine, f"{path.relative_to(ROOT)}:{line}: {part} must not import {name}"


@pytest.mark.parametrize("part", sorted(set(parts()) - {"cli", "__main__", "testing", "demo"}))
def test_only_the_command_line_imports_cli_and_testing(part: str) -> None:
    for path in files(part):
        for name, line in imported_parts(path):
            assert name not in ("cli", "testing"), f"{path.relative_to(ROOT)}:{line}: {part} must not import {name}"


@pytest.mark.parametrize("part", ["agents"])
def test_what_is_built_in_sees_what_anybody_sees(part: str) -> None:
    allowed = set(studio_relay.__all__) | {
        part,
        "handoff",
    }  # its model is public, and rules in a file are checked by it
    for path in files(part):
        for name, line in imported_parts(path):
            assert name in allowed, f"{path.relative_to(ROOT)}:{line}: {part} uses public names only, found {name}"


def loaded_by(statement: str) -> set[str]:
    """The top-level modules a fresh interpreter has after `statement`."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import studio_relay", HEAVY | {"msgspec"}),
        ("import studio_relay.errors", HEAVY | {"msgspec"}),
        ("import studio_relay.protocol", HEAVY),
        ("import studio_relay.protocol.session", HEAVY),
        ("import studio_relay.protocol.parsing", HEAVY),
        ("import studio_relay.protocol.messages", HEAVY),
        ("import studio_relay.protocol.transcript", HEAVY),
        ("from studio_relay import hookimpl, Handoff, Call", HEAVY - {"pluggy", "pydantic", "asyncio"}),
        ("import studio_relay.dispatch", HEAVY - {"pluggy", "pydantic", "asyncio"}),
        ("import studio_relay.testing", {"quart", "twilio", "liquid", "httpx", "rich", "websockets", "hypercorn"}),
    ],
)
def test_what_is_light_stays_light(statement: str, absent: set[str]) -> None:
    assert loaded_by(statement) & absent == set()
