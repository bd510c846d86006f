"""The model: what it holds, and how it refuses what is not whole."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import FlowError
from studio_relay.studio.document import read_document
from studio_relay.studio.flow import Condition, Transition, build_flow, load_flow, parse_flow


def test_the_model_holds_widgets_in_file_order(kit: Any) -> None:
    flow = kit.flow(
        kit.split("menu", "{{x}}", ("equal_to", "1", "hello"), ("contains", "a", None), no_match=None),
        kit.state("hello", "say-play", {"audioComplete": None}, say="Hello"),
    )
    assert list(flow.states) == ["Trigger", "menu", "hello"]
    assert flow.trigger.name == "Trigger" == flow.initial_state
    assert flow.widget("menu").path == "#/states/1"
    first, second = flow.widget("menu").on("match")
    assert first == Transition(
        event="match",
        next="hello",
        position=1,
        conditions=(Condition(type="equal_to", arguments=("{{x}}",), value="1", friendly_name="equal_to 1"),),
    )
    assert (second.index, second.position, second.next) == (1, 2, None)


def test_reachable_follows_the_start_event_only(kit: Any) -> None:
    flow = kit.flow(
        kit.state("a", "say-play", {"audioComplete": "b"}),
        kit.state("b", "say-play", {"audioComplete": "a"}),
        kit.state("lost", "say-play", {"audioComplete": None}),
    )
    assert flow.reachable() == ("Trigger", "a", "b")
    assert flow.reachable("incomingMessage") == ("Trigger",)


def test_an_unknown_widget_is_refused_with_a_suggestion(kit: Any) -> None:
    with pytest.raises(FlowError, match=r"no widget 'welcom'\. Did you mean 'welcome'\?"):
        kit.flow(kit.state("welcome", "say-play")).widget("welcom")


def broken(change: Any) -> str:
    base: dict[str, Any] = {
        "states": [
            {"name": "Trigger", "type": "trigger", "transitions": [{"event": "incomingCall", "next": "a"}]},
            {"name": "a", "type": "split-based-on", "transitions": [], "properties": {"input": "x"}},
        ],
        "initial_state": "Trigger",
    }
    change(base)
    return json.dumps(base)


BREAKS = {
    "no states": (lambda d: d.pop("states"), "#/states: expected a list"),
    "states empty": (lambda d: d.update(states=[]), "#/states: expected a list"),
    "states object": (lambda d: d.update(states={}), "#/states: expected a list"),
    "no initial": (lambda d: d.pop("initial_state"), "#/initial_state: expected the name"),
    "bad initial": (lambda d: d.update(initial_state="trigger"), "Did you mean 'Trigger'?"),
    "state text": (lambda d: d["states"].append("x"), "#/states/2: expected an object"),
    "no name": (lambda d: d["states"][1].pop("name"), "#/states/1/name: expected the widget's name"),
    "no type": (lambda d: d["states"][1].pop("type"), "#/states/1/type: expected the type"),
    "no transitions": (lambda d: d["states"][1].pop("transitions"), "#/states/1/transitions: expected"),
    "bad properties": (lambda d: d["states"][1].update(properties=[]), "#/states/1/properties: expected"),
    "no event": (lambda d: d["states"][0]["transitions"][0].pop("event"), "transitions/0/event: expected"),
    "next number": (lambda d: d["states"][0]["transitions"][0].update(next=1), "transitions/0/next: expected"),
    "dangling": (lambda d: d["states"][0]["transitions"][0].update(next="aa"), "goes on 'incomingCall' to 'aa'"),
    "twice": (lambda d: d["states"].append(d["states"][1]), "two widgets are called 'a'"),
    "conditions": (
        lambda d: d["states"][1]["transitions"].append({"event": "match", "conditions": {}}) or None,
        "",
    ),
    "condition": (
        lambda d: d["states"][1]["transitions"].append({"event": "match", "conditions": [{"value": "x"}]}),
        "conditions/0: expected a condition",
    ),
    "arguments": (
        lambda d: d["states"][1]["transitions"].append(
            {"event": "match", "conditions": [{"type": "equal_to", "arguments": "x"}]}
        ),
        "conditions/0/arguments: expected a list of strings",
    ),
}


@pytest.mark.parametrize("what", [name for name in BREAKS if name != "conditions"])
def test_a_missing_piece_is_named_with_its_path(what: str) -> None:
    change, words = BREAKS[what]
    with pytest.raises(FlowError) as refusal:
        parse_flow(broken(change), name="broken.json")
    assert words in str(refusal.value)
    assert str(refusal.value).startswith("broken.json: ")


@pytest.mark.parametrize("what", BREAKS)
def test_a_lenient_model_leaves_out_what_it_cannot_use(what: str) -> None:
    flow = build_flow(read_document(broken(BREAKS[what][0])), strict=False)
    assert flow.initial_state in flow.states or not flow.states


PIECE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "type", "transitions", "properties", "event", "next", "conditions", "arguments"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(states=PIECE, initial=PIECE)
def test_any_json_becomes_a_model_or_a_flow_error(states: Any, initial: Any) -> None:
    document = read_document(json.dumps({"states": states, "initial_state": initial}))
    build_flow(document, strict=False)
    with suppress(FlowError):
        assert build_flow(document).initial_state == initial


def test_files(tmp_path: Path, kit: Any) -> None:
    good = tmp_path / "good.json"
    good.write_text(json.dumps(kit.definition(kit.state("a", "say-play"))))
    assert load_flow(good).name == "good.json"
    with pytest.raises(FlowError, match="larger than 50 bytes"):
        load_flow(good, max_bytes=50)
    with pytest.raises(FlowError, match=r"absent\.json: cannot be read: No such file"):
        load_flow(tmp_path / "absent.json")
    with pytest.raises(FlowError, match="cannot be read: Is a directory"):
        load_flow(tmp_path)
    good.write_bytes(b'{"states": "\xff"}')
    with pytest.raises(FlowError, match="byte 12 is not UTF-8"):
        load_flow(good)
