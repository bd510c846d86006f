"""`studio-relay plugins`: the list, and new packages that pass their own tests."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest


def pretend_to_install(folder: Path, name: str, kind: str) -> None:
    """What pip would put beside the module: metadata with its entry point."""
    module = "studio_relay_" + name.replace("-", "_")
    info = folder / f"{module}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: studio-relay-{name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[studio_relay.{kind}s]\n{name} = {module}\n")


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(("kind", "option"), [("agent", ()), ("extension", ("--extension",))])
def test_a_new_package_is_found_and_passes_its_test(run: Any, tmp_path: Path, kind: str, option: Any) -> None:
    done = run("plugins", "new", "night-desk", *option)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "studio-relay-night-desk"
    assert "  tests/test_night_desk.py" in done.output
    pretend_to_install(folder, "night-desk", kind)

    listed = json.loads(python(folder, "-m", "studio_relay", "plugins", "list", "--json").stdout)
    found = next(plugin for plugin in listed["plugins"] if plugin["name"] == "night-desk")
    assert (found["kind"], found["package"], found["warnings"]) == (kind, "studio-relay-night-desk", [])
    assert not found["built_in"]

    tested = python(
        folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error", str(folder)
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_the_test_of_a_broken_agent_shows_the_conversation(run: Any, tmp_path: Path) -> None:
    run("plugins", "new", "night-desk")
    folder = tmp_path / "studio-relay-night-desk"
    pretend_to_install(folder, "night-desk", "agent")
    module = folder / "studio_relay_night_desk.py"
    module.write_text(module.read_text().replace("You said: ", "Pardon? "))
    tested = python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder))
    assert tested.returncode == 1
    assert "Pardon? good morning" in tested.stdout


@pytest.mark.parametrize(("kind", "option"), [("agent", ()), ("extension", ("--extension",))])
def test_what_a_new_package_holds(run: Any, tmp_path: Path, kind: str, option: Any) -> None:
    run("plugins", "new", "x1", "--path", str(tmp_path), *option)
    folder = tmp_path / "studio-relay-x1"
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"] == {f"studio_relay.{kind}s": {"x1": "studio_relay_x1"}}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"] == ["studio_relay_x1.py"]
    for file in folder.rglob("*.py"):
        assert ast.get_docstring(ast.parse(file.read_text()))
    assert "$" not in "".join(file.read_text() for file in folder.rglob("*") if file.is_file())
    assert not list(tmp_path.glob(".studio-relay-*"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Night Desk", "did you mean 'night-desk'?"),
        ("../x", "did you mean 'x'?"),
        ("9", "for example 'front-desk'"),
        ("x" * 41, "at most 40 characters"),
        ("studio-relay-desk", "did you mean 'desk'?"),
        ("echo", "the agent 'echo' is installed already"),
        ("x\n", "lower-case words"),
    ],
)
def test_names_that_cannot_be_used(run: Any, tmp_path: Path, name: str, message: str) -> None:
    done = run("plugins", "new", name)
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(run: Any, tmp_path: Path) -> None:
    (tmp_path / "studio-relay-mine").mkdir()
    done = run("plugins", "new", "mine")
    assert done.exit_code == 2
    assert "is there already" in done.stderr
    assert list((tmp_path / "studio-relay-mine").iterdir()) == []


def test_a_folder_that_is_not_there(run: Any) -> None:
    done = run("plugins", "new", "mine", "--path", "nowhere")
    assert done.exit_code == 2
    assert "nowhere is no folder" in done.stderr


def test_the_list(run: Any) -> None:
    done = run("plugins", "list")
    assert done.exit_code == 0
    assert "  echo  (built in)\n    hooks: on_dtmf, on_prompt" in done.output
    assert "extensions: none" in done.output
    report = json.loads(run("plugins", "list", "--json").stdout)
    assert list(report) == ["version", "ok", "plugins", "failures"]
    assert {plugin["name"] for plugin in report["plugins"]} == {"echo", "scripted"}


def test_what_cannot_be_loaded_is_listed_and_1(run: Any, tmp_path: Path) -> None:
    run("plugins", "new", "night-desk")
    folder = tmp_path / "studio-relay-night-desk"
    pretend_to_install(folder, "night-desk", "agent")
    (folder / "studio_relay_night_desk.py").write_text("import nothing_of_that_name")
    done = python(folder, "-m", "studio_relay", "plugins", "list")
    assert done.returncode == 1
    assert "night-desk  (agent of studio-relay-night-desk)" in done.stdout
    assert "No module named 'nothing_of_that_name'" in done.stdout
