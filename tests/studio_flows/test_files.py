"""The files of the shipped flows agree with each other: shapes, diagrams, maps, agents, guide."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import Any

import pytest
from cogapp import Cog
from flow_parts import FLOWS, NAMES, generated, relays

from studio_relay.agents.scripted import Rule, load_rules
from studio_relay.handoff import SERVER_CODES
from studio_relay.studio.explore import explore
from studio_relay.studio.flow import load_flow
from studio_relay.studio.handoff import compare, facts_of
from studio_relay.studio.lint import lint_file
from studio_relay.studio.subject import AgentFacts
from studio_relay.studio.value_map import apply_map, load_map

each_flow = pytest.mark.parametrize("name", NAMES)
each_shape = pytest.mark.parametrize("file", [f"{name}{end}" for name in NAMES for end in (".json", ".redirect.json")])
PLACEHOLDERS = ("example.com", "0" * 32, "+15550100009")


def test_all_six_are_here() -> None:
    assert set(NAMES) >= {
        "front-desk-to-flex",
        "hours-holiday-emergency",
        "relay-with-retry",
        "after-hours-message",
        "two-languages",
        "verify-then-talk",
    }


@each_flow
def test_the_redirect_shape_and_the_diagram_are_made_of_the_flow_as_it_is(name: str) -> None:
    for path, text in generated(name).items():
        assert path.read_text(encoding="utf-8") == text, "run: uv run python tests/studio_flows/flow_parts.py"


@each_flow
def test_the_diagram_names_every_widget(name: str) -> None:
    drawn = (FLOWS / f"{name}.svg").read_text(encoding="utf-8")
    assert all(f">{widget}<" in drawn for widget in load_flow(FLOWS / f"{name}.json").states)


@each_shape
def test_it_opens_with_a_few_words_of_its_own_and_lints_clean(file: str) -> None:
    flow = load_flow(FLOWS / file)
    first = flow.widget(flow.trigger.on("incomingCall")[0].next or "")
    assert first.type == "say-play"
    assert 1 <= len(first.text("say").split()) <= 10
    assert [str(finding) for finding in lint_file(FLOWS / file).findings] == []


@each_shape
def test_the_map_names_every_placeholder(file: str) -> None:
    values = load_map(FLOWS / f"{file.split('.')[0]}.map.toml")
    made, unused = apply_map(load_flow(FLOWS / file).definition, values)
    assert unused == []
    assert [word for word in PLACEHOLDERS if word in json.dumps(made)] == []


@each_flow
def test_agent_and_flow_agree_about_every_reason_code(name: str) -> None:
    assert compare(load_flow(FLOWS / f"{name}.json"), answering(name)) == ()


def answering(name: str) -> AgentFacts:
    """What the agent of a flow hands over."""
    if name == "front-desk-to-flex":
        front_desk = pytest.importorskip("studio_relay_front_desk.agent", reason="the plugin front-desk is not there")
        return facts_of(front_desk.FrontDeskHandoff)
    handoffs = list(_handoffs(load_rules(FLOWS / "agents" / f"{name}.yaml").rules))
    members = {member for handoff in handoffs for member in handoff} | {"reasonCode", "version", "summary"}
    codes = frozenset(str(handoff["reasonCode"]) for handoff in handoffs) | frozenset(SERVER_CODES)
    return AgentFacts(name=name, codes=codes, members=frozenset(members))


def _handoffs(rules: tuple[Rule, ...]) -> Any:
    for rule in rules:
        yield from [rule.handoff] if rule.handoff else []
        yield from _handoffs(rule.then)


@each_flow
def test_every_relay_names_the_agent_that_the_scripts_are_for(name: str) -> None:
    agent = "front-desk" if name == "front-desk-to-flex" else "scripted"
    urls = {widget.text("url") for widget in relays(load_flow(FLOWS / f"{name}.json"))}
    assert urls == {f"wss://relay.example.com/relay/{agent}"}


@each_flow
async def test_exploring_covers_it_without_a_script(name: str) -> None:
    found = await explore(load_flow(FLOWS / f"{name}.json"))
    assert found.coverage.missed == ()


def test_the_guide_is_up_to_date() -> None:
    said = io.StringIO()
    with redirect_stdout(said):
        page = str(FLOWS / "README.md")
        failed = Cog().main(["cog", "--check", "--diff", "-I", str(FLOWS.parent / "tests" / "studio_flows"), page])
    assert not failed, f"run: uv run cog -r -I tests/studio_flows studio_flows/README.md\n{said.getvalue()}"


def test_the_guide_has_a_section_on_each_flow() -> None:
    guide = (FLOWS / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"\n### `{name}.json`\n" not in guide] == []
