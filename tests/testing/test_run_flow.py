"""A flow walked by a scripted caller, its relay widget a real session with a server in process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from studio_relay.errors import FlowError
from studio_relay.studio.flow import parse_flow
from studio_relay.testing import AsgiTransport, Line, LiveEvent, Run, parse_script, run_flow, run_virtual


def widget(name: str, kind: str, properties: dict[str, Any], **nexts: str | None) -> dict[str, Any]:
    transitions = [{"event": event} | ({"next": to} if to else {}) for event, to in nexts.items()]
    return {"name": name, "type": kind, "transitions": transitions, "properties": properties}


RELAY = {
    "url": "wss://relay.example.test/relay/front",
    "welcome_greeting": "Hello. How can I help?",
    "parameters": [{"key": "tier", "value": "{{flow.variables.tier}}"}],
}
CONNECT = {"noun": "number", "to": "+15550100003", "caller_id": "{{contact.channel.address}}", "timeout": 30}
FLOW = {
    "description": "Front",
    "initial_state": "Trigger",
    "flags": {"allow_concurrent_calls": True},
    "states": [
        widget("Trigger", "trigger", {}, incomingCall="hello"),
        widget("hello", "say-play", {"say": "One moment, please."}, audioComplete="set"),
        widget("set", "set-variables", {"variables": [{"key": "tier", "value": "gold"}]}, next="relay"),
        widget("relay", "run-conversation-relay", RELAY, success="bye", failed="sorry"),
        widget("sorry", "say-play", {"say": "Something went wrong."}, audioComplete="person"),
        widget("bye", "say-play", {"say": "Thank you for calling."}, audioComplete=None),
        widget("person", "connect-call-to", CONNECT, callCompleted=None, hangup=None),
    ],
}


def desk(frame: dict[str, Any]) -> list[dict[str, Any]]:
    if frame["type"] == "prompt" and frame["last"]:
        return [{"type": "end", "handoffData": '{"reasonCode":"done"}'}]
    return []


def walk(app: Any, script: str, **options: Any) -> Run:
    line = Line(transport=AsgiTransport(app), seed=1)
    flow = parse_flow(json.dumps(FLOW), name="front.json")
    return run_virtual(run_flow(flow, parse_script(script), line, **options))


def test_the_steps_go_on_behind_the_relay(serve: Any) -> None:
    app, seen = serve(desk), []

    def watch(event: LiveEvent) -> None:
        seen.append((event.kind, event.text))

    script = """
    call: {from: "+15550100009", parameters: {colour: blue}}
    steps:
      - hear: one moment
      - hear: how can I help
      - say: nothing, thanks
      - hear: thank you for calling
    expect:
      handoff: {reasonCode: done}
      path: [Trigger, ..., relay, bye]
      variables: {tier: gold}
      not_hear: went wrong
    """
    done = walk(app, script, on_event=watch).to_json()
    assert done["ok"], done["expectations"]
    assert app.frames[0]["from"] == "+15550100009"
    assert app.frames[0]["customParameters"] == {"tier": "gold", "colour": "blue"}
    assert [turn["who"] for turn in done["transcript"]] == ["flow", "agent", "caller", "flow"]
    assert [step["widget"] for step in done["path"]] == ["Trigger", "hello", "set", "relay", "bye"]
    assert [text for kind, text in seen if kind == "widget"] == ["Trigger", "hello", "set", "relay", "bye"]
    assert done["sessions"][0]["widget"] == "relay"
    assert done["flow"] == "front.json"
    assert json.loads(json.dumps(done)) == done


@pytest.mark.parametrize(
    ("steps", "path", "status"),
    [
        ("[{hear: help}, hang_up]", ["Trigger", "hello", "set", "relay"], "completed"),
        ("[{hear: help}, drop_socket]", ["Trigger", "hello", "set", "relay", "sorry", "person"], "failed"),
        ("[{hear: moment}, hang_up]", ["Trigger", "hello"], None),
    ],
)
def test_ways_to_leave_a_flow(serve: Any, steps: str, path: list[str], status: str | None) -> None:
    script = f"answers: {{person: {{event: callCompleted}}}}\nsteps: {steps}\nexpect: {{path: {path}}}"
    done = walk(serve(desk), script)
    assert done.ok, done.checks
    assert [session.outcome.status for session in done.sessions] == ([status] if status else [])


def test_a_refusing_server_is_the_failed_branch(serve: Any) -> None:
    done = walk(serve(desk, refuse=403), "answers: {person: {event: callCompleted}}\nsteps: [{hear: went wrong}]")
    assert done.ok
    assert done.sessions[0].outcome.error_code == "64102"
    assert done.to_json()["sessions"][0]["close_code"] is None


def test_a_missing_answer_names_the_widget(serve: Any) -> None:
    with pytest.raises(FlowError, match="person"):
        walk(serve(desk, refuse=403), "steps: [{hear: went wrong}]")
