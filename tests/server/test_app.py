"""Routes, refusals before accept, and the life of the process."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from studio_relay import Call, Prompt, create_app, hookimpl
from studio_relay.errors import PluginError, SettingsError, StoreError
from studio_relay.plugins import Failure, assemble, load_plugins, plugin
from studio_relay.settings import load_settings
from studio_relay.testing.asgi import AsgiTransport
from studio_relay.testing.signing import sign_upgrade

pytestmark = pytest.mark.looptime

TOKEN = "0123456789abcdef0123456789abcdef"
FRAMES = Path(__file__).resolve().parents[3] / "shared" / "reference" / "frames.jsonl"


class Echo:
    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> str:
        return f"You said {prompt.voice_prompt}."


def warned(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


async def get(server: Any, path: str) -> tuple[int, dict[str, Any]]:
    response = await AsgiTransport(server.app).request("GET", f"http://localhost{path}")
    return response.status, json.loads(response.text)


async def test_a_call_is_answered(serve: Any, setup_frame: Any) -> None:
    socket = await serve(Echo()).connect()
    assert socket.accepted
    await socket.send(setup_frame)
    await socket.prompt("hello")
    assert socket.frames == [{"type": "text", "token": "You said hello.", "last": True}]


async def test_the_path_chooses_the_agent(serve: Any, setup_frame: Any) -> None:
    socket = await serve(Echo()).connect("/relay/echo")
    await socket.send(setup_frame)
    await socket.prompt("hello")
    assert socket.words == "I heard: hello"


async def test_an_unknown_agent_is_404_before_accept(serve: Any, caplog: Any) -> None:
    socket = await serve(Echo()).connect("/relay/nobody")
    assert (socket.accepted, socket.refused) == (False, 404)
    assert "agent 'nobody' is not installed; installed: agent, echo" in warned(caplog)
    assert "echo" not in socket.body


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 400), ("/relay/", 404), ("/relay/a/b", 404), ("/voice/x/y", 404), ("/relayx", 404), ("/voice", 400)],
)
async def test_an_upgrade_to_no_relay_is_refused_and_told(serve: Any, path: str, status: int, caplog: Any) -> None:
    socket = await serve(Echo()).connect(path)
    assert (socket.accepted, socket.refused) == (False, status)
    assert f"upgrade of '{path}' refused with {status}: " in warned(caplog)


async def test_the_custom_parameter_chooses_where_that_is_allowed(serve: Any, setup_frame: Any, caplog: Any) -> None:
    server = serve(Echo(), agent_from_parameters=True)
    for name, expected in (("echo", "I heard: hello"), ("nobody", "You said hello."), ("agent", "You said hello.")):
        socket = await server.connect()
        await socket.send(setup_frame | {"callSid": name, "customParameters": {"agent": name}})
        await socket.prompt("hello")
        assert socket.words == expected
    assert "one that is not installed; agent answers" in warned(caplog)
    assert "nobody" not in warned(caplog)


async def test_the_custom_parameter_is_not_heeded_unless_allowed(serve: Any, setup_frame: Any) -> None:
    socket = await serve(Echo()).connect()
    await socket.send(setup_frame | {"customParameters": {"agent": "echo"}})
    await socket.prompt("hello")
    assert socket.words == "You said hello."


# --- who may connect --------------------------------------------------------------------------------------


async def test_a_signed_upgrade_is_taken(serve: Any) -> None:
    server = serve(Echo(), auth_token=TOKEN, public_url="https://relay.example.com")
    headers = {"host": "relay.example.com"} | sign_upgrade("wss://relay.example.com/relay", TOKEN)
    socket = await server.connect(headers=headers)
    assert socket.accepted


@pytest.mark.parametrize("token", ["another", None])
async def test_a_wrong_or_missing_signature_is_403_before_accept(serve: Any, token: str | None, caplog: Any) -> None:
    server = serve(Echo(), auth_token=TOKEN, public_url="https://relay.example.com")
    headers = {"host": "relay.example.com"} | sign_upgrade("wss://relay.example.com/relay", token)
    socket = await server.connect(headers=headers)
    assert (socket.accepted, socket.refused) == (False, 403)
    assert "refused with 403: " in warned(caplog)
    assert "sign" in warned(caplog).partition("403: ")[2].lower()
    assert TOKEN not in caplog.text
    for value in sign_upgrade("wss://relay.example.com/relay", token).values():
        assert value not in caplog.text


async def test_a_host_that_cannot_carry_a_refusal_closes(serve: Any) -> None:
    server = serve(Echo(), auth_token=TOKEN)
    socket = await server.connect(can_refuse=False)
    assert not socket.accepted
    assert socket.closed is not None


@pytest.mark.parametrize(
    ("headers", "peer", "why"),
    [
        ({"x-forwarded-for": "1.2.3.4"}, "127.0.0.1", "x-forwarded-for"),
        ({"host": "abc.tunnel.example"}, "127.0.0.1", "loopback names only"),
        ({"origin": "https://evil.example"}, "127.0.0.1", "its own pages only"),
        ({}, "10.1.2.3", "this machine only"),
    ],
)
async def test_without_signatures_only_this_machine_is_served(
    serve: Any, headers: Any, peer: str, why: str, caplog: Any
) -> None:
    socket = await serve(Echo()).connect(headers=headers, peer=peer)
    assert (socket.accepted, socket.refused) == (False, 403)
    assert why in warned(caplog)


async def test_more_calls_than_the_limit_are_503_before_accept(serve: Any, caplog: Any) -> None:
    server = serve(Echo(), max_calls=2)
    sockets = [await server.connect() for _ in range(3)]
    assert [socket.accepted for socket in sockets] == [True, True, False]
    assert sockets[2].refused == 503
    assert "2 calls are live, the limit" in warned(caplog)
    assert await get(server, "/ready") == (503, {"ok": False, "draining": False, "calls": 2})
    await sockets[0].disconnect()
    assert (await get(server, "/ready"))[0] == 200
    assert (await server.connect()).accepted


async def test_upgrades_at_the_same_moment_do_not_pass_the_limit(serve: Any) -> None:
    server = serve(Echo(), max_calls=3)
    sockets = await asyncio.gather(*(server.connect() for _ in range(10)))
    assert sum(socket.accepted for socket in sockets) == 3


async def test_a_server_that_leaves_takes_no_calls(serve: Any, caplog: Any) -> None:
    server = serve(Echo())
    server.relay.draining = True
    socket = await server.connect()
    assert socket.refused == 503
    assert "draining" in warned(caplog)
    assert await get(server, "/ready") == (503, {"ok": False, "draining": True, "calls": 0})
    assert await get(server, "/health") == (200, {"ok": True})


# --- the life of the process ------------------------------------------------------------------------------


async def test_startup_and_shutdown_hooks_once_each(serve: Any) -> None:
    seen: list[Any] = []

    class Agent(Echo):
        @hookimpl
        async def on_startup(self, settings: Any) -> None:
            seen.append(settings.port)
            assert not hasattr(settings, "auth_token")

        @hookimpl
        def on_shutdown(self) -> None:
            seen.append("down")

    async with AsgiTransport(serve(Agent(), port=9999).app):
        assert seen == [9999]
    assert seen == [9999, "down"]


@pytest.mark.parametrize("fault", ["raises", "hangs"])
async def test_a_startup_hook_that_fails_stops_the_start_with_its_name(serve: Any, fault: str) -> None:
    class Agent(Echo):
        @hookimpl
        async def on_startup(self) -> None:
            if fault == "hangs":
                await asyncio.Event().wait()
            raise ValueError("no database")

    with pytest.raises(Exception, match="plugin agent failed in on_startup"):
        async with AsgiTransport(serve(Agent()).app):
            pass


async def test_a_shutdown_hook_that_fails_is_logged_and_the_others_run(serve: Any, caplog: Any) -> None:
    seen = []

    class Failing:
        @hookimpl
        def on_shutdown(self) -> None:
            raise ValueError

    class Fine:
        @hookimpl
        def on_shutdown(self) -> None:
            seen.append("fine")

    async with AsgiTransport(serve(Echo(), Failing(), Fine()).app):
        pass
    assert seen == ["fine"]
    assert "extension-0 failed in on_shutdown" in caplog.text


async def test_what_could_not_be_loaded_is_reported_at_the_start(caplog: Any) -> None:
    failure = Failure(name="broken", kind="agent", package="studio-relay-broken", reason="ImportError: no module x")
    found = [*load_plugins(outside=False).agents.values()]
    app = create_app(load_settings(None, insecure=True, agent="echo"), assemble(found, [failure]))
    async with AsgiTransport(app):
        pass
    assert "agent broken (studio-relay-broken) could not be loaded: ImportError: no module x" in warned(caplog)


async def test_hooks_without_their_marker_are_warned_of(serve: Any, caplog: Any) -> None:
    class Forgetful(Echo):
        async def on_dtmf(self, call: Call) -> None: ...

    async with AsgiTransport(serve(Forgetful()).app):
        pass
    assert "plugin agent: on_dtmf is defined without @hookimpl" in warned(caplog)


async def test_without_an_agent_echo_answers_with_a_warning(caplog: Any) -> None:
    app = create_app(load_settings(None, insecure=True), load_plugins(outside=False))
    async with AsgiTransport(app):
        pass
    assert "the built-in echo answers" in warned(caplog)


def test_an_agent_that_is_not_installed_stops_the_start() -> None:
    with pytest.raises(PluginError, match=r"agent .nobody. is not installed; installed: .*echo"):
        create_app(load_settings(None, insecure=True, agent="nobody"), load_plugins(outside=False))


def test_several_agents_and_none_named_stop_the_start() -> None:
    found = [plugin(Echo(), name=name, kind="agent") for name in ("one", "two")]
    with pytest.raises(PluginError, match="several agents are installed: one, two"):
        create_app(load_settings(None, insecure=True), assemble(found))


def test_a_missing_token_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="TWILIO_AUTH_TOKEN"):
        create_app()


def test_a_store_that_cannot_be_opened_stops_the_start() -> None:
    with pytest.raises(StoreError, match="STUDIO_RELAY_STORE_URL"):
        create_app(load_settings(None, insecure=True, store_url="mysql://x"), load_plugins(outside=False))


# --- every frame of the corpus ----------------------------------------------------------------------------


def corpus() -> list[Any]:
    if not FRAMES.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="the optional corpus frames.jsonl is not here"))]
    entries = [json.loads(line) for line in FRAMES.read_text().splitlines() if line.strip()]
    return [pytest.param(entry, id=f"{index}-{entry['note'][:40]}") for index, entry in enumerate(entries)]


HOOKS = ("on_partial_prompt", "on_info", "on_error", "on_unknown", "on_interrupt", "on_prompt", "on_dtmf", "on_setup")


def counting(seen: list[str]) -> Any:
    """An extension that notes which hooks are called."""

    def note(name: str) -> Any:
        def hook(self: Any) -> None:
            seen.append(name)

        return hookimpl(hook)

    return type("Counting", (), {name: note(name) for name in HOOKS})()


@pytest.mark.parametrize("entry", corpus())
async def test_each_frame_is_one_event_or_one_refusal(serve: Any, setup_frame: Any, entry: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO, logger="studio_relay")
    seen: list[str] = []
    socket = await serve(Echo(), counting(seen)).connect()
    await socket.send(setup_frame)
    assert seen == ["on_setup"]
    seen.clear()
    caplog.clear()
    await socket.send(entry["frame"])
    refusals = [r for r in caplog.records if "frame refused: " in r.getMessage()]
    repeated = [r for r in caplog.records if "a second setup" in r.getMessage()]
    assert (len(seen) + len(repeated), len(refusals)) == ((1, 0) if entry["valid"] else (0, 1))
    assert not any(record.exc_info for record in caplog.records)
    assert all(len(r.getMessage()) > len("frame refused: ") for r in refusals)
    sent = len(socket.frames)
    await socket.prompt("still there")
    assert [frame["token"] for frame in socket.frames[sent:]] == ["You said still there."]
    assert socket.closed is None
