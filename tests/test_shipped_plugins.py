"""Each folder in `plugins/` is a package as a plugin author would write one."""

from __future__ import annotations

import ast
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from studio_relay.plugins import GROUPS, load_plugins

REPO = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in REPO.glob("plugins/*/pyproject.toml"))
ALLOWED_IN_TESTS = ("studio_relay.testing", "studio_relay.settings", "studio_relay.studio.flow")

every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def project_of(folder: Path) -> dict[str, Any]:
    """The whole pyproject of a folder."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def entries_of(folder: Path) -> dict[str, str]:
    """The entry points of a folder, by name."""
    groups: dict[str, dict[str, str]] = project_of(folder)["project"].get("entry-points", {})
    assert set(groups) <= set(GROUPS.values())
    return {name: value for group in groups.values() for name, value in group.items()}


def test_there_are_two() -> None:
    assert {folder.name for folder in FOLDERS} == {"studio-relay-hello", "studio-relay-front-desk"}


def test_no_folder_is_anything_else() -> None:
    assert {path for path in REPO.glob("plugins/*") if path.is_dir()} - set(FOLDERS) == set()


@every_folder
def test_it_is_named_after_what_it_offers(folder: Path) -> None:
    project = project_of(folder)["project"]
    assert project["name"] == folder.name
    name = folder.name.removeprefix("studio-relay-")
    module = f"studio_relay_{name.replace('-', '_')}"
    assert list(entries_of(folder)) == [name]
    assert entries_of(folder)[name].partition(":")[0] == module
    assert (folder / f"{module}.py").exists() or (folder / module / "__init__.py").exists()


@every_folder
def test_it_says_what_it_needs(folder: Path) -> None:
    whole = project_of(folder)
    assert any(line.startswith("studio-relay>=") for line in whole["project"]["dependencies"])
    assert whole["project"]["requires-python"] == ">=3.11"
    assert whole["tool"]["uv"]["sources"]["studio-relay"] == {"workspace": True}


@every_folder
def test_it_has_a_readme_and_tests(folder: Path) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {folder.name}\n")
    name = folder.name.removeprefix("studio-relay-").replace("-", "_")
    assert (folder / "tests" / f"test_{name}.py").exists()


@every_folder
def test_its_tests_use_public_names_only(folder: Path) -> None:
    own = f"studio_relay_{folder.name.removeprefix('studio-relay-').replace('-', '_')}"
    for path in folder.glob("tests/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("studio_relay"):
                module = node.module or ""
                assert module == "studio_relay" or module.startswith((*ALLOWED_IN_TESTS, own)), (path.name, module)


@pytest.mark.outside_plugins
@every_folder
def test_it_is_installed_and_loads_without_a_warning(folder: Path) -> None:
    names = set(entries_of(folder))
    installed = {entry.name for group in GROUPS.values() for entry in entry_points(group=group)}
    assert names <= installed, "run `uv sync`, or pip install -e the folder"
    plugins = load_plugins(only=names)
    assert not plugins.failures
    loaded = [plugin for plugin in (*plugins.agents.values(), *plugins.extensions) if plugin.package == folder.name]
    assert {plugin.name for plugin in loaded} == names
    assert [plugin.warnings for plugin in loaded] == [()] * len(loaded)


@pytest.mark.outside_plugins
@every_folder
def test_its_settings_are_documented(folder: Path) -> None:
    from pydantic_settings import BaseSettings

    readme = (folder / "README.md").read_text(encoding="utf-8")
    load_plugins(only=entries_of(folder))
    own = f"studio_relay_{folder.name.removeprefix('studio-relay-').replace('-', '_')}"
    for model in BaseSettings.__subclasses__():
        if model.__module__.startswith(own):
            for name in model.model_fields:
                assert f"`{model.model_config['env_prefix']}{name.upper()}`" in readme
