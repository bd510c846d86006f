"""The flows in `studio_flows`, walked with a relay that answers from a table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from studio_relay.studio.coverage import coverage
from studio_relay.studio.flow import Flow, load_flow
from studio_relay.studio.lint import lint_file, rule_table
from studio_relay.studio.widgets import facts

PERSON = {"person": {"event": "callCompleted", "DialCallStatus": "completed"}}
ROUTES = {
    "person": ["has_handoff", "parse", "route", "person"],
    "callback": ["has_handoff", "parse", "route", "goodbye"],
    "done": ["has_handoff", "parse", "route", "goodbye"],
    "relay-agent-failed": ["has_handoff", "parse", "route", "sorry", "person"],
    "something-new": ["has_handoff", "parse", "route", "goodbye"],
    None: ["has_handoff", "goodbye"],
}


@pytest.fixture
def front_desk(kit: Any) -> Flow:
    return load_flow(kit.repo / "studio_flows" / "front_desk.json")


def test_the_demo_ships_the_same_flow_and_a_script(kit: Any, front_desk: Flow) -> None:
    demo = kit.repo / "studio_relay" / "demo"
    assert (demo / "flow.json").read_text(encoding="utf-8") == front_desk.to_text()
    assert (demo / "script.yaml").is_file()


@pytest.mark.parametrize("code", ROUTES)
async def test_each_reason_takes_its_branch(run: Any, kit: Any, front_desk: Flow, code: str | None) -> None:
    handoff = None if code is None else json.dumps({"reasonCode": code, "version": 1, "summary": 'a "quoted" one'})
    result = await run(front_desk, relay=kit.ended(handoff), caller=kit.Caller(answers=PERSON))
    assert list(result.widgets) == ["Trigger", "welcome", "relay", *ROUTES[code]]
    assert result.warnings == ()


async def test_an_outage_ends_with_a_person_and_a_hang_up_with_nothing(run: Any, kit: Any, front_desk: Flow) -> None:
    caller = kit.Caller(answers=PERSON)
    failed = await run(front_desk, relay=kit.ended(status="failed"), caller=caller)
    assert list(failed.widgets)[3:] == ["sorry", "person"]
    assert "something went wrong" in caller.heard[-1]
    left = await run(front_desk, relay=kit.ended(status="completed"))
    assert list(left.widgets)[2:] == ["relay"]


async def test_the_routes_cover_the_flow(run: Any, kit: Any, front_desk: Flow) -> None:
    relays = [kit.ended(None if code is None else json.dumps({"reasonCode": code})) for code in ROUTES]
    relays.append(kit.ended(status="failed"))
    walks = [await run(front_desk, relay=relay, caller=kit.Caller(answers=PERSON)) for relay in relays]
    assert coverage(front_desk, walks).missed == ()


def test_each_shipped_flow_uses_known_types_events_and_placeholders_only(kit: Any) -> None:
    for path in sorted((kit.repo / "studio_flows").glob("*.json")):
        for widget in load_flow(path).states.values():
            known = facts(widget.type)
            assert known is not None
            assert {t.event for t in widget.transitions} == set(known.events), (path.name, widget.name)
            assert widget.text("to") in ("", "+15550100009")
            assert widget.text("url") == "" or "example.com" in widget.text("url")


def test_each_shipped_flow_lints_clean(kit: Any) -> None:
    for path in sorted((kit.repo / "studio_flows").glob("*.json")):
        assert [str(finding) for finding in lint_file(path).findings] == []


def test_the_guide_has_the_rule_table_of_this_version(kit: Any) -> None:
    guide = (kit.repo / "studio_flows" / "README.md").read_text(encoding="utf-8")
    assert rule_table() in guide, "run: uv run cog -r -I tests/studio_flows studio_flows/README.md"


def test_the_guide_names_every_script(kit: Any) -> None:
    guide = (kit.repo / "studio_flows" / "README.md").read_text(encoding="utf-8")
    scripts = sorted((kit.repo / "studio_flows" / "scripts").rglob("*.yaml"))
    assert scripts
    assert [path.name for path in scripts if f"`{path.name}`" not in guide] == []
