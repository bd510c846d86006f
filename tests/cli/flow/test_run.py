"""`studio-relay flow run`: told, as JSON and as a page; against our server in process and against a running one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

RUN_KEYS = [
    *("version", "ok", "flow", "script", "clock", "speed", "path", "transcript", "sessions", "handoff", "context"),
    *("expectations", "warnings", "timings"),
]


def test_the_walk_is_told(run: Any, flow: Any, script: Any, kit: Any) -> None:
    flow()
    done = run("flow", "run", "--script", str(script(kit.outage)))
    assert done.exit_code == 0, done.output
    for shown in ("[relay]", "agent  Hello", "-> failed", "-> callCompleted, as the script says", "path      Trigger"):
        assert shown in done.output
    assert max(map(len, done.output.splitlines())) <= 80


def test_json_is_a_run_on_the_virtual_clock(run: Any, flow: Any, script: Any, kit: Any) -> None:
    path = flow(name="elsewhere/talk.json")
    done = run("flow", "run", str(path), "--script", str(script(kit.bye, walks=None)), "--json")
    report = json.loads(done.stdout)
    assert list(report) == RUN_KEYS
    assert (report["ok"], report["clock"], report["flow"]) == (True, "virtual", "talk.json")
    assert report["sessions"][0]["agent"] == "scripted"


def test_what_was_expected_in_vain_is_1(run: Any, flow: Any, script: Any) -> None:
    flow()
    path = script("steps:\n  - hear: how can I help\n  - hang_up\nexpect: {status: ended}\n")
    done = run("flow", "run", "--script", str(path))
    assert done.exit_code == 1
    assert "found    completed" in done.output


def test_a_page_is_written_and_never_over_an_input(run: Any, flow: Any, script: Any, kit: Any, tmp_path: Path) -> None:
    path, call = flow(), script(kit.bye)
    assert run("flow", "run", "--script", str(call), "--report", "run.html").exit_code == 0
    page = (tmp_path / "run.html").read_text()
    assert "as expected" in page
    assert "<svg" in page
    before = path.read_text()
    assert run("flow", "run", "--script", str(call), "--report", str(path)).exit_code == 2
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "http://127.0.0.1:1/voice"], "--url: expected ws:// or wss://"),
        (["--url", "ws://127.0.0.1:1/relay", "--agent", "echo"], "--agent is for the server of this process"),
        (["--sign-as", "wss://x.example.com/relay"], "need --url"),
        (["--agent", "nobody"], "agent 'nobody' is not installed; installed: echo"),
        (["--agent", "rules.yaml"], "rules.yaml"),
        (["--now", "tomorrow"], "--now: expected a time"),
        (["--subflow", "FW1"], "expected NAME=VALUE"),
        (["--subflow", "FW1=none.json"], "none.json: cannot be read"),
        (["--trigger", "incomingCal"], "Did you mean 'incomingCall'?"),
        (["--url", "ws://127.0.0.1:1/relay"], "is the server running?"),
    ],
)
def test_what_cannot_be_done(run: Any, flow: Any, script: Any, kit: Any, arguments: list[str], message: str) -> None:
    flow()
    done = run("flow", "run", "--json", "--script", str(script(kit.outage)), *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stdout == ""


def test_no_flow_at_all(run: Any, script: Any, kit: Any) -> None:
    done = run("flow", "run", "--script", str(script(kit.bye, walks=None)))
    assert done.exit_code == 2
    assert "which flow?" in done.stderr


def test_an_agent_that_is_not_installed_is_named_with_those_that_are(
    run: Any, flow: Any, script: Any, kit: Any
) -> None:
    flow(kit.talk("wss://relay.example.com/relay/front-dsk"))
    call = str(script(kit.bye))
    done = run("flow", "run", "--script", call)
    assert done.exit_code == 2
    assert "agent 'front-dsk' is not installed; installed: echo" in done.stderr
    assert run("flow", "run", "--script", call, "--agent", "scripted").exit_code == 0


def test_a_script_that_runs_out_of_answers_is_named(run: Any, flow: Any, script: Any) -> None:
    flow()
    done = run("flow", "run", "--script", str(script("steps:\n  - hear: how can I help\n  - drop_socket\n")))
    assert done.exit_code == 2
    assert "'person'" in done.stderr
    assert "answers:" in done.stderr


def test_an_agent_that_never_ends_is_given_up(run: Any, flow: Any, script: Any) -> None:
    flow(name="talk.json")
    steps = "".join("  - say: are you still there\n" for _ in range(20))
    arguments = ["--script", str(script(f"steps:\n{steps}")), "--agent", "echo"]
    assert run("flow", "run", *arguments).exit_code == 0
    done = run("flow", "run", *arguments, "--call-limit", "30")
    assert done.exit_code == 2
    assert "still going on after 30 s" in done.stderr


def test_rules_of_a_file_answer(run: Any, flow: Any, script: Any, tmp_path: Path) -> None:
    flow()
    (tmp_path / "rules.yaml").write_text(
        "greeting: Moin.\nrules:\n  - {when: bye, say: Tschüss., handoff: {reasonCode: done}}\n"
    )
    call = script("steps:\n  - hear: moin\n  - say: bye\nexpect: {handoff: {reasonCode: done}}\n")
    assert run("flow", "run", "--script", str(call), "--agent", "rules.yaml").exit_code == 0


HOME = "https%3A%2F%2Fwebhooks.twilio.com%2Fv1%2FAccounts%2F{{trigger.call.AccountSid}}%2FFlows%2F{{flow.flow_sid}}"


@pytest.mark.parametrize(("kind", "status"), [("bye", "ended"), ("outage", "failed")])
def test_a_redirect_to_our_voice_url_is_a_session_too(
    run: Any, flow: Any, script: Any, kit: Any, kind: str, status: str
) -> None:
    url = f"https://relay.example.com/voice/scripted?return={HOME}&tier=gold"
    states = kit.talk()["states"]
    back = kit.state("relay", "add-twiml-redirect", {"return": "how", "timeout": "sorry", "fail": "sorry"}, url=url)
    how = kit.state("how", "split-based-on", {"noMatch": "bye"}, input="{{widgets.relay.SessionStatus}}")
    failed = {
        "friendly_name": "failed",
        "arguments": [how["properties"]["input"]],
        "type": "equal_to",
        "value": "failed",
    }
    how["transitions"].append({"event": "match", "next": "sorry", "conditions": [failed]})
    flow(kit.definition(states[1], back, how, *states[3:]))
    report = json.loads(run("flow", "run", "--json", "--script", str(script(getattr(kit, kind)))).stdout)
    assert report["ok"] is True, report
    assert [step["widget"] for step in report["path"]][:4] == ["Trigger", "welcome", "relay", "how"]
    assert (report["sessions"][0]["agent"], report["sessions"][0]["status"]) == ("scripted", status)
    assert report["context"]["widgets"]["relay"]["SessionStatus"] == status


def test_a_redirect_that_does_not_come_home_ends_the_call(run: Any, flow: Any, script: Any, kit: Any) -> None:
    states = kit.talk()["states"]
    url = "https://relay.example.com/voice/scripted"
    away = kit.state("relay", "add-twiml-redirect", {"return": "bye", "timeout": "sorry", "fail": "sorry"}, url=url)
    flow(kit.definition(states[1], away, *states[3:]))
    report = json.loads(run("flow", "run", "--json", "--script", str(script(kit.bye))).stdout)
    assert [step["widget"] for step in report["path"]] == ["Trigger", "welcome", "relay"]
    assert any("did not send the call back" in warning["message"] for warning in report["warnings"])


def test_subflows_and_the_time_are_given(run: Any, flow: Any, script: Any, kit: Any) -> None:
    said = kit.state("say", "say-play", {"audioComplete": None}, say="{{ 'now' | date: '%H' }}")
    flow(kit.definition(said), "inner.json")
    sid = "FW" + "0" * 32
    flow(kit.definition(kit.state("sub", "run-subflow", {"completed": "say"}, flow_sid=sid), said))
    call = script("expect: {path: [Trigger, sub, say], hear: '10'}\n")
    arguments = ["--subflow", f"{sid}=inner.json", "--now", "2027-03-01T18:30"]  # Studio writes dates in Pacific time
    done = run("flow", "run", "--script", str(call), *arguments)
    assert done.exit_code == 0, done.output


def test_a_running_server_is_called(run: Any, flow: Any, script: Any, kit: Any, server: Any) -> None:
    flow()
    url = server("--insecure", "--agent", "scripted")
    done = run("flow", "run", "--script", str(script(kit.outage)), "--url", url, "--speed", "20", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["clock"], report["sessions"][0]["status"]) == (0, "real", "failed")


def test_settings_of_the_machine_are_not_read(
    run: Any, flow: Any, script: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_RELAY_PORT", "no port")
    flow()
    assert run("flow", "run", "--script", str(script(kit.bye))).exit_code == 0
