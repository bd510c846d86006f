"""Each shipped flow in both shapes: scripts hold, both shapes tell one story, and no transition is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flow_parts import FLOWS, NAMES, script_paths

from studio_relay.studio.coverage import coverage

SHARED = [(name, path) for name in NAMES for path in sorted((FLOWS / "scripts" / name).glob("*.yaml"))]
SHAPES = ("widget", "redirect")


@pytest.mark.parametrize(("name", "path"), SHARED, ids=[f"{name}/{path.stem}" for name, path in SHARED])
def test_the_script_holds_in_both_shapes_and_they_tell_one_story(kit: Any, name: str, path: Path) -> None:
    stories = []
    for shape in SHAPES:
        played = kit.play(kit.flow(name, shape), kit.load_script(path))
        assert [check for check in played.checks if not check.ok] == [], (shape, played.walk.widgets, played.turns)
        assert played.warnings == [], shape
        stories.append(played.story)
    assert stories[0] == stories[1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_the_scripts_take_every_transition(kit: Any, name: str, shape: str) -> None:
    flow = kit.flow(name, shape)
    walks = []
    for path in script_paths(name):
        if shape == "redirect" or path.parent.name == name:
            played = kit.play(flow, kit.load_script(path))
            assert [check for check in played.checks if not check.ok] == [], (path.name, played.walk.widgets)
            walks.append(played.walk)
    covered = coverage(flow, walks)
    assert covered.missed == ()
    assert covered.entered == covered.widgets == flow.states.keys()


def test_each_script_names_the_flow_it_stands_with(kit: Any) -> None:
    for name in NAMES:
        for path in script_paths(name):
            wanted = kit.load_script(path).flow_path
            assert wanted is not None
            assert wanted.resolve() == FLOWS / f"{path.parent.name}.json", path.name


def test_a_parameter_reaches_the_agent_and_the_keys_do_not(kit: Any) -> None:
    script = kit.load_script(FLOWS / "scripts" / "verify-then-talk" / "done.yaml")
    for shape in SHAPES:
        (session,) = kit.play(kit.flow("verify-then-talk", shape), script).sessions
        parameters = session.call.attributes.parameters
        assert (parameters["verified"], parameters["customer"]) == ("yes", "C-7")
        assert "123456" not in str(session.call.log)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "language"), [("english_by_key", "en-US"), ("spanish_by_key", "es-US")])
def test_the_relay_listens_and_speaks_in_the_chosen_language(kit: Any, shape: str, name: str, language: str) -> None:
    script = kit.load_script(FLOWS / "scripts" / "two-languages" / f"{name}.yaml")
    (session,) = kit.play(kit.flow("two-languages", shape), script).sessions
    assert session.call.attributes.language == language
    prompts = [line["frame"] for line in session.call.log if line.get("frame", {}).get("type") == "prompt"]
    assert prompts
    assert {prompt["lang"] for prompt in prompts} == {language}
