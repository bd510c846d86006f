"""`studio-relay flow explore`: scripts that `flow test` acts out, and that are never overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_what_is_found_is_a_suite(run: Any, flow: Any, tmp_path: Path) -> None:
    path = flow(name="flows/talk.json")
    done = run("flow", "explore", str(path), "--out", "scripts/new")
    assert done.exit_code == 0, done.output
    assert "5 of 5 transitions (100 %)" in done.output
    scripts = sorted((tmp_path / "scripts" / "new").iterdir())
    assert scripts
    assert all("flow: ../../flows/talk.json" in script.read_text() for script in scripts)
    tested = run("flow", "test", "scripts", "--min-coverage", "100")
    assert tested.exit_code == 0, tested.output


def test_without_a_folder_nothing_is_written(run: Any, flow: Any, files: Any) -> None:
    path = flow()
    before = files()
    done = run("flow", "explore", str(path), "--json")
    report = json.loads(done.stdout)
    assert (report["version"], report["ok"], report["flow"]) == (1, True, "talk.json")
    assert report["coverage"]["transitions"]["covered"] == 5
    assert all(call["path"][0] == "Trigger" for call in report["calls"])
    assert files() == before


def test_the_same_again_changes_nothing_and_a_changed_script_is_kept(
    run: Any, flow: Any, files: Any, tmp_path: Path
) -> None:
    arguments = ["explore", str(flow()), "--out", "out"]
    run("flow", *arguments)
    before = files()
    assert run("flow", *arguments).exit_code == 0
    assert files() == before
    first, *others = sorted((tmp_path / "out").iterdir())
    first.write_text(first.read_text() + "# mine\n")
    for other in others:
        other.unlink()
    before = files()
    done = run("flow", *arguments)
    assert done.exit_code == 2
    assert first.name in done.stderr
    assert "nothing was written" in done.stderr
    assert files() == before


@pytest.mark.parametrize("columns", [60, 100])
def test_no_line_is_wider_than_the_terminal(run: Any, flow: Any, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("flow", "explore", str(flow()), "--max-walks", "1")
    assert max(map(len, done.output.splitlines())) <= columns
    assert "not found: " in done.output
