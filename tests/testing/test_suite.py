"""Suites of caller scripts as a library and as a fixture, and the server in process that answers for every host."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from studio_relay import hookimpl
from studio_relay.errors import FlowError, PluginError
from studio_relay.plugins import assemble, load_plugins, plugin
from studio_relay.testing.own_server import named_agent, own_server
from studio_relay.testing.suite import SuiteResult, collect, run_suite

URL = "wss://relay.example.com/relay/desk"


class Desk:
    """Ends every call with the word it was told."""

    def __init__(self, code: str = "done") -> None:
        self.code = code

    @hookimpl
    def on_setup(self) -> str:
        return "Hello."

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> None:
        await call.end({"reasonCode": self.code, "version": 1})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    states = [
        {"name": "Trigger", "type": "trigger", "transitions": [{"event": "incomingCall", "next": "relay"}]},
        {
            "name": "relay",
            "type": "run-conversation-relay",
            "transitions": [{"event": "success", "next": "bye"}, {"event": "failed"}],
            "properties": {"url": URL},
        },
        {
            "name": "bye",
            "type": "say-play",
            "transitions": [{"event": "audioComplete"}],
            "properties": {"say": "Goodbye."},
        },
    ]
    (tmp_path / "flow.json").write_text(json.dumps({"states": states, "initial_state": "Trigger"}))
    (tmp_path / "call.yaml").write_text(
        "flow: flow.json\nsteps:\n  - hear: hello\n  - say: bye\nexpect: {handoff: {reasonCode: done}, hear: Goodbye}\n"
    )
    return tmp_path


def desk(code: str = "done") -> dict[str, Any]:
    agent = plugin(Desk(code), name="desk", kind="agent")
    return {"plugins": assemble([*load_plugins(outside=False).agents.values(), agent])}


def test_a_suite_covers_its_flow(folder: Path, relay_environment: None) -> None:
    result = run_suite(collect([folder]), **desk())
    assert result.ok, result.explain()
    assert (result.percent, result.transitions, result.explain()) == (100.0, (2, 2), "")
    assert list(result.flows) == [folder / "flow.json"]


def test_why_it_is_not_ok_is_explained(folder: Path, relay_environment: None) -> None:
    (folder / "never.yaml").write_text("flow: gone.json\nsteps:\n  - say: hello\n")
    result = run_suite(collect([folder]), **desk("other"), min_coverage=101)
    assert not result.ok
    faults = result.explain().splitlines()
    assert "gone.json" in faults[0]
    assert faults[1].startswith(f"{folder / 'call.yaml'}:5: handoff: expected {{'reasonCode': 'done'}}, found")
    assert "100.0 % of the transitions were followed, 101 % were asked for" in faults[2]


def test_results_are_told_as_they_come_and_each_call_is_another(folder: Path, relay_environment: None) -> None:
    (folder / "second.yaml").write_text((folder / "call.yaml").read_text())
    told: list[Any] = []
    result = run_suite(collect([folder]), on_result=told.append, **desk())
    assert told == list(result.results)
    sids = {one.run.context["trigger"]["call"]["CallSid"] for one in told}
    assert len(sids) == 2


def test_a_suite_fixture(folder: Path, flow_suite: Callable[..., SuiteResult]) -> None:
    assert flow_suite(folder, agent=Desk()).ok
    failed = flow_suite(folder / "call.yaml", agent=Desk("other"))
    assert "found" in failed.explain()
    assert flow_suite(folder / "call.yaml", agent="echo").results[0].run is not None


def test_no_script_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="no caller script there"):
        collect([tmp_path])


@pytest.mark.parametrize(
    ("url", "agent"),
    [
        ("wss://a.example.com/relay/desk", "desk"),
        ("wss://a.example.com/prefix/relay/desk?x=/relay/other", "desk"),
        ("https://a.example.com/voice/desk?return=x", "desk"),
        ("https://a.example.com/connect-action/desk", "desk"),
        ("wss://a.example.com/relay", None),
        ("wss://a.example.com/relay/", None),
        ("wss://a.example.com/desk", None),
        ("", None),
    ],
)
def test_the_agent_a_url_names(url: str, agent: str | None) -> None:
    assert named_agent(url) == agent


async def test_agents_that_are_not_there_are_named_with_those_that_are(relay_environment: None) -> None:
    with pytest.raises(PluginError, match="agent 'nobody' is not installed; installed: echo"):
        async with own_server(agent="nobody", plugins=load_plugins(outside=False)):
            pass
    async with own_server(plugins=load_plugins(outside=False)) as server:
        with pytest.raises(FlowError, match="agent 'desk' is not installed; installed: echo"):
            await server.connect(URL, {})


async def test_several_agents_are_an_error_only_where_none_is_named(relay_environment: None) -> None:
    two = [plugin(Desk(), name=name, kind="agent", package="p") for name in ("one", "two")]
    plugins = assemble([*load_plugins(outside=False).agents.values(), *two])
    async with own_server(plugins=plugins) as server:
        socket = await server.connect("wss://a.example.com/relay/two", {})
        await socket.abort()
        with pytest.raises(PluginError, match="several agents are installed: one, two"):
            await server.connect("wss://a.example.com/relay", {})


class Talker:
    """Never comes to an end: in one reply, or again and again."""

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once

    @hookimpl
    async def on_setup(self, call: Any) -> AsyncIterator[str]:
        if not self._at_once:
            self._task = asyncio.create_task(self._go_on(call))
        while self._at_once:
            yield "word "

    async def _go_on(self, call: Any) -> None:
        while True:
            call.say("I am still here.")
            await asyncio.sleep(2)


@pytest.mark.parametrize(
    ("at_once", "message"), [(True, "'under-test' never ends its reply"), (False, "still going on after 120 s")]
)
def test_an_agent_that_never_ends(
    folder: Path, flow_suite: Callable[..., SuiteResult], at_once: bool, message: str
) -> None:
    result = flow_suite(folder, agent=Talker(at_once=at_once), call_limit=120)
    assert message in result.explain()
    assert [one.run for one in result.results] == [None]
