"""`flow show`, `flow diagram`, `flow diff`: what they print, what they write, how they exit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_show_fits_the_terminal(run: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("flow", "show", str(kit.repo / "studio_flows" / "front_desk.json"))
    assert done.exit_code == 0
    assert "relay [run-" in done.output
    assert max(map(len, done.output.splitlines())) <= columns


def test_show_as_json_lists_widgets_and_ways(run: Any, flow: Any) -> None:
    report = json.loads(run("flow", "show", "--json", str(flow())).stdout)
    relay = next(widget for widget in report["widgets"] if widget["widget"] == "relay")
    assert relay == {
        "widget": "relay",
        "type": "run-conversation-relay",
        "reachable": True,
        "transitions": [{"event": "success", "next": "bye"}, {"event": "failed", "next": "sorry"}],
    }


def test_one_of_several_flows_is_selected(run: Any, flow: Any, kit: Any) -> None:
    page = {"flows": [{"friendly_name": name, "definition": kit.talk()} for name in ("one", "two")]}
    path = str(flow(page))
    assert "Say which one" in run("flow", "show", path).stderr
    assert run("flow", "show", path, "--select", "two").exit_code == 0


def test_diagrams_by_format_and_by_suffix(run: Any, flow: Any, tmp_path: Path) -> None:
    path = str(flow())
    assert ElementTree.fromstring(run("flow", "diagram", path).stdout).tag.endswith("svg")
    assert run("flow", "diagram", path, "--format", "mermaid").stdout.startswith("flowchart TD")
    for name, start in (("a.svg", "<svg"), ("a.mmd", "flowchart"), ("a.md", "```mermaid\nflowchart")):
        assert run("flow", "diagram", path, "-o", name).exit_code == 0
        assert (tmp_path / name).read_text().startswith(start)
    canvas = run("flow", "diagram", path, "--layout", "canvas").stdout
    assert canvas != run("flow", "diagram", path).stdout
    assert run("flow", "diagram", path, "--format", "mermaid", "--layout", "canvas").exit_code == 2


def test_a_diagram_never_takes_the_place_of_its_flow(run: Any, flow: Any, files: Any) -> None:
    path = str(flow())
    before = files()
    done = run("flow", "diagram", path, "-o", path)
    assert done.exit_code == 2
    assert "is what was read here" in done.stderr
    assert files() == before


def test_an_unwritable_place_is_said(run: Any, flow: Any) -> None:
    done = run("flow", "diagram", str(flow()), "-o", "nowhere/a.svg")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


def test_no_difference_is_0_and_places_are_none(run: Any, flow: Any, kit: Any) -> None:
    moved = kit.talk()
    moved["states"][1]["properties"]["offset"] = {"x": 900, "y": 900}
    done = run("flow", "diff", str(flow()), str(flow(moved, "moved.json")))
    assert (done.exit_code, done.output) == (0, "no change in behaviour\n")


def test_a_difference_is_1_and_said_in_words(run: Any, flow: Any, kit: Any) -> None:
    other = kit.talk()
    other["states"][2]["transitions"][1]["next"] = "bye"
    arguments = ["diff", str(flow()), str(flow(other, "other.json"))]
    done = run("flow", *arguments)
    assert done.exit_code == 1
    assert done.output == "relay\n  on 'failed' it goes to 'bye'; before it went to 'sorry'\n1 change\n"
    report = json.loads(run("flow", *arguments, "--json").stdout)
    assert (report["version"], report["ok"], report["changes"][0]["widget"]) == (1, False, "relay")
