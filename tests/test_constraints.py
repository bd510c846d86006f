"""The versions that pip and uv are held to are the same, and name no registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

REPO = Path(__file__).parents[1]


def pins_of_pip() -> list[str]:
    """The lines of constraints.txt that are no comments."""
    lines = (REPO / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_pip_and_uv_are_held_to_the_same_versions() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["uv"]["constraint-dependencies"] == pins_of_pip()


def test_every_line_is_a_name_and_a_version() -> None:
    pins = pins_of_pip()
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9A-Za-z.]*", pin)] == []
    assert pins == sorted(set(pins), key=lambda pin: pin.partition("==")[0])


def test_every_dependency_of_ours_is_held() -> None:
    held = {pin.partition("==")[0] for pin in pins_of_pip()}
    wanted: set[str] = set()
    for path in (REPO / "pyproject.toml", *REPO.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {}).values()
        for requirement in (*project["dependencies"], *(line for extra in extras for line in extra)):
            name = re.match(r"[A-Za-z0-9-]+", requirement)
            assert name is not None
            wanted.add(name[0].lower())
    ours = {"studio-relay"}
    assert wanted - held - ours == set()
