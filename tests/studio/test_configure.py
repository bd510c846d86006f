"""A stage is put in or changed in any shape, and callers cannot tell the shapes apart."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from studio_relay.errors import FlowError
from studio_relay.studio.configure import Stage, configure
from studio_relay.studio.diff import diff
from studio_relay.studio.flow import Flow, load_flow, parse_flow
from studio_relay.studio.lint import lint
from studio_relay.studio.outside import RelayOutcome, RelayStage
from studio_relay.studio.value_map import ValueMap, apply_map, load_map
from studio_relay.studio.writing import text_diff, write_atomically

PERSON = {"person": {"event": "callCompleted", "DialCallStatus": "completed"}}
HANDOFFS = [
    None,
    *[json.dumps({"reasonCode": code, "version": 1}) for code in ("person", "callback", "done", "relay-limit")],
]


@pytest.fixture
def front_desk(kit: Any) -> Flow:
    return load_flow(kit.repo / "studio_flows" / "front_desk.json")


def flow_of(definition: dict[str, Any]) -> Flow:
    return parse_flow(json.dumps(definition), name="configured.json")


def redirected(flow: Flow) -> Flow:
    return flow_of(configure(flow, Stage(shape="redirect", server="https://relay.example.com", agent="front-desk")))


def test_a_stage_is_pointed_at_a_server(front_desk: Flow) -> None:
    stage = Stage(
        server="wss://other.example.com/prefix",
        agent="desk",
        parameters={"tier": "{{flow.data.tier}}", "flow_sid": "x"},
        attributes={"language": "es-US"},
    )
    found = diff(front_desk, flow_of(configure(front_desk, stage)))
    assert {c.text for c in found} == {
        'language is "es-US", before "en-US"',
        'url is "wss://other.example.com/prefix/relay/desk", before "wss://relay.example.com/relay/front-desk"',
        'parameter \'flow_sid\' is "x", before "{{flow.flow_sid}}"',
        "parameter 'tier' is new: \"{{flow.data.tier}}\"",
    }


def test_the_original_is_not_touched_and_the_rest_stays(front_desk: Flow) -> None:
    before = copy.deepcopy(dict(front_desk.definition))
    made = configure(front_desk, Stage(server="wss://other.example.com"))
    assert dict(front_desk.definition) == before
    assert [s for s in made["states"] if s["name"] != "relay"] == [s for s in before["states"] if s["name"] != "relay"]


def test_only_the_agent_changes_without_a_server(front_desk: Flow) -> None:
    made = flow_of(configure(front_desk, Stage(agent="night")))
    assert made.widget("relay").text("url") == "wss://relay.example.com/relay/night"


def test_a_stage_is_inserted_where_none_is(kit: Any) -> None:
    bare = kit.flow(
        kit.state("hello", "say-play", {"audioComplete": "bye"}, say="Hello", offset={"x": 0, "y": 0}),
        kit.state("bye", "say-play", {"audioComplete": None}, say="Bye", offset={"x": 0, "y": 220}),
    )
    made = flow_of(configure(bare, Stage(server="wss://relay.example.com", failed="bye")))
    relay = made.widget("relay")
    assert made.widget("hello").transitions[0].next == "relay"
    assert {t.event: t.next for t in relay.transitions} == {"success": "bye", "failed": "bye"}
    assert relay.properties["offset"] == {"x": 320, "y": 220}
    assert lint(made).of("error") == ()


def test_an_insertion_names_its_transition(kit: Any, front_desk: Flow) -> None:
    silent = kit.flow(kit.variables("v", None, a="1"))
    assert flow_of(configure(silent, Stage(server="wss://r.example.com"))).trigger.transitions[0].next == "relay"
    with pytest.raises(FlowError, match=r"has no transition 'done'; it has audioComplete"):
        configure(front_desk, Stage(name="second", server="wss://r.example.com"), after=("welcome", "done"))
    made = configure(front_desk, Stage(name="second", server="wss://r.example.com"), after=("sorry", "audioComplete"))
    assert flow_of(made).widget("second").on("success")[0].next == "person"


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Stage(name="welcome", server="wss://x.example"), "is a say-play, no relay stage"),
        (Stage(failed="sory"), "Did you mean 'sorry'"),
        (Stage(server="relay.example.com"), "expected a server such as"),
        (Stage(server="http://relay.example.com"), "expected a server such as"),
        (Stage(shape="subflow"), "needs flow_sid"),
        (Stage(shape="redirect"), "a server is needed"),
        (Stage(name="new"), "a server is needed"),
    ],
)
def test_what_cannot_be_done_is_refused(front_desk: Flow, stage: Stage, words: str) -> None:
    with pytest.raises(FlowError, match=words):
        configure(front_desk, stage)


def test_the_redirect_carries_the_way_home_and_the_parameters(front_desk: Flow) -> None:
    widget = redirected(front_desk).widget("relay")
    assert widget.type == "add-twiml-redirect"
    assert widget.text("url") == (
        "https://relay.example.com/voice/front-desk?caller_city={{trigger.call.FromCity | url_encode }}"
        "&execution_sid={{flow.sid | url_encode }}&flow_sid={{flow.flow_sid | url_encode }}"
        "&return=https%3A%2F%2Fwebhooks.twilio.com%2Fv1%2FAccounts%2F{{trigger.call.AccountSid}}%2FFlows%2F{{flow.flow_sid}}"
    )
    assert lint(redirected(front_desk)).of("error") == ()
    assert lint(redirected(front_desk)).of("warning") == ()


def visible(widgets: tuple[str, ...]) -> list[str]:
    """The path without what only one shape has."""
    return [name for name in widgets if name != "relay_ended"]


@pytest.mark.parametrize("status", ["ended", "failed", "completed"])
@pytest.mark.parametrize("handoff", HANDOFFS)
async def test_both_shapes_have_the_same_outcome(
    run: Any, kit: Any, front_desk: Flow, handoff: str | None, status: Any
) -> None:
    relay = kit.ended(handoff if status == "ended" else None, status=status)
    caller = kit.Caller(answers=PERSON)
    one = await run(front_desk, relay=relay, caller=caller)
    two = await run(redirected(front_desk), relay=kit.ended(), redirect=relay, caller=caller)
    assert visible(two.widgets) == list(one.widgets)
    assert two.handoff == one.handoff
    assert two.ended == one.ended
    assert relay.stages[1].url.startswith("https://relay.example.com/voice/front-desk?caller_city=&execution_sid=FN0")
    assert relay.stages[1].parameters["flow_sid"].startswith("FW")
    assert "return" not in relay.stages[1].parameters


def test_there_and_back_again_is_no_change(front_desk: Flow) -> None:
    back = configure(redirected(front_desk), Stage(server="wss://relay.example.com", agent="front-desk"))
    returned = flow_of(back)
    assert set(returned.states) == set(front_desk.states)
    assert [(t.event, t.next) for t in returned.widget("relay").transitions] == [
        ("success", "has_handoff"),
        ("failed", "sorry"),
    ]


def test_a_subflow_stage(front_desk: Flow) -> None:
    made = flow_of(configure(front_desk, Stage(shape="subflow", flow_sid="FW" + "0" * 32)))
    widget = made.widget("relay")
    assert {t.event: t.next for t in widget.transitions} == {"completed": "has_handoff", "failed": "sorry"}
    assert widget.text("flow_sid").startswith("FW")
    assert lint(made).of("error") == ()


class FailsOnce:
    """A relay whose first session is lost and whose second ends with a handoff."""

    def __init__(self, second: RelayOutcome) -> None:
        self.second, self.stages = second, list[RelayStage]()

    async def __call__(self, stage: RelayStage) -> RelayOutcome:
        self.stages.append(stage)
        return self.second if len(self.stages) > 1 else RelayOutcome(status="failed", session_id="VX1", duration_ms=1)


async def test_the_retry_leg_resumes_once_without_a_greeting(run: Any, kit: Any, front_desk: Flow) -> None:
    stage = Stage(attributes={"welcome_greeting": "Hello."}, retry=True)
    flow = flow_of(configure(front_desk, stage))
    relay = FailsOnce(kit.ended('{"reasonCode":"person"}').outcome)
    result = await run(flow, relay=relay, caller=kit.Caller(answers=PERSON))
    ways = ["Trigger", "welcome", "relay", "relay_again", "has_handoff", "parse", "route", "person"]
    assert list(result.widgets) == ways
    assert "welcome_greeting" in relay.stages[0].attributes
    assert "welcome_greeting" not in relay.stages[1].attributes
    twice = await run(flow, relay=kit.ended(status="failed"), caller=kit.Caller(answers=PERSON))
    assert list(twice.widgets)[2:] == ["relay", "relay_again", "sorry", "person"]
    once = await run(flow, relay=kit.ended('{"reasonCode":"done"}'))
    assert once.widgets[-1] == "goodbye"
    assert [str(f) for f in lint(flow).findings if f.severity != "notice"] == []
    assert configure(flow, stage) == flow.definition


def test_the_retry_leg_of_a_redirect_reads_its_own_status(front_desk: Flow) -> None:
    stage = Stage(shape="redirect", server="https://relay.example.com", retry=True)
    flow = flow_of(configure(front_desk, stage))
    ways = {
        name: {t.event: t.next for t in flow.widget(name).transitions}
        for name in ("relay", "relay_ended", "relay_again", "relay_again_ended")
    }
    assert ways["relay"] == {"return": "relay_ended", "timeout": "relay_again", "fail": "relay_again"}
    assert ways["relay_ended"] == {"noMatch": "has_handoff", "match": "relay_again"}
    assert ways["relay_again"] == {"return": "relay_again_ended", "timeout": "sorry", "fail": "sorry"}
    assert ways["relay_again_ended"] == {"noMatch": "has_handoff", "match": "sorry"}
    assert flow.widget("relay_again_ended").text("input") == "{{widgets.relay_again.SessionStatus}}"
    assert flow.widget("relay_again").text("url") == flow.widget("relay").text("url")


def test_a_map_replaces_values_and_reports_what_it_did_not_meet(front_desk: Flow, tmp_path: Path) -> None:
    file = tmp_path / "dev.toml"
    file.write_text(
        '[replace]\n"relay.example.com" = "dev.example.com"\n"WW1" = "WW2"\n'
        '[widgets.person]\nto = "+15550100003"\n[widgets.nobody]\nto = "x"\n'
    )
    made, unused = apply_map(front_desk.definition, load_map(file))
    flow = flow_of(made)
    assert flow.widget("relay").text("url") == "wss://dev.example.com/relay/front-desk"
    assert flow.widget("person").text("to") == "+15550100003"
    assert unused == ["widgets.nobody", "replace.WW1"]
    assert front_desk.widget("person").text("to") == "+15550100009"


@pytest.mark.parametrize(
    ("text", "words"),
    [("[replaces]", "Did you mean 'replace'"), ("[", "cannot be read as a map"), ("[replace]\na = 1", "texts on both")],
)
def test_a_wrong_map_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(FlowError, match=words):
        load_map(tmp_path / "m.toml")
    with pytest.raises(FlowError, match="cannot be read as a map"):
        load_map(tmp_path / "absent.toml")


@pytest.mark.parametrize("text", ['replace = "x"', "[widgets]\nperson = 3", '[replace]\n"" = "x"', "[replace]\na = 1"])
def test_a_map_of_the_wrong_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(FlowError, match="expected"):
        load_map(tmp_path / "m.toml")


def test_a_map_exchanges_two_values_and_takes_the_longer_text_first() -> None:
    values = ValueMap(replace={"one": "two", "two": "one", "one.example": "three.example"})
    made, unused = apply_map({"states": [], "description": "one two https://one.example"}, values)
    assert made["description"] == "two one https://three.example"
    assert unused == []


def test_a_change_is_shown_and_written_in_one_step(front_desk: Flow, tmp_path: Path) -> None:
    made, _ = apply_map(front_desk.definition, ValueMap(replace={"+15550100009": "+15550100003"}))
    text = front_desk.document.to_text(made)
    shown = text_diff(front_desk.to_text(), text, "front_desk.json")
    changed = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ['-        "to": "+15550100009",', '+        "to": "+15550100003",']
    target = tmp_path / "flow.json"
    target.write_text("old")
    target.chmod(0o600)
    write_atomically(target, text)
    assert target.read_text() == text
    assert target.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["flow.json"]
    with pytest.raises(FlowError, match="Nothing was changed"):
        write_atomically(tmp_path / "absent" / "flow.json", text)
