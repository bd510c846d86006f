"""Exploration: inputs turned out of conditions, coverage without anything written by hand, scripts that hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.studio.conditions import evaluate
from studio_relay.studio.explore import explore
from studio_relay.studio.flow import Condition, load_flow
from studio_relay.studio.inputs import origins_of, pools_of, put, sample_of, values_for
from studio_relay.studio.widgets import catalog


@given(st.sampled_from(catalog().condition_types), st.text(max_size=20))
def test_a_value_for_a_condition_makes_it_hold(kind: str, value: str) -> None:
    for made in values_for(Condition(type=kind, value=value)):
        assert evaluate(kind, made, value).holds


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("equal_to", "yes"),
        ("not_equal_to", "yes"),
        ("matches_any_of", "1, one"),
        ("does_not_match_any_of", "1, one"),
        ("contains", "agent"),
        ("starts_with", "a"),
        ("is_blank", "Is Blank"),
        ("is_not_blank", "Is Not Blank"),
        ("less_than", "3"),
        ("greater_than", "3"),
        ("is_before_time", "09:00"),
        ("is_after_date", "2026-12-24"),
        ("regex", r"(yes|si)\.?"),
    ],
)
def test_common_conditions_are_turned_round(kind: str, value: str) -> None:
    assert values_for(Condition(type=kind, value=value))


@pytest.mark.parametrize(
    "pattern", [r"\d{3}-\w+", "^(?=.*a)(?=.*b).*", "[^~]y", "(?:a|b)c+", "(?<n>a)", r"\s?[a-z]{2,}", "x|y"]
)
def test_samples_of_regular_expressions(pattern: str) -> None:
    sample = sample_of(pattern)
    assert sample is not None
    assert evaluate("regex", sample, pattern).holds


def test_no_sample_is_none() -> None:
    assert sample_of("(") is None


def test_a_variable_is_traced_to_where_it_comes_from(kit: Any) -> None:
    parse = kit.variables("parse", "route", handoff="{{widgets.relay.HandoffData}}", who="{{contact.channel.address}}")
    parse["properties"]["variables"][0]["type"] = "json_object"
    flow = kit.flow(
        kit.state("relay", "run-conversation-relay", {"success": "parse"}, url="wss://x.example"),
        parse,
        kit.split("route", "{{flow.variables.handoff.reasonCode}}", ("equal_to", "person", None), no_match=None),
    )
    origin = ("widgets", "relay", "HandoffData", "reasonCode")
    assert origins_of(flow, "{{flow.variables.handoff.reasonCode}}") == [origin]
    assert origins_of(flow, "{{flow.variables.who}}{{flow.variables.nope}}") == [("call", "From")]
    assert pools_of(flow) == {origin: ["person", "none of these", "0"]}


def test_members_are_made_on_the_way() -> None:
    target: dict[str, Any] = {}
    put(target, ("parsed", "sites", "[0]", "name"), "A")
    put(target, ("parsed", "sites", "[]", "open"), "yes")
    put(target, ("parsed", "count", "size"), "2")
    put(target, ("parsed",), "lost")
    assert target == {"parsed": {"sites": [{"name": "A", "open": "yes"}], "count": ["x", "x"]}}


def winding(kit: Any) -> Any:
    counter = "{% if flow.variables.n %}{{flow.variables.n | plus: 1}}{% else %}1{% endif %}"
    web = {"success": "check", "failed": "sorry"}
    return kit.flow(
        kit.state("menu", "gather-input-on-call", {"keypress": "web", "speech": "words", "timeout": "count"}, say="?"),
        kit.split("words", "{{widgets.menu.SpeechResult}}", ("contains", "help", "person"), no_match="count"),
        kit.variables("count", "again", n=counter),
        kit.split("again", "{{flow.variables.n}}", ("less_than", "3", "menu"), no_match="sorry"),
        kit.state("web", "make-http-request", web, url="https://x.example/{{widgets.menu.Digits}}"),
        kit.split(
            "check",
            "{{widgets.web.parsed.status}}",
            ("equal_to", "ok", "sorry"),
            ("greater_than", "7", "person"),
            no_match="count",
        ),
        kit.state("person", "connect-call-to", {"callCompleted": "dialled", "hangup": None}, noun="number"),
        kit.split("dialled", "{{widgets.person.DialCallStatus}}", ("equal_to", "busy", "sorry"), no_match=None),
        kit.state("sorry", "say-play", {"audioComplete": None}, say="Sorry"),
    )


async def test_every_branch_of_a_winding_flow_is_found(kit: Any) -> None:
    found = await explore(winding(kit))
    assert found.coverage.missed == ()
    assert len(found.calls) < 10


async def test_the_same_seed_finds_the_same_calls(kit: Any) -> None:
    one, two = await explore(winding(kit), seed=5), await explore(winding(kit), seed=5)
    assert one.files("flow.json") == two.files("flow.json")


@pytest.mark.looptime
async def test_the_scripts_hold_when_they_are_run(kit: Any) -> None:
    from studio_relay.studio.simulate import walk
    from studio_relay.testing.caller import ScriptedCaller
    from studio_relay.testing.clock import Clock
    from studio_relay.testing.script import parse_script

    for flow in (winding(kit), load_flow(kit.repo / "studio_flows" / "front_desk.json")):
        found = await explore(flow)
        for call, text in zip(found.calls, found.files("x.json").values(), strict=True):
            script = parse_script(text)
            clock = Clock(speed=1.0)
            again = await walk(flow, call=call.call, caller=ScriptedCaller(script, clock), relay=kit.ended())
            assert again.widgets == call.walk.widgets, text


async def test_the_front_desk_is_covered_without_an_agent(kit: Any) -> None:
    found = await explore(load_flow(kit.repo / "studio_flows" / "front_desk.json"))
    assert found.coverage.percent == 100.0
    assert any("HandoffData" in text for text in found.files("front_desk.json").values())


async def test_a_silent_loop_ends(kit: Any) -> None:
    flow = kit.flow(
        kit.state("a", "gather-input-on-call", {"keypress": "b", "timeout": "b"}, say="?"),
        kit.state("b", "say-play", {"audioComplete": "a"}, say="Again"),
        kit.state("lost", "say-play", {"audioComplete": "a"}),
    )
    found = await explore(flow, max_walks=50)
    assert found.coverage.percent == 100.0
    assert found.calls[0].steps[-1] == "hang_up"


async def test_real_voice_flows_are_covered_to_85_percent(corpus: list[Path]) -> None:
    for path in corpus:
        flow = load_flow(path)
        if len(flow.reachable()) > 1:
            found = await explore(flow)
            assert found.coverage.percent >= 85, (path.name, found.coverage.missed)
