"""`studio-relay demo`: the whole thing in one process, over a real socket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio_relay.cli.demo_server import configured, demo_server, relay_agents
from studio_relay.studio.flow import Flow, parse_flow

RUN_KEYS = [
    *("version", "ok", "flow", "script", "clock", "speed", "path", "transcript", "sessions", "handoff", "context"),
    *("expectations", "warnings", "timings"),
]
FAST = ("--speed", "20")


def script(tmp_path: Path, steps: str) -> str:
    path = tmp_path / "script.yaml"
    path.write_text("answers: {person: {event: callCompleted}}\n" + steps)
    return str(path)


def test_it_ends_well_and_shows_the_call(run: Any) -> None:
    done = run("demo", *FAST)
    assert done.exit_code == 0, done.output
    for shown in ("[relay]", "agent  Hello", "caller What are your opening hours?", "-> match", "reasonCode person"):
        assert shown in done.output
    assert "path      Trigger > welcome > relay > has_handoff" in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    assert "\x1b" not in done.output


def test_json_is_a_run_and_nothing_else(run: Any) -> None:
    done = run("demo", "--json", *FAST)
    report = json.loads(done.stdout)
    assert list(report) == RUN_KEYS
    assert report["ok"] is True
    assert report["speed"] == 20
    assert report["sessions"][0]["status"] == "ended"
    assert report["handoff"]["reasonCode"] == "person"
    relay = next(step for step in report["path"] if step["widget"] == "relay")
    assert relay["event"] == "success"


@pytest.mark.parametrize(
    ("step", "status", "event"), [("hang_up", "completed", None), ("drop_socket", "failed", "failed")]
)
def test_ways_to_leave(run: Any, tmp_path: Path, step: str, status: str, event: str | None) -> None:
    steps = f"steps:\n  - hear: how can I help\n  - {step}\nexpect: {{status: {status}}}"
    done = run("demo", "--json", *FAST, "--script", script(tmp_path, steps))
    report = json.loads(done.stdout)
    assert done.exit_code == 0
    assert report["sessions"][0]["status"] == status
    relay = next(one for one in report["path"] if one["widget"] == "relay")
    assert relay.get("event") == event
    assert report["handoff"] is None


def test_what_was_expected_in_vain_is_shown_and_1(run: Any, tmp_path: Path) -> None:
    path = script(tmp_path, "steps:\n  - hear: how can I help\n  - hang_up\nexpect: {status: ended}")
    done = run("demo", *FAST, "--script", path)
    assert done.exit_code == 1
    assert "failed    line 5, status: ended" in done.output
    assert "found    completed" in done.output


def test_it_is_deaf_to_the_settings_of_the_machine(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_PORT", "no port")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "1" * 32)
    assert run("demo", "--json", *FAST).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--flow", "x.json"], "--flow needs --script"),
        (["--script", "none.yaml"], "cannot read the script none.yaml"),
        (["--speed", "0"], "--speed"),
    ],
)
def test_what_cannot_be_done(run: Any, arguments: list[str], message: str) -> None:
    done = run("demo", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_widget_without_an_answer_is_named(run: Any, tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text("steps:\n  - hear: how can I help\n  - say: a person\n")
    done = run("demo", *FAST, "--script", str(tmp_path / "bare.yaml"))
    assert done.exit_code == 2
    assert "person" in done.stderr


def flow_to(url: str) -> Flow:
    relay = {"name": "relay", "type": "run-conversation-relay", "transitions": [], "properties": {"url": url}}
    trigger = {
        "name": "Trigger",
        "type": "trigger",
        "transitions": [{"event": "incomingCall", "next": "relay"}],
        "properties": {},
    }
    return parse_flow(json.dumps({"states": [trigger, relay], "initial_state": "Trigger"}), name="small")


@pytest.mark.parametrize(
    ("url", "agent"),
    [
        ("wss://x.example/relay/echo", "echo"),
        ("wss://x.example/prefix/relay/echo?x=1", "echo"),
        ("wss://x.example/relay/nobody", "scripted"),
        ("wss://x.example/relay", "scripted"),
        ("{{flow.variables.url}}", "scripted"),
    ],
)
async def test_relay_widgets_are_pointed_at_the_server(url: str, agent: str) -> None:
    flow = flow_to(url)
    async with demo_server("secret", ["scripted"], named=relay_agents(flow)) as server:
        found = configured(flow, server).widget("relay").text("url")
        assert found == f"{server.public_url}/{agent}"
    assert flow.widget("relay").text("url") == url


def test_a_reader_that_leaves_is_no_failure() -> None:
    command = [sys.executable, "-m", "studio_relay", "demo", *FAST]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == ""
    process.stderr.close()
