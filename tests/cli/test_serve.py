"""`studio-relay serve` as a program: what it says, how it leaves, what stops it from starting."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from studio_relay.testing import Closed, Identity, NetTransport, RelayAttributes, SimulatedCall, UpgradeRefused
from studio_relay.testing.transport import Socket

SECONDS = 30


class Server:
    """A running `studio-relay serve --json`."""

    def __init__(self, process: asyncio.subprocess.Process, said: Mapping[str, Any]) -> None:
        self.process = process
        self.said = said
        self.url: str = said["local_relay_url"]

    async def dial(self) -> Socket:
        """A socket that has sent its setup."""
        wire = await NetTransport().connect(self.url, {})
        await wire.send_text(json.dumps(Identity.fresh().setup("VX" + "0" * 32, {})))
        return wire

    async def left(self) -> tuple[int, str]:
        """Exit code and log, once it has left."""
        async with asyncio.timeout(SECONDS):
            _, log = await self.process.communicate()
        return self.process.returncode or 0, log.decode()

    async def is_draining(self) -> None:
        """Wait until it says so."""
        async with asyncio.timeout(SECONDS):
            base = self.url.replace("ws:", "http:").removesuffix("/relay")
            while (await NetTransport().request("GET", base + "/ready")).status != 503:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(*arguments: str, **variables: str) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "studio_relay", "serve", "--port", "0", "--agent", "echo", "--json", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **variables},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            line = await process.stdout.readline()
        assert line, (await process.communicate())[1].decode()
        yield Server(process, json.loads(line))
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_a_whole_signed_call_on_the_port_it_says() -> None:
    async with serving(TWILIO_AUTH_TOKEN="secret") as server, asyncio.timeout(SECONDS):
        assert not server.url.endswith(":0/relay")
        call = SimulatedCall(
            NetTransport(),
            server.url,
            attributes=RelayAttributes.full(),
            auth_token="secret",
            identity=Identity.fresh(),
        )
        await call.start()
        assert call.refusal is None
        call.say("hello")
        assert await call.wait_until(lambda: "I heard: hello" in call.heard(), timeout_ms=20_000)
        call.hang_up()
        assert (await call.finished()).status == "completed"


async def test_what_is_not_signed_is_refused() -> None:
    async with serving(TWILIO_AUTH_TOKEN="secret") as server:
        with pytest.raises(UpgradeRefused) as refused:
            await NetTransport().connect(server.url, {})
    assert refused.value.status == 403


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_without_calls_it_leaves_at_once(number: signal.Signals) -> None:
    async with serving("--insecure") as server:
        server.process.send_signal(number)
        code, log = await server.left()
    assert code == 0
    assert "Traceback" not in log


async def test_while_draining_no_call_is_taken_and_a_caller_who_speaks_is_answered() -> None:
    async with serving("--insecure") as server:
        wire = await server.dial()
        await wire.send_text('{"type":"prompt","voicePrompt":"still","lang":"en","last":false}')
        server.process.send_signal(signal.SIGTERM)
        await server.is_draining()
        with pytest.raises(UpgradeRefused) as refused:
            await server.dial()
        assert refused.value.status == 503
        await wire.send_text('{"type":"prompt","voicePrompt":"still there","lang":"en","last":true}')
        assert "I heard:" in str(await _next(wire))
        await wire.close(1000)
        code, log = await server.left()
    assert code == 0
    assert "Traceback" not in log


async def test_a_call_is_handed_on_at_its_first_pause() -> None:
    async with serving("--insecure") as server:
        wire = await server.dial()
        await wire.send_text('{"type":"prompt","voicePrompt":"x","lang":"en","last":true}')
        assert "I heard:" in str(await _next(wire))
        server.process.send_signal(signal.SIGTERM)
        await _until_handed_on(wire)
        await wire.close(1000)
        code, log = await server.left()
    assert code == 0
    assert "draining: 1 calls are live" in log
    assert "drained: 1 calls were handed on" in log
    assert "Traceback" not in log


async def test_a_call_without_a_pause_is_handed_on_eight_seconds_before_the_deadline() -> None:
    async with serving("--insecure", STUDIO_RELAY_SHUTDOWN_SECONDS="8.5") as server:
        wire = await server.dial()
        await wire.send_text('{"type":"prompt","voicePrompt":"and then","lang":"en","last":false}')
        server.process.send_signal(signal.SIGTERM)
        await _until_handed_on(wire)
        await wire.close(1000)
        code, log = await server.left()
    assert code == 0
    assert "1 calls had no pause in 0.5 s and are cut short" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_leaves_at_once(number: signal.Signals) -> None:
    async with serving("--insecure") as server:
        wire = await server.dial()
        await wire.send_text('{"type":"prompt","voicePrompt":"and then","lang":"en","last":false}')
        server.process.send_signal(number)
        await server.is_draining()
        server.process.send_signal(number)
        code, log = await server.left()
        assert isinstance(await _next(wire), Closed)
    assert code == 130
    assert "a second signal: 1 calls are cut off" in log
    assert "Traceback" not in log


def test_a_port_in_use_is_one_line(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--insecure", "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("studio-relay: STUDIO_RELAY_PORT: cannot listen on 127.0.0.1:")
    assert "address already in use" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ([], {}, "TWILIO_AUTH_TOKEN: not set"),
        (["--host", "0.0.0.0"], {"TWILIO_AUTH_TOKEN": "x"}, "STUDIO_RELAY_PUBLIC_URL: not set"),
        (["--insecure", "--agent", "nobody"], {}, "agent 'nobody' is not installed"),
        (["--insecure"], {"STUDIO_RELAY_PORT": "http"}, "STUDIO_RELAY_PORT: expected a whole number"),
        (["--insecure", "--host", "203.0.113.9"], {"STUDIO_RELAY_PUBLIC_URL": "https://x.example"}, "cannot listen on"),
        (["--port", "70000"], {}, "70000 is not in the range"),
        (
            ["--insecure"],
            {"STUDIO_RELAY_DRAIN_TIMEOUT_SECONDS": "30"},
            "STUDIO_RELAY_DRAIN_TIMEOUT_SECONDS: no longer a setting. Set STUDIO_RELAY_SHUTDOWN_SECONDS instead",
        ),
    ],
)
def test_what_stops_the_start(
    run: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = run("serve", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_nobody_reads_is_pointed_out(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_PUBLICURL", "https://x.example")
    done = run("serve")
    assert done.exit_code == 2  # for want of a token
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "x")
    done = run("serve", "--agent", "nobody")
    assert "nobody reads the setting STUDIO_RELAY_PUBLICURL; did you mean STUDIO_RELAY_PUBLIC_URL?" in done.stderr


async def _until_handed_on(wire: Socket) -> None:
    """Twilio is told to end the session, with what connects it to another server."""
    while (end := json.loads(str(await _next(wire))))["type"] == "text":
        pass
    assert end["type"] == "end"
    assert json.loads(end["handoffData"])["reasonCode"] == "relay-draining"


async def _next(wire: Socket) -> Any:
    async with asyncio.timeout(SECONDS):
        return await wire.receive()
