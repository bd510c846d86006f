"""Walks against the rules of the reference, sections 4.1, 5.1 to 5.5 and 3.3 to 3.6."""

from __future__ import annotations

import json
from typing import Any

import pytest

from studio_relay.errors import FlowError
from studio_relay.studio.outside import Gathered, HungUp, RelayOutcome
from studio_relay.studio.simulate import Step

SAY = ("say-play", {"audioComplete": None})


async def test_a_walk_goes_from_the_trigger_to_the_end(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.state("hello", "say-play", {"audioComplete": "bye"}, say="Hello {{contact.channel.address}}", loop=2),
        kit.state("bye", "say-play", {"audioComplete": None}, say="Bye"),
    )
    caller, ticks = kit.Caller(), iter([10.0, 10.0, 10.5, 12.25])
    steps: list[Step] = []
    entered: list[str] = []
    result = await run(
        flow,
        caller=caller,
        clock=lambda: next(ticks),
        on_step=steps.append,
        on_enter=lambda widget: entered.append(widget.name),
    )
    assert caller.heard == ["Hello +15550100001"] * 2 + ["Bye"]
    assert result.widgets == ("Trigger", "hello", "bye") == tuple(entered)
    assert [(s.event, s.at_ms) for s in result.path] == [
        ("incomingCall", 0),
        ("audioComplete", 500),
        ("audioComplete", 2250),
    ]
    assert tuple(steps) == result.path
    assert (result.ended, result.code, result.warnings, result.handoff) == ("no-next", None, (), None)
    assert steps[1].to_json() == {"widget": "hello", "type": "say-play", "event": "audioComplete", "at_ms": 500}


async def test_the_context_has_the_four_namespaces(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.variables("v", None, tier="gold"))
    context = (await run(flow, call={"from": "+15550100003", "FromCity": "Springfield"})).context
    assert set(context) == {"flow", "trigger", "widgets", "contact"}
    assert context["trigger"]["call"]["From"] == context["contact"]["channel"]["address"] == "+15550100003"
    assert context["trigger"]["call"]["FromCity"] == "Springfield"
    assert context["flow"]["channel"]["address"] == context["trigger"]["call"]["To"]
    assert context["flow"]["sid"].startswith("FN")
    assert context["flow"]["flow_sid"].startswith("FW")
    assert context["flow"]["variables"] == {"tier": "gold"} == context["widgets"]["v"]


async def test_a_rest_start_has_data_and_the_user_is_called(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.variables("v", None, a="{{flow.data.n}}{{trigger.request.parameters.n}}"), event="incomingRequest"
    )
    result = await run(flow, trigger="incomingRequest", data={"n": "7"})
    assert result.variables == {"a": 77}
    assert result.context["contact"]["channel"]["address"] == "+15550100002"
    assert result.context["flow"]["channel"]["address"] == "+15550100001"


async def test_an_unconnected_or_unknown_start(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.state("a", *SAY))
    assert (await run(flow, trigger="incomingMessage")).ended == "no-transition"
    with pytest.raises(FlowError, match="Did you mean 'incomingCall'"):
        await run(flow, trigger="incomingcalls")


# Split (5.3)


async def test_the_first_match_in_list_order_wins_and_no_match_is_last(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.split(
            "s",
            "{{trigger.call.From}}",
            ("contains", "x", "a"),
            ("contains", "1", "b"),
            ("contains", "5", "a"),
            no_match="a",
        ),
        kit.state("a", *SAY),
        kit.state("b", *SAY),
    )
    result = await run(flow)
    assert result.widgets == ("Trigger", "s", "b")
    assert (result.path[1].event, result.path[1].condition, result.path[1].condition_index) == (
        "match",
        "contains 1",
        1,
    )
    assert result.path[1].to_json()["condition"] == "contains 1"


async def test_all_conditions_of_a_transition_must_hold(run: Any, kit: Any) -> None:
    both = kit.split("s", "ab", ("contains", "a", "a"), ("contains", "b", "b"), no_match="b")
    both["transitions"][1]["conditions"].append(both["transitions"][2]["conditions"][0] | {"value": "z"})
    flow = kit.flow(both, kit.state("a", *SAY), kit.state("b", *SAY))
    assert (await run(flow)).widgets[-1] == "b"


async def test_nothing_matches_and_no_match_is_unconnected(run: Any, kit: Any) -> None:
    result = await run(kit.flow(kit.split("s", "a", ("equal_to", "b", None), no_match=None)))
    assert (result.ended, result.code, result.path[-1].event) == ("no-match", 81005, "noMatch")


async def test_the_condition_has_its_own_subject_and_the_value_is_a_template(run: Any, kit: Any) -> None:
    stale = kit.split("s", "{{flow.variables.n}}", ("equal_to", "{{flow.variables.n | plus: 1}}", "hit"), no_match=None)
    stale["transitions"][1]["conditions"][0]["arguments"] = ["2"]
    result = await run(kit.flow(kit.variables("v", "s", n="1"), stale, kit.state("hit", *SAY)))
    assert result.widgets[-1] == "hit"
    assert "something else than the widget's input" in result.warnings[0].message


async def test_a_missing_argument_falls_back_to_the_input(run: Any, kit: Any) -> None:
    bare = kit.split("s", "yes", ("equal_to", "yes", "hit"), no_match=None)
    bare["transitions"][1]["conditions"][0]["arguments"] = []
    assert (await run(kit.flow(bare, kit.state("hit", *SAY)))).widgets[-1] == "hit"


async def test_numbers_in_text_are_remarked_on(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.split("s", "{{trigger.call.Age}}", ("less_than", "9", None), no_match=None))
    result = await run(flow, call={"Age": "5"})
    assert result.path[1].event == "match"
    assert "plus: 0" in result.warnings[0].message


# Set Variables (2.4, 5.4)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-1.5", -1.5),
        ("007", "007"),
        ("+15550100001", "+15550100001"),
        ('"7"', "7"),
        ("seven", "seven"),
        ("true", "true"),
        ("{{missing}}", ""),
        (None, ""),
        ("{{ 1 | plus: 1 }}", 2),
        ("1" * 40, "1" * 40),
    ],
)
async def test_set_variables_types_what_it_renders(run: Any, kit: Any, text: str | None, value: Any) -> None:
    stored = (await run(kit.flow(kit.variables("v", None, k=text)))).variables["k"]
    assert stored == value
    assert type(stored) is type(value)


def handoff_flow(kit: Any, **entry: Any) -> Any:
    parse = kit.variables("parse", "route", handoff="{{widgets.relay.HandoffData}}")
    parse["properties"]["variables"][0].update(entry)
    return kit.flow(
        kit.state("relay", "run-conversation-relay", {"success": "parse", "failed": "sorry"}, url="wss://x.example/ws"),
        parse,
        kit.split("route", "{{flow.variables.handoff.reasonCode}}", ("equal_to", "person", "person"), no_match=None),
        kit.state("person", *SAY),
        kit.state("sorry", *SAY),
    )


@pytest.mark.parametrize("entry", [{"type": "json_object"}, {"parse_as_json": True}, {"parse_as_json": "true"}])
async def test_a_json_object_is_parsed(run: Any, kit: Any, entry: dict[str, Any]) -> None:
    result = await run(handoff_flow(kit, **entry), relay=kit.ended('{"reasonCode":"person","n":[1]}'))
    assert result.widgets[-1] == "person"
    assert result.variables["handoff"] == {"reasonCode": "person", "n": [1]} == result.handoff


@pytest.mark.parametrize("text", ["please call a person", "[1]", '{"a":', ""])
async def test_what_is_no_json_object_is_empty_with_81027(run: Any, kit: Any, text: str) -> None:
    result = await run(handoff_flow(kit, type="json_object"), relay=kit.ended(text))
    assert result.variables["handoff"] == ""
    assert [w.code for w in result.warnings] == [81027]
    assert text == "" or text not in result.warnings[0].message
    assert result.handoff == text
    assert result.code == 81005


async def test_the_counter_idiom_counts(run: Any, kit: Any) -> None:
    idiom = "{% if flow.variables.n %}{{flow.variables.n | plus: 1}}{% else %}1{% endif %}"
    flow = kit.flow(
        kit.variables("count", "again", n=idiom),
        kit.split("again", "{{flow.variables.n}}", ("less_than", "4", "count"), no_match="done"),
        kit.state("done", *SAY),
    )
    result = await run(flow)
    assert result.variables == {"n": 4}
    assert result.widgets == ("Trigger", *["count", "again"] * 4, "done")


async def test_a_pair_does_not_see_its_sibling_and_that_is_said(run: Any, kit: Any) -> None:
    result = await run(kit.flow(kit.variables("v", None, a="1", b="{{flow.variables.a}}")))
    assert result.variables == {"a": 1, "b": ""}
    assert "same widget" in result.warnings[0].message


async def test_a_template_error_is_a_warning_of_the_walk(run: Any, kit: Any) -> None:
    result = await run(kit.flow(kit.variables("v", None, a="{{ 1 + 1 }}")))
    assert result.variables == {"a": ""}
    assert [(w.widget, w.code) for w in result.warnings] == [("v", 81018)]
    assert result.warnings[0].to_json()["code"] == 81018


# ConversationRelay (3.2 to 3.6)


async def test_the_relay_gets_its_stage_rendered(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.variables("v", "relay", tier="gold"),
        kit.state(
            "relay",
            "run-conversation-relay",
            {"success": None},
            offset={"x": 1, "y": 2},
            url="wss://x.example/relay",
            welcome_greeting="Hello {{flow.variables.tier}}",
            interruptible=True,
            voice=None,
            parameters=[
                {"key": "tier", "value": "{{flow.variables.tier}}"},
                {"key": "none", "value": "{{flow.variables.nope}}"},
                {"key": "null", "value": None},
            ],
        ),
    )
    relay = kit.ended()
    await run(flow, relay=relay)
    (stage,) = relay.stages
    assert (stage.widget, stage.url) == ("relay", "wss://x.example/relay")
    assert stage.attributes == {"welcome_greeting": "Hello gold", "interruptible": "true"}
    assert stage.parameters == {"tier": "gold", "none": "", "null": ""}
    assert stage.call["From"] == "+15550100001"


async def test_ended_is_success_with_all_outputs_as_text(run: Any, kit: Any) -> None:
    result = await run(handoff_flow(kit, type="json_object"), relay=kit.ended('{"reasonCode":"person"}'))
    outputs = result.context["widgets"]["relay"]
    assert outputs["HandoffData"] == '{"reasonCode":"person"}'
    assert (outputs["SessionId"], outputs["SessionStatus"], outputs["SessionDuration"]) == ("VX1", "ended", "34")
    assert outputs["CallSid"].startswith("CA")
    assert [(s.widget, s.outcome.status) for s in result.sessions] == [("relay", "ended")]


async def test_without_handoff_data_the_key_is_absent(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.state("relay", "run-conversation-relay", {"success": "s"}, url="wss://x.example"),
        kit.split("s", "{{widgets.relay.HandoffData}}", ("is_blank", "Is Blank", "done"), no_match=None),
        kit.state("done", *SAY),
    )
    result = await run(flow)
    assert result.widgets[-1] == "done"
    assert "HandoffData" not in result.context["widgets"]["relay"]
    assert result.handoff is None


async def test_failed_follows_failed_and_leaves_nothing(run: Any, kit: Any) -> None:
    result = await run(handoff_flow(kit), relay=kit.ended(status="failed"))
    assert result.widgets == ("Trigger", "relay", "sorry")
    assert result.context["widgets"]["relay"] == {}


async def test_a_caller_who_hung_up_fires_no_event(run: Any, kit: Any) -> None:
    result = await run(handoff_flow(kit), relay=kit.ended(status="completed"))
    assert result.widgets == ("Trigger", "relay")
    assert result.path[-1].event is None
    assert "event" not in result.path[-1].to_json()
    assert result.ended == "hung-up"


# Gather, Say/Play and hanging up (5.1, 5.2)


@pytest.mark.parametrize(
    ("gathered", "event", "outputs"),
    [
        (Gathered(digits="12"), "keypress", {"Digits": "12"}),
        (Gathered(speech="Yes."), "speech", {"SpeechResult": "Yes.", "Confidence": "0.9"}),
        (Gathered(digits="1", speech="x"), "keypress", {"Digits": "1"}),
        (Gathered(), "timeout", {}),
        (Gathered(digits=""), "timeout", {}),
    ],
)
async def test_gather(run: Any, kit: Any, gathered: Gathered, event: str, outputs: dict[str, str]) -> None:
    menu = kit.state(
        "menu", "gather-input-on-call", {event: None}, say="Press 1", timeout=7, finish_on_key="*", number_of_digits=2
    )
    caller = kit.Caller(gathers=[gathered])
    result = await run(kit.flow(menu), caller=caller)
    assert result.path[-1].event == event
    found = result.context["widgets"]["menu"]
    assert {k: v for k, v in found.items() if k in ("Digits", "SpeechResult", "Confidence")} == outputs
    assert found["CallSid"]
    (asked,) = caller.asked
    assert (asked.timeout, asked.finish_on_key, asked.number_of_digits, asked.stop_gather) == (7.0, "*", 2, True)
    assert caller.heard == ["Press 1"]


async def test_sound_files_and_keys_are_heard_as_such(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.state("a", "say-play", {"audioComplete": "b"}, play="https://x.example/{{flow.flow_sid | size}}.mp3"),
        kit.state("b", "say-play", {"audioComplete": "c"}, digits="1w2"),
        kit.state("c", "say-play", {"audioComplete": None}, say=" "),
    )
    caller = kit.Caller()
    await run(flow, caller=caller)
    assert caller.heard == ["[play https://x.example/34.mp3]", "[digits 1w2]"]


async def test_a_hang_up_ends_the_walk_where_no_transition_takes_it(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.state("a", "say-play", {"audioComplete": "a2"}, say="Hello"), kit.state("a2", *SAY))
    result = await run(flow, caller=kit.Caller(leaves_at="Hello"))
    assert result.widgets == ("Trigger", "a")
    assert (result.path[-1].event, result.ended, result.code) == (None, "hung-up", 81002)


async def test_after_a_hangup_transition_only_widgets_without_voice_run(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.state("mail", "record-voicemail", {"recordingComplete": None, "hangup": "note"}),
        kit.variables("note", "tell", left="yes"),
        kit.state("tell", "send-message", {"sent": "say"}),
        kit.state("say", "say-play", {"audioComplete": None}, say="Nobody hears this"),
    )
    caller = kit.Caller(answers={"mail": {"event": "hangup"}})
    result = await run(flow, caller=caller)
    assert result.widgets == ("Trigger", "mail", "note", "tell")
    assert (result.ended, result.code) == ("hung-up", 81002)
    assert result.warnings[-1].widget == "say"
    assert caller.heard == []


async def test_a_hung_up_widget_with_a_hangup_transition_takes_it(run: Any, kit: Any) -> None:
    class Leaver(kit.Caller):  # type: ignore[misc, name-defined]
        def answer(self, widget: str) -> Any:
            raise HungUp

    flow = kit.flow(kit.state("dial", "connect-call-to", {"hangup": "v"}), kit.variables("v", None, a="1"))
    result = await run(flow, caller=Leaver())
    assert (result.widgets[-1], result.ended) == ("v", "hung-up")


# Answers of the outside world


async def test_connect_call_to_branches_on_nothing_but_its_outputs(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.state("dial", "connect-call-to", {"callCompleted": "s"}),
        kit.split("s", "{{widgets.dial.DialCallStatus}}", ("equal_to", "busy", None), no_match=None),
    )
    result = await run(flow, caller=kit.Caller(answers={"dial": {"DialCallStatus": "busy"}}))
    assert [s.event for s in result.path] == ["incomingCall", "callCompleted", "match"]
    assert [s.certainty for s in result.path] == ["modelled", "scripted", "modelled"]


async def test_a_missing_answer_says_what_to_write(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.state("dial", "connect-call-to", {"callCompleted": None}))
    with pytest.raises(FlowError) as refusal:
        await run(flow)
    assert str(refusal.value) == (
        "synthetic.json: #/states/1: widget 'dial' (connect-call-to) needs to be told what happens there, and the "
        "script does not say. Possible events: callCompleted, hangup. Write into the script's `answers:` for example "
        "`dial: {event: callCompleted, DialCallStatus: completed}`."
    )


async def test_a_wrong_answer_is_refused_with_a_suggestion(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.state("mail", "record-voicemail", {"recordingComplete": None}))
    with pytest.raises(FlowError, match=r"cannot fire\. Did you mean 'recordingComplete'"):
        await run(flow, caller=kit.Caller(answers={"mail": {"event": "recordingCompleted"}}))
    with pytest.raises(FlowError, match="no `event`"):
        await run(flow, caller=kit.Caller(answers={"mail": {"RecordingUrl": "x"}}))


WEB = [
    ({"status": "200", "body": '{"n": 3}'}, "success", {"n": 3}),
    ({"status": "404", "body": "nothing"}, "failed", None),
    ({"body": {"n": 3}}, "success", {"n": 3}),
    ({"parsed": {"n": "3"}}, "success", {"n": "3"}),
    ({"status": "200", "body": '{"n": 3}', "content_type": "text/plain"}, "success", None),
    ({"status": "200", "body": "[1]"}, "success", None),
    ({"event": "failed"}, "failed", None),
]


@pytest.mark.parametrize(("answer", "event", "parsed"), WEB)
async def test_web_widgets_parse_json_objects_only(run: Any, kit: Any, answer: Any, event: str, parsed: Any) -> None:
    flow = kit.flow(kit.state("web", "make-http-request", {"success": None, "failed": None}, url="https://x.example"))
    result = await run(flow, caller=kit.Caller(answers={"web": answer}))
    assert result.path[-1].event == event
    assert result.context["widgets"]["web"].get("parsed") == parsed


async def test_parsed_merges_over_runs_and_plain_text_leaves_it(run: Any, kit: Any) -> None:
    bodies = ['{"a": 1, "b": 1}', '{"b": 2}', "plain"]

    class Changing(kit.Caller):  # type: ignore[misc, name-defined]
        def answer(self, widget: str) -> Any:
            return {"status": "200", "body": bodies.pop(0)}

    flow = kit.flow(
        kit.state("f", "run-function", {"success": "s", "fail": None}, url="https://x.example"),
        kit.split("s", "{{widgets.f.body}}", ("equal_to", "plain", None), no_match="f"),
    )
    found = (await run(flow, caller=Changing())).context["widgets"]["f"]
    assert (found["parsed"], found["body"], found["status_code"]) == ({"a": 1, "b": 2}, "plain", 200)


async def test_a_type_nobody_knows_runs_by_its_own_transitions(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.state("new", "search-profile", {"found": None}))
    result = await run(flow, caller=kit.Caller(answers={"new": {"event": "found", "Id": "1"}}))
    assert (result.path[-1].event, result.path[-1].certainty) == ("found", "unverified")
    with pytest.raises(FlowError, match="Possible events: found"):
        await run(flow)


async def test_a_redirect_returns_with_its_parameters(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.state("away", "add-twiml-redirect", {"return": None}, url="https://x.example/voice"))
    answer = {"event": "return", "HandoffData": '{"reasonCode":"done"}'}
    result = await run(flow, caller=kit.Caller(answers={"away": answer}))
    assert result.context["widgets"]["away"]["HandoffData"] == '{"reasonCode":"done"}'


@pytest.mark.parametrize(
    ("answer", "event", "status"),
    [
        ({"event": "success", "HandoffData": "{}"}, "return", "ended"),
        ({"event": "failed"}, "return", "failed"),
        ({"event": "completed"}, None, "completed"),
        ({"event": "timeout"}, "timeout", None),
    ],
)
async def test_an_answer_for_a_relay_widget_holds_for_a_redirect_to_our_voice_url(
    run: Any, kit: Any, answer: dict[str, str], event: str | None, status: str | None
) -> None:
    flow = kit.flow(kit.state("relay", "add-twiml-redirect", {"return": None}, url="https://x.example/voice/echo"))
    result = await run(flow, caller=kit.Caller(answers={"relay": answer}))
    assert result.path[-1].event == event
    assert result.context["widgets"]["relay"].get("SessionStatus") == status
    assert result.context["widgets"]["relay"].get("HandoffData") == answer.get("HandoffData")


async def test_such_an_answer_is_none_for_any_other_redirect(run: Any, kit: Any) -> None:
    flow = kit.flow(kit.state("away", "add-twiml-redirect", {"return": None}, url="https://x.example/menu"))
    with pytest.raises(FlowError, match="cannot fire"):
        await run(flow, caller=kit.Caller(answers={"away": {"event": "success"}}))


# Limits (1.5, 5.5)


async def test_the_same_widget_ten_times_in_a_row(run: Any, kit: Any) -> None:
    result = await run(kit.flow(kit.variables("again", "again", a="1")))
    assert (result.ended, result.code) == ("repeat-limit", 81001)
    assert result.widgets == ("Trigger", *["again"] * 10)


async def test_a_thousand_steps(run: Any, kit: Any) -> None:
    result = await run(kit.flow(kit.variables("a", "b", x="1"), kit.variables("b", "a", x="1")))
    assert (result.ended, result.code, len(result.path)) == ("step-limit", 81000, 1000)


async def test_an_event_without_a_transition(run: Any, kit: Any) -> None:
    result = await run(
        kit.flow(kit.state("relay", "run-conversation-relay", {"success": None}, url="wss://x")),
        relay=kit.ended(status="failed"),
    )
    assert (result.ended, result.code) == ("no-transition", 81002)


# Subflows (2.16)


def parent_flow(kit: Any) -> Any:
    parameters = [
        {"key": "who", "value": "{{contact.channel.address}}", "type": "string"},
        {"key": "obj", "value": '{"a": 1}', "type": "json_object"},
    ]
    sub = kit.state("sub", "run-subflow", {"completed": "s", "failed": "no"}, flow_sid="FW1", parameters=parameters)
    return kit.flow(
        sub,
        kit.split("s", "{{widgets.sub.answer}}", ("equal_to", "+155501000011", "yes"), no_match="no"),
        kit.state("yes", *SAY),
        kit.state("no", *SAY),
    )


async def test_a_subflow_runs_on_its_own_definition(run: Any, kit: Any) -> None:
    inner = kit.flow(
        kit.variables("v", None, answer="{{trigger.parent.parameters.who}}{{trigger.parent.parameters.obj.a}}"),
        event="incomingParent",
    )
    result = await run(parent_flow(kit), subflows={"FW1": inner}.get)
    assert result.widgets[-1] == "yes"
    ((widget, walked),) = result.subwalks
    assert (widget, walked.widgets) == ("sub", ("Trigger", "v"))
    assert "answer" not in result.variables


async def test_without_the_file_the_script_answers(run: Any, kit: Any) -> None:
    with pytest.raises(FlowError, match="Possible events: completed, failed"):
        await run(parent_flow(kit))
    caller = kit.Caller(answers={"sub": {"event": "completed", "answer": "+155501000011"}})
    assert (await run(parent_flow(kit), caller=caller)).widgets[-1] == "yes"


async def test_a_subflow_may_not_run_a_subflow_and_limits_count_over_both(run: Any, kit: Any) -> None:
    inner = kit.flow(kit.state("deep", "run-subflow", {"failed": None}, flow_sid="FW1"), event="incomingParent")
    result = await run(parent_flow(kit), subflows={"FW1": inner}.get)
    assert [(w.widget, w.code) for w in result.warnings] == [("deep", 81024)]
    loop = kit.flow(kit.variables("a", "b", x="1"), kit.variables("b", "a", x="1"), event="incomingParent")
    looped = await run(parent_flow(kit), subflows={"FW1": loop}.get)
    assert looped.subwalks[0][1].code == 81000
    assert looped.code == 81000


async def test_every_outcome_of_the_relay_keeps_its_json(run: Any, kit: Any) -> None:
    outcome = RelayOutcome(
        status="ended", session_id="VX2", duration_ms=1, handoff_data=json.dumps({"reasonCode": "x"})
    )
    result = await run(handoff_flow(kit, type="json_object"), relay=kit.Relay(outcome))
    assert result.sessions[0].outcome is outcome
