"""Every rule finds what it is for, and leaves a sound flow alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import FlowError, SettingsError
from studio_relay.studio.diagnostics import Report, to_sarif
from studio_relay.studio.document import read_document
from studio_relay.studio.lint import LintConfig, lint, lint_file, load_config
from studio_relay.studio.rules import all_rules
from studio_relay.studio.subject import AgentFacts

Change = Callable[[dict[str, Any]], Any]
FRONT_DESK = Path(__file__).resolve().parents[2] / "studio_flows" / "front_desk.json"
SOUND: dict[str, Any] = json.loads(FRONT_DESK.read_text(encoding="utf-8"))


def linted(change: Change, **options: Any) -> Report:
    definition = copy.deepcopy(SOUND)
    change(definition)
    return lint(read_document(json.dumps(definition), name="seeded.json"), **options)


def state(definition: dict[str, Any], name: str) -> dict[str, Any]:
    return next(s for s in definition["states"] if s["name"] == name)


def props(name: str, **values: Any) -> Change:
    return lambda d: state(d, name)["properties"].update(values)


def without(name: str, key: str) -> Change:
    return lambda d: state(d, name)["properties"].pop(key)


def transition(definition: dict[str, Any], name: str, event: str) -> dict[str, Any]:
    return next(t for t in state(definition, name)["transitions"] if t["event"] == event)


def unwire(name: str, event: str) -> Change:
    return lambda d: transition(d, name, event).pop("next")


def wire(name: str, event: str, target: Any) -> Change:
    return lambda d: transition(d, name, event).update(next=target)


def add(before: tuple[str, str], name: str, type: str, on: dict[str, str | None], **properties: Any) -> Change:
    """A new widget on the way that leaves widget `before[0]` by event `before[1]`."""

    def change(d: dict[str, Any]) -> None:
        transition(d, *before)["next"] = name
        rows = [{"event": e} if n is None else {"event": e, "next": n} for e, n in on.items()]
        d["states"].append({"name": name, "type": type, "transitions": rows, "properties": properties})

    return change


def condition(name: str, match: int, **values: Any) -> Change:
    def change(d: dict[str, Any]) -> None:
        matches = [t for t in state(d, name)["transitions"] if t["event"] == "match"]
        matches[match]["conditions"][0].update(values)

    return change


def flex(attributes: str) -> Change:
    ends = {"callComplete": None, "failedToEnqueue": "person", "callFailure": "person"}
    return add(("route", "noMatch"), "flex", "send-to-flex", ends, workflow="WW0", channel="TC0", attributes=attributes)


def http(**properties: Any) -> Change:
    ends = {"success": "goodbye", "failed": "sorry"}
    return add(("route", "noMatch"), "web", "make-http-request", ends, url="https://x.example.com", **properties)


def says(text: str) -> Change:
    return props("goodbye", say=text)


def sets(value: str, key: str = "n", name: str = "v", then: str = "goodbye") -> Change:
    return add(("route", "noMatch"), name, "set-variables", {"next": then}, variables=[{"key": key, "value": value}])


def both(*changes: Change) -> Change:
    return lambda d: [change(d) for change in changes]


LONG = "{" + '"a": "' + "x" * 1100 + '"}'
H = "{{widgets.relay.HandoffData}}"

DEFECTS: list[tuple[str, str, Change]] = [
    ("SR101", "#/states", lambda d: d.update(states={})),
    ("SR101", "#/initial_state", lambda d: d.pop("initial_state")),
    ("SR101", "#/flags/allow_concurrent_calls", lambda d: d["flags"].update(allow_concurrent_calls="true")),
    ("SR101", "#/$schema", lambda d: d.update({"$schema": "x"})),
    ("SR102", "#/flag", lambda d: d.update(flag={})),
    ("SR102", "#/states/1/property", lambda d: state(d, "welcome").update(property={})),
    ("SR103", "#/states/9", lambda d: d["states"].append("x")),
    ("SR103", "#/states/1/properties", lambda d: state(d, "welcome").pop("properties")),
    ("SR103", "#/states/1/transitions", lambda d: state(d, "welcome").update(transitions={})),
    ("SR103", "#/states/8/name", lambda d: state(d, "goodbye").update(name="")),
    ("SR104", "#/states/9/name", lambda d: d["states"].append(copy.deepcopy(state(d, "goodbye")))),
    ("SR105", "#/states/8/type", lambda d: state(d, "goodbye").update(type="hangup")),
    ("SR105", "#/states/8/type", lambda d: state(d, "goodbye").update(type="twiml-redirect")),
    ("SR106", "#/states/1/transitions/0/event", lambda d: state(d, "welcome")["transitions"][0].update(event="done")),
    ("SR107", "#/states/1/transitions/0/next", wire("welcome", "audioComplete", "relays")),
    ("SR108", "#/states/1/transitions/0/next", wire("welcome", "audioComplete", None)),
    ("SR108", "#/states/1/transitions/0/next", wire("welcome", "audioComplete", 3)),
    ("SR108", "#/states/1/transitions/0", lambda d: state(d, "welcome").update(transitions=["x"])),
    ("SR108", "#/states/5/transitions/1/conditions/0/type", condition("route", 0, type="equals")),
    ("SR108", "#/states/5/transitions/1/conditions/0/value", condition("route", 0, value=1)),
    ("SR108", "#/states/5/transitions/1/conditions", lambda d: transition(d, "route", "match").update(conditions=[])),
    ("SR109", "#/initial_state", lambda d: d.update(initial_state="trigger")),
    ("SR109", "#/initial_state", lambda d: d.update(initial_state="welcome")),
    ("SR109", "#/states/8/type", lambda d: state(d, "goodbye").update(type="trigger")),
    ("SR109", "#/states", lambda d: d["states"].pop(0)),
    ("SR110", "#/states/2/transitions/2/event", lambda d: state(d, "relay")["transitions"].append({"event": "failed"})),
    ("SR111", "#/states", lambda d: d["states"].extend([{"name": f"n{i}"} for i in range(2001)])),
    ("SR112", "#/states/8/name", lambda d: state(d, "goodbye").update(name="good bye")),
    ("SR112", "#/states/8/name", lambda d: state(d, "goodbye").update(name="Ended")),
    ("SR113", "#/states/6/properties/to", props("person", to="${person_number}")),
    ("SR201", "#/states/6/properties/timeout", props("person", timeout="30")),
    ("SR201", "#/states/6/properties/record", props("person", record="false")),
    ("SR201", "#/states/6/properties/timeout", props("person", timeout="{{x}}")),
    ("SR201", "#/states/2/properties/interruptible", props("relay", interruptible=True)),
    ("SR201", "#/states/2/properties/parameters", props("relay", parameters={"a": "b"})),
    ("SR202", "#/states/6/properties/noun", without("person", "noun")),
    ("SR202", "#/states/2/properties/url", without("relay", "url")),
    ("SR203", "#/states/6/properties/noun", props("person", noun="phone")),
    ("SR204", "#/states/1/properties/loop", props("welcome", loop=100)),
    ("SR204", "#/states/4/properties/variables", props("parse", variables=[])),
    ("SR205", "#/states/2/properties/parameters/0/value", props("relay", parameters=[{"key": "a", "value": 1}])),
    ("SR205", "#/states/2/properties/parameters/0/key", props("relay", parameters=[{"value": "a"}])),
    ("SR205", "#/states/4/properties/variables/0", props("parse", variables=["a"])),
    ("SR206", "#/states/2/properties/welcomeGreeting", props("relay", welcomeGreeting="Hi")),
    ("SR206", "#/states/2/properties/debug", props("relay", debug="true")),
    (
        "SR207",
        "#/states/9/properties/flow_sid",
        add(
            ("route", "noMatch"),
            "sub",
            "run-subflow",
            {"completed": "goodbye", "failed": "sorry"},
            flow_sid="{{flow.variables.handoff.sid}}",
            flow_revision="LatestPublished",
        ),
    ),
    (
        "SR207",
        "#/states/9/properties/flow_sid",
        add(
            ("route", "noMatch"),
            "sub",
            "run-subflow",
            {"completed": "goodbye", "failed": "sorry"},
            flow_sid="my-flow",
            flow_revision="LatestPublished",
        ),
    ),
    (
        "SR208",
        "#/states/9/type",
        add(
            ("route", "noMatch"),
            "conv",
            "resume-conversation",
            {"resumed": "goodbye", "failed": "sorry"},
            conversation_service_sid="IS0",
        ),
    ),
    ("SR301", "#/states/7", both(wire("relay", "failed", "person"), lambda d: state(d, "route")["transitions"].pop())),
    ("SR302", "#/states/0/transitions", unwire("Trigger", "incomingCall")),
    (
        "SR302",
        "#/states/0/transitions",
        both(unwire("Trigger", "incomingCall"), wire("Trigger", "incomingMessage", "parse")),
    ),
    (
        "SR303",
        "#/states/9/transitions/1",
        add(
            ("route", "noMatch"), "f", "run-function", {"success": "goodbye", "fail": None}, url="https://x.example.com"
        ),
    ),
    ("SR304", "#/states/5/transitions/0", unwire("route", "noMatch")),
    (
        "SR304",
        "#/states/9/transitions/1",
        add(
            ("route", "noMatch"),
            "ask",
            "gather-input-on-call",
            {"keypress": "goodbye", "timeout": None},
            say="Press a key",
        ),
    ),
    ("SR305", "#/states/6/transitions/1", wire("person", "callCompleted", "goodbye")),
    (
        "SR306",
        "#/states/5/transitions/1/conditions/0/arguments/0",
        condition("route", 0, arguments=["{{flow.variables.old}}"]),
    ),
    ("SR307", "#/states/5/transitions/2/conditions", condition("route", 1, value="person")),
    (
        "SR307",
        "#/states/5/transitions/2/conditions",
        both(condition("route", 0, type="not_equal_to", value="done"), condition("route", 2, value="other")),
    ),
    ("SR310", "#/states/2", wire("Trigger", "incomingCall", "relay")),
    ("SR308", "#/states/8/transitions/0/next", wire("goodbye", "audioComplete", "goodbye")),
    ("SR309", "#/states/3/transitions", both(wire("goodbye", "audioComplete", "has_handoff"))),
    (
        "SR310",
        "#/states/9",
        add(
            ("Trigger", "incomingCall"),
            "web",
            "make-http-request",
            {"success": "welcome", "failed": "welcome"},
            url="https://x.example.com",
        ),
    ),
    ("SR311", "#/states/8/properties/say", says("")),
    ("SR311", "#/states/8/properties", without("goodbye", "say")),
    ("SR311", "#/states/8/properties/play", props("goodbye", play="https://x.example.com/a.mp3")),
    (
        "SR312",
        "#/states/9/properties/body",
        add(
            ("route", "noMatch"),
            "sms",
            "send-message",
            {"sent": "goodbye", "failed": "goodbye"},
            **{"from": "+15550100002"},
        ),
    ),
    (
        "SR313",
        "#/states/9",
        add(
            ("Trigger", "incomingCall"),
            "rec",
            "record-call",
            {"success": "welcome", "failed": "welcome"},
            record_call=True,
        ),
    ),
    ("SR401", "#/states/8/properties/say", says("Bye {{ contact.channel.address ")),
    ("SR401", "#/states/8/properties/say", says("Bye {{ contact.channel.address | json }}")),
    ("SR402", "#/states/8/properties/say", says("{{ contact.channel.address | reverse }}")),
    ("SR403", "#/states/8/properties/say", says("{{ widget.relay.SessionId }}")),
    ("SR403", "#/states/8/properties/say", says("{{ flow.variable.x }}")),
    ("SR403", "#/states/8/properties/say", says("{{ trigger.calls.From }}")),
    ("SR403", "#/states/8/properties/say", says("{{ contact.address }}")),
    ("SR404", "#/states/3/properties/input", props("has_handoff", input="{{widgets.rely.HandoffData}}")),
    ("SR405", "#/states/1/properties/say", props("welcome", say="Hello {{widgets.relay.SessionId}}")),
    ("SR406", "#/states/3/properties/input", props("has_handoff", input="{{widgets.relay.handoffData}}")),
    ("SR406", "#/states/3/properties/input", props("has_handoff", input="{{widgets.welcome.HandoffData}}")),
    ("SR407", "#/states/8/properties/say", says("{{widgets.relay.HandoffData.summary}}")),
    (
        "SR407",
        "#/states/5/properties/input",
        props("parse", variables=[{"key": "handoff", "value": H, "type": "string"}]),
    ),
    ("SR408", "#/states/8/properties/say", says("{{trigger.message.Body}}")),
    ("SR408", "#/states/8/properties/say", says("{{trigger.call.HandoffData}}")),
    ("SR501", "#/states/5/properties/input", props("route", input="{{flow.variables.hand_off.reasonCode}}")),
    ("SR502", "#/states/1/properties/say", props("welcome", say="{{flow.variables.handoff.summary}}")),
    (
        "SR503",
        "#/states/10/properties/variables",
        both(
            sets("{{flow.variables.n | plus: 1}}"),
            lambda d: add(
                ("v", "next"),
                "v2",
                "set-variables",
                {"next": "goodbye"},
                variables=[{"key": "n", "value": "{{flow.variables.n | plus: 1}}"}],
            )(d),
        ),
    ),
    (
        "SR504",
        "#/states/2/properties/parameters/1/key",
        props("relay", parameters=[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]),
    ),
    (
        "SR505",
        "#/states/4/properties/variables/1/value",
        props(
            "parse",
            variables=[
                {"key": "handoff", "value": H, "type": "json_object"},
                {"key": "code", "value": "{{flow.variables.handoff.reasonCode}}"},
            ],
        ),
    ),
    ("SR506", "#/states/6/properties/to", props("person", to="{% if true %}\n+15550100009\n{% endif %}")),
    ("SR507", "#/states/4/properties/variables/0/value", wire("relay", "success", "parse")),
    ("SR601", "#/states/2/properties/url", props("relay", url="https://relay.example.com/relay")),
    ("SR601", "#/states/2/properties/url", props("relay", url="wss://localhost:5000/relay")),
    ("SR601", "#/states/2/properties/url", props("relay", url="wss://u:p@relay.example.com/relay")),
    ("SR601", "#/states/2/properties/url", props("relay", url="wss://relay.example.com/relay?api_key=1")),
    ("SR601", "#/states/2/properties/url", props("relay", url="{{flow.variables.handoff.url}}")),
    ("SR601", "#/states/2/properties/url", props("relay", url="wss://[")),
    ("SR602", "#/states/2/transitions/1", unwire("relay", "failed")),
    ("SR602", "#/states/2/transitions/0", unwire("relay", "success")),
    ("SR603", "#/states/2/transitions/0", wire("relay", "success", "goodbye")),
    ("SR604", "#/states/2/properties/welcome_greeting", props("relay", welcome_greeting="{{flow.data.hello}}")),
    ("SR604", "#/states/2/properties/welcome_greeting", props("relay", welcome_greeting="")),
    (
        "SR605",
        "#/states/2/properties/welcome_greeting",
        both(props("welcome", say="Hello and welcome."), props("relay", welcome_greeting="Hello! How can I help?")),
    ),
    ("SR606", "#/states/2/properties/tts_provider", props("relay", tts_provider="Deepgram")),
    ("SR606", "#/states/2/properties/voice", props("relay", voice="en-US-Journey-O", tts_provider="ElevenLabs")),
    ("SR606", "#/states/2/properties/voice", props("relay", voice="Joanna-Neural")),
    (
        "SR606",
        "#/states/2/properties/speech_model",
        props("relay", speech_model="telephony", transcription_provider="Deepgram"),
    ),
    ("SR607", "#/states/2/properties/language", props("relay", language="english")),
    ("SR607", "#/states/2/properties/language", props("relay", language="multi", tts_provider="Google")),
    ("SR608", "#/states/2/properties/parameters/0", props("relay", parameters=[{"key": "api_key", "value": "x"}])),
    ("SR608", "#/states/2/properties/parameters/0", props("relay", parameters=[{"key": "card_number", "value": "x"}])),
    ("SR608", "#/states/2/properties/hints", props("relay", hints="4111 1111 1111 1111")),
    (
        "SR610",
        "#/states/2/properties/parameters/0/value",
        props("relay", parameters=[{"key": "a", "value": "{{trigger.call.AddOns}}"}]),
    ),
    ("SR611", "#/states/2/properties/dtmf_detection", props("relay", dtmf_detection=True)),
    (
        "SR612",
        "#/states/3/transitions/2/conditions/0/value",
        lambda d: state(d, "has_handoff").update(
            transitions=[
                {"event": "noMatch", "next": "goodbye"},
                *[
                    {
                        "event": "match",
                        "next": "parse",
                        "conditions": [{"friendly_name": "x", "arguments": [H], "type": "contains", "value": v}],
                    }
                    for v in ("agent", "live-agent")
                ],
            ]
        ),
    ),
    ("SR701", "#/states/9/properties/attributes", flex('{"a": {{contact.channel.address | to_json}}')),
    ("SR702", "#/states/9/properties/attributes", flex('{"a": "{{flow.variables.handoff.summary}}"}')),
    ("SR702", "#/states/9/properties/attributes", flex('{"a": {{flow.variables.handoff.summary}}}')),
    (
        "SR702",
        "#/states/9/properties/body",
        http(content_type="application/json", body='{"h": "{{widgets.relay.HandoffData}}"}'),
    ),
    ("SR703", "#/states/9/properties/attributes", flex('{"a": "{{flow.variables.handoff.callbackNumber | to_json}}"}')),
    ("SR704", "#/states/9/properties/attributes", flex(LONG)),
    ("SR704", "#/states/9/properties/attributes", flex('{"a": {{flow.variables.handoff.summary | to_json}}}')),
    ("SR705", "#/states/9/properties/body", http(body="Bearer abcdefghijklmnop1234")),
    ("SR705", "#/states/9/properties/parameters/0", http(parameters=[{"key": "password", "value": "x"}])),
    ("SR706", "#/states/9/properties/parameters/0/key", http(parameters=[{"key": "method", "value": "x"}])),
]


@pytest.mark.parametrize(("code", "path", "change"), DEFECTS, ids=[f"{i}-{d[0]}" for i, d in enumerate(DEFECTS)])
def test_a_seeded_defect_is_found_where_it_stands(code: str, path: str, change: Change) -> None:
    found = linted(change).findings
    assert (code, path) in [(f.code, f.path) for f in found], [str(f) for f in found]


def test_every_rule_has_a_seeded_defect_and_a_documented_reason() -> None:
    needs_an_agent, is_a_remark = {"SR609"}, {"SR613"}
    assert {rule.code for rule in all_rules()} == {code for code, _, _ in DEFECTS} | needs_an_agent | is_a_remark
    assert {rule.code for rule in all_rules() if rule.remark} == is_a_remark
    for rule in all_rules():
        assert rule.why.endswith("."), rule.code
        assert 0 <= rule.impact <= 9


def test_the_sound_flow_has_nothing_to_report() -> None:
    report = linted(lambda d: None)
    assert report.findings == ()
    assert report.ok
    assert list(report.lines()) == ["seeded.json: nothing to report"]


def test_what_the_widget_cannot_do_is_a_remark_and_no_finding() -> None:
    report = linted(both(props("relay", interruptible="any"), unwire("relay", "failed")))
    assert "SR613" not in [finding.code for finding in report.findings]
    (remark,) = report.remarks
    assert (remark.code, remark.path, remark.widget) == ("SR613", "#/states/2", "relay")
    assert "may never reach the server" in remark.message
    assert "--shape redirect" in remark.hint
    assert report.to_json()["remarks"] == [remark.to_json()]
    assert not any("SR613" in line for line in report.lines())


@pytest.mark.parametrize(
    "change",
    [
        props("relay", interruptible="none"),
        props("relay", interruptible="false"),
        props("relay", interruptible="dtmf"),
        props("relay", report_input_during_agent_speech="any"),
        props("relay", reportInputDuringAgentSpeech="any"),
    ],
)
def test_there_is_no_remark_where_no_words_are_lost(change: Change) -> None:
    assert linted(change).remarks == ()


@pytest.mark.parametrize("interruptible", ["", "true", "any", "speech", "{{flow.variables.x}}"])
def test_whatever_lets_speech_interrupt_is_worth_the_remark(interruptible: str) -> None:
    assert [remark.code for remark in linted(props("relay", interruptible=interruptible)).remarks] == ["SR613"]


def test_a_remark_is_made_once_for_a_flow_and_can_be_counted_or_ignored() -> None:
    def twice(definition: dict[str, Any]) -> None:
        definition["states"].append({**json.loads(json.dumps(state(definition, "relay"))), "name": "again"})

    assert len(linted(twice).remarks) == 1
    counted = linted(twice, config=LintConfig(severity={"SR613": "warning"}))
    assert (counted.remarks, [f.code for f in counted.of("warning") if f.code == "SR613"]) == ((), ["SR613"])
    assert linted(twice, config=LintConfig(ignore=frozenset({"SR613"}))).remarks == ()


def test_parameters_are_checked_against_a_known_agent() -> None:
    agent = AgentFacts(name="desk", parameters=frozenset({"flow_sid", "execution_sid", "callerCity"}))
    (found,) = linted(lambda d: None, agent=agent).findings
    assert (found.code, found.path) == ("SR609", "#/states/2/properties/parameters/2/key")
    assert found.hint == "Did you mean 'callerCity'?"


WORDS = [
    (props("person", timeout="30"), "string found, integer expected", "Take the quotes away: 30."),
    (props("person", time_limit=3600), "integer found, string expected", 'Put it in quotes: "3600".'),
    (without("person", "noun"), "is missing but it is required", ""),
    (props("person", noun="numbers"), "does not have a value in the enumeration", "Did you mean 'number'?"),
    (wire("welcome", "audioComplete", None), "must not be null", "Leave `next` out to end the branch."),
    (lambda d: state(d, "goodbye").update(type="hangup"), "enumeration", "leave `next` out"),
    (lambda d: state(d, "goodbye").update(type="http-request"), "enumeration", "Did you mean 'make-http-request'?"),
    (wire("welcome", "audioComplete", "rely"), "'rely' does not exist", "Did you mean 'relay'?"),
    (props("welcome", lop=1), "not a property", "Did you mean 'loop'?"),
]


@pytest.mark.parametrize(("change", "words", "hint"), WORDS)
def test_findings_speak_twilios_words_and_suggest(change: Change, words: str, hint: str) -> None:
    found = [f for f in linted(change).findings if words in f.message]
    assert found
    assert hint in found[0].hint


def test_what_is_known_from_one_source_is_no_error() -> None:
    assert linted(props("relay", interruptible=True)).of("error") == ()
    relay_event = lambda d: state(d, "relay")["transitions"].append({"event": "hangup"})  # noqa: E731
    assert [f.severity for f in linted(relay_event).findings if f.code == "SR106"] == ["warning"]


def test_the_worst_comes_first_and_what_no_caller_meets_last() -> None:
    seeded = both(
        says(""),
        unwire("relay", "failed"),
        props("person", timeout="30"),
        lambda d: d["states"].append(
            {"name": "lost", "type": "say-play", "transitions": [], "properties": {"say": ""}}
        ),
    )
    findings = linted(seeded).findings
    assert [f.code for f in findings][:3] == ["SR201", "SR602", "SR311"]
    assert findings[-1].widget == "lost"


def test_forms_of_a_report() -> None:
    report = linted(props("person", timeout="30"))
    assert report.to_json() == {
        "version": 1,
        "ok": False,
        "flow": "seeded.json",
        "findings": [
            {
                "code": "SR201",
                "severity": "error",
                "path": "#/states/6/properties/timeout",
                "widget": "person",
                "message": "string found, integer expected",
                "hint": "Take the quotes away: 30.",
            }
        ],
        "remarks": [remark.to_json() for remark in report.remarks],
    }
    assert "remarks" not in linted(props("relay", interruptible="none")).to_json()
    assert list(report.lines())[-1] == "seeded.json: 1 error"
    sarif = to_sarif([report], {rule.code: rule.title for rule in all_rules()}, "0.1.0")
    (run,) = sarif["runs"]
    assert run["results"][0]["ruleId"] == "SR201"
    assert run["results"][0]["level"] == "error"
    assert {r["id"] for r in run["tool"]["driver"]["rules"]} == {rule.code for rule in all_rules()}


def test_rules_are_switched_off_by_code_glob_and_option() -> None:
    silent = props("goodbye", say="")
    assert linted(silent, config=LintConfig(ignore=frozenset({"SR311"}))).findings == ()
    assert linted(silent, config=LintConfig(per_file={"seed*.json": frozenset({"SR311"})})).findings == ()
    assert linted(silent, config=LintConfig(per_file={"other.json": frozenset({"SR311"})})).findings != ()
    assert linted(silent, config=LintConfig(severity={"SR311": "error"})).of("error") != ()
    assert not linted(silent, config=LintConfig(fail_on="warning")).ok
    assert linted(silent, config=LintConfig().ignoring(["SR311"])).findings == ()
    with pytest.raises(SettingsError, match=r"--ignore: there is no rule 'SR31'\. Did you mean 'SR31"):
        LintConfig().ignoring(["SR31"])


def test_configuration_is_read_from_the_nearest_file(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.studio-relay.lint]\nignore = ["SR311"]\nfail-on = "warning"\n')
    assert load_config(inner) == LintConfig(ignore=frozenset({"SR311"}), fail_on="warning")
    (inner / "pyproject.toml").write_text("[tool.other]\n")
    (tmp_path / "a" / ".studio-relay.toml").write_text(
        '[lint.severity]\nSR105 = "warning"\n[lint.per-file-ignores]\n"old/*" = ["SR301"]\n'
    )
    found = load_config(inner)
    assert found.severity == {"SR105": "warning"}
    assert found.is_off("SR301", "old/x.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lint]\nignored = []", r"no setting 'ignored'\. Did you mean 'ignore'"),
        ("[lint]\nignore = ['SR999']", "no rule 'SR999'"),
        ("[lint]\nfail-on = 'fatal'", "expected one of error, warning, notice"),
        ("[lint", "cannot be read as TOML"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / ".studio-relay.toml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        load_config(tmp_path)


def test_a_file_that_is_no_flow_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FlowError, match="no flow"):
        lint_file(tmp_path / "x.json")


def test_real_flows_have_no_errors(corpus: list[Path]) -> None:
    assert [str(f) for path in corpus for f in lint_file(path).of("error")] == []


PLACES = st.sampled_from(["name", "type", "transitions", "properties"])
JUNK = st.none() | st.integers() | st.text(max_size=4) | st.just([]) | st.just({}) | st.just([{}]) | st.just(["x"])


@given(st.integers(0, 8), PLACES, JUNK)
def test_no_damage_crashes_the_linter(index: int, key: str, junk: Any) -> None:
    linted(lambda d: d["states"][index].update({key: junk}))


@given(st.integers(0, 8), st.sampled_from(["url", "say", "parameters", "variables", "input", "to", "loop"]), JUNK)
def test_no_property_crashes_the_linter(index: int, key: str, junk: Any) -> None:
    linted(lambda d: d["states"][index].setdefault("properties", {}).update({key: junk}))
