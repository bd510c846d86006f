"""Whole calls by the voice URL, on virtual time: TwiML, the session, its end, and what Twilio does next."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree

import pytest

from studio_relay import Call, Handoff, create_app, hookimpl
from studio_relay.plugins import assemble, load_plugins, plugin
from studio_relay.server.drain import drain
from studio_relay.settings import FAREWELLS, load_settings
from studio_relay.store import MemoryStore, SessionStore
from studio_relay.testing import AsgiTransport, Run, parse_script, run_call, run_virtual
from studio_relay.testing.relay import Line
from studio_relay.testing.transport import Response, Socket, UpgradeRefused

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://relay.example.com"
ACCOUNT = "AC" + "0" * 32
HOME = f"https://webhooks.twilio.com/v1/Accounts/{ACCOUNT}/Flows/FW{'0' * 32}"


class Person(Handoff):
    reason_code: Literal["person"] = "person"


class Desk:
    """Counts what it hears over all sessions of a call, and hands over to a person."""

    relay: ClassVar[dict[str, Any]] = {"welcome_greeting": "Hello. How can I help?"}
    handoff_model = Person

    def __init__(self) -> None:
        self.sessions: list[tuple[int, list[str], Mapping[str, str]]] = []
        self.ends: list[str] = []

    @hookimpl
    def on_setup(self, call: Call) -> str | None:
        self.sessions.append((call.session_number, [turn.text for turn in call.transcript], call.parameters))
        return None if call.session_number == 1 else "I am back."

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Any) -> str | None:
        call.state["heard"] = call.state.get("heard", 0) + 1
        if "person" in prompt.voice_prompt:
            call.say("I connect you.")
            await call.end(Person(summary=f"heard {call.state['heard']}"))
            return None
        return f"That was number {call.state['heard']}."

    @hookimpl
    def on_end(self, end: Any) -> None:
        self.ends.append(end.reason)


class Servers:
    """One or more servers behind one address, like processes behind a proxy; `up` says which one is reached."""

    def __init__(self, count: int = 1, *, store: SessionStore | None = None, **settings: Any) -> None:
        self.desk = Desk()
        built_in = load_plugins(outside=False)
        found = assemble([*built_in.agents.values(), plugin(self.desk, name="desk", kind="agent")])
        wanted = {"auth_token": TOKEN, "public_url": PUBLIC, "account_sid": ACCOUNT, "agent": "desk"} | settings
        shared = store or MemoryStore()
        self.apps = [create_app(load_settings(None, **wanted), found, store=shared) for _ in range(count)]
        self.transports = [AsgiTransport(app) for app in self.apps]
        self.up = 0
        self.answers: list[Response] = []
        self.refused = 0

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        if self.refused:
            self.refused -= 1
            raise UpgradeRefused(502, "")
        return await self.transports[self.up].connect(url, headers)

    async def request(self, method: str, url: str, **options: Any) -> Response:
        answer = await self.transports[self.up].request(method, url, **options)
        self.answers.append(answer)
        return answer

    @property
    def outcomes(self) -> list[str]:
        return [answer.headers["studio-relay-outcome"] for answer in self.answers]

    def call(self, script: str, path: str = "/voice") -> Run:
        async def whole() -> Run:
            async with AsyncExitStack() as stack:
                for transport in self.transports:
                    await stack.enter_async_context(transport)
                line = Line(transport=self, auth_token=TOKEN, seed=1)
                return await run_call(line, PUBLIC + path, parse_script(script))

        run = run_virtual(whole(), limit_seconds=3_600)
        assert not [failure for transport in self.transports for failure in transport.failures]
        assert run.ok, (run.to_json()["expectations"], run.transcript, self.outcomes)
        return run


def spoken(run: Run) -> str:
    return " ".join(turn.text for turn in run.transcript if turn.who == "agent")


DROPPED = """
steps:
  - hear: how can I help
  - say: my parcel is late
  - hear: number 1
  - drop_socket
  - hear: I am back
  - say: a person please
expect: {handoff: {reasonCode: person, summary: heard 2}, status: ended}
"""


def test_a_call_to_the_voice_url_with_a_handoff() -> None:
    servers = Servers()
    run = servers.call(
        "steps: [{hear: how can I help}, {say: a person please}]\nexpect: {status: ended}", "/voice/desk"
    )
    assert (servers.outcomes, len(run.sessions)) == (["connect", "hang-up"], 1)
    assert run.handoff["summary"] == "heard 1"
    assert servers.desk.sessions == [(1, [], {})]


def test_a_caller_who_hangs_up() -> None:
    servers = Servers()
    servers.call("steps: [{hear: how can I help}, hang_up]\nexpect: {status: completed}")
    assert servers.outcomes == ["connect", "hung-up"]
    assert servers.answers[-1].status == 204


def test_a_lost_socket_is_resumed_without_a_second_greeting_with_its_history_and_state() -> None:
    servers = Servers()
    run = servers.call(DROPPED, "/voice?tier=gold")
    assert servers.outcomes == ["connect", "reconnect", "hang-up"]
    assert spoken(run).count("Hello") == 1
    (one, nothing, first), (two, history, second) = servers.desk.sessions
    assert (one, nothing, two) == (1, [], 2)
    assert history == ["Hello. How can I help?", "my parcel is late", "That was number 1."]
    assert first == second == {"tier": "gold"}
    assert servers.desk.ends == ["dropped", "ended"]
    assert [session.outcome.error_code for session in run.sessions] == ["64105", None]


def test_another_process_resumes_it_by_the_shared_store() -> None:
    servers = Servers(2, require_ticket=True)
    drop = servers.transports[0].connect

    async def connect(url: str, headers: Mapping[str, str]) -> Socket:
        servers.up = 1  # whatever comes after this socket, another process answers
        return await drop(url, headers)

    servers.transports[0].connect = connect  # type: ignore[method-assign]
    servers.call(DROPPED)
    assert servers.outcomes == ["connect", "reconnect", "hang-up"]
    assert [number for number, *_ in servers.desk.sessions] == [1, 2]


def test_past_the_bound_the_caller_hears_an_apology() -> None:
    servers = Servers()
    run = servers.call(
        "steps: [{hear: how can I help}, drop_socket, drop_socket, drop_socket]\nexpect: {status: failed}"
    )
    assert servers.outcomes == ["connect", "reconnect", "reconnect", "apology"]
    assert len(run.sessions) == 3
    assert FAREWELLS["en"] in ElementTree.fromstring(servers.answers[-1].text).findtext("Say", "")


def test_a_server_that_refuses_is_tried_once_more() -> None:
    servers = Servers()
    servers.refused = 1
    run = servers.call("steps: [{hear: how can I help}, {say: a person please}]\nexpect: {status: ended}")
    assert servers.outcomes == ["connect", "reconnect", "hang-up"]
    assert run.sessions[0].outcome.error_code == "64102"
    servers = Servers()
    servers.refused = 9
    servers.call("steps: []\nexpect: {status: failed}")
    assert servers.outcomes == ["connect", "reconnect", "apology"]


@pytest.mark.parametrize(
    ("steps", "status", "handoff"),
    [
        (
            "[{hear: help}, {say: a person please}]",
            "ended",
            {"reasonCode": "person", "version": 1, "summary": "heard 1"},
        ),
        ("[{hear: help}, drop_socket, drop_socket, drop_socket]", "failed", None),
    ],
)
def test_a_flow_has_its_call_back(steps: str, status: str, handoff: Any) -> None:
    servers = Servers()
    servers.call(f"steps: {steps}\nexpect: {{status: {status}}}", f"/voice?return={quote(HOME, safe='')}")
    home = ElementTree.fromstring(servers.answers[-1].text).findtext("Redirect", "")
    fields = {name: values[0] for name, values in parse_qs(urlsplit(home).query).items()}
    assert home.startswith(HOME + "?")
    assert (fields["FlowEvent"], fields["SessionStatus"]) == ("return", status)
    assert json.loads(fields.get("HandoffData", "null")) == handoff


def test_a_server_that_leaves_hands_its_calls_to_the_next_one() -> None:
    servers = Servers(2, shutdown_seconds=8)
    leaving = servers.apps[0].extensions["studio_relay"]

    async def leave() -> None:
        servers.up = 1
        await drain(leaving)

    tasks = []

    async def connect(url: str, headers: Mapping[str, str]) -> Socket:
        socket = await reached(url, headers)
        asyncio.get_running_loop().call_later(5, lambda: tasks.append(asyncio.ensure_future(leave())))
        return socket

    reached = servers.transports[0].connect
    servers.transports[0].connect = connect  # type: ignore[method-assign]
    run = servers.call(
        "steps: [{hear: how can I help}, {hear: I am back}, {say: a person please}]\n"
        "expect: {handoff: {reasonCode: person}, status: ended}"
    )
    assert servers.outcomes == ["connect", "moved", "hang-up"]
    assert servers.desk.ends == ["draining", "ended"]
    assert spoken(run).count("Hello") == 1
    assert run.sessions[0].outcome.handoff_data is not None


def test_twice_is_the_same() -> None:
    assert Servers().call(DROPPED).to_json() == Servers().call(DROPPED).to_json()


FOUR_SENTENCES = "steps: [{say: it is late}, {say: still late}, {say: really late}, {say: a person please}]"


@pytest.mark.parametrize("seed", range(20))
def test_a_server_that_is_gone_at_any_moment_costs_no_call_its_history(seed: int) -> None:
    rng = random.Random(seed)
    kind, after = rng.choice(["killed", "hung", "refused"]), rng.uniform(0.2, 10)
    servers = Servers(2)
    reached = servers.transports[0].connect
    tasks = []

    async def connect(url: str, headers: Mapping[str, str]) -> Socket:
        socket = await reached(url, headers)
        tasks.append(asyncio.ensure_future(go_down(socket)))
        return socket

    async def go_down(socket: Any) -> None:
        await asyncio.sleep(after)
        servers.up = 1
        servers.refused = 1 if kind == "refused" else 0
        if kind == "hung":  # the server notices half a minute later, when the call is long elsewhere
            tell = socket._to_app.put_nowait
            socket._to_app.put_nowait = partial(asyncio.get_running_loop().call_later, 30, tell)
        await socket.abort()

    servers.transports[0].connect = connect  # type: ignore[method-assign]
    run = servers.call(FOUR_SENTENCES)
    numbers = [number for number, *_ in servers.desk.sessions]
    assert numbers == list(range(1, len(numbers) + 1))
    assert servers.outcomes[-1] in ("hang-up", "hung-up")
    assert "apology" not in servers.outcomes
    assert spoken(run).count("Hello") <= 1  # none, if the server was gone before it began
    assert run.timings.longest_silence_ms <= 5_000
    counted = re.findall(r"number (\d)", spoken(run))
    assert counted == sorted(set(counted)), "what was counted before the outage is counted once"
