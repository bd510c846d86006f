"""The ways to a server: what an app sees in process, and what real sockets make of servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from studio_relay.testing import (
    AsgiTransport,
    AttributesRefused,
    Closed,
    Identity,
    Line,
    NetTransport,
    Unreachable,
    UpgradeRefused,
    fetch_relay,
    parse_script,
    run_call,
    run_virtual,
)

ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nwrong key"


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[NetTransport]:
    """A TCP server that answers every connection with these bytes; None closes at once."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, asyncio.timeout(20):
        yield NetTransport(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(("answer", "status"), [(ACCEPTED, 200), (REFUSED, 403)])
async def test_anything_but_101_is_a_refusal_with_its_text(answer: bytes, status: int) -> None:
    async with server(answer) as transport:
        with pytest.raises(UpgradeRefused) as refused:
            await transport.connect("wss://relay.example.test/relay", {})
    assert refused.value.status == status
    assert refused.value.body in ("hello", "wrong key")


@pytest.mark.parametrize("answer", [None, b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 101 Yes\r\n\r\n"])
async def test_what_speaks_no_websocket_is_unreachable(answer: bytes | None) -> None:
    async with server(answer) as transport:
        with pytest.raises(Unreachable, match=r"ws://127\.0\.0\.1:\d+/relay:"):
            await transport.connect("wss://relay.example.test/relay?secret=1", {})


async def test_nobody_there() -> None:
    async with server(None) as transport:
        pass
    with pytest.raises(Unreachable):
        await transport.connect("/relay", {})
    with pytest.raises(Unreachable):
        await transport.request("POST", "/voice", form={})


async def test_a_path_needs_a_server() -> None:
    with pytest.raises(Unreachable, match="whole URL"):
        await NetTransport().connect("/relay", {})


def test_a_refused_call_is_a_failed_session_and_no_traceback(serve: Any) -> None:
    app = serve(lambda frame: [], refuse=503)
    run = run_virtual(run_call(Line(transport=AsgiTransport(app)), "/relay", parse_script("steps: [hang_up]")))
    assert (run.sessions[0].outcome.status, run.sessions[0].outcome.error_code) == ("failed", "64102")


def test_the_app_sees_a_proper_upgrade() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([scope, await receive()])
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": b"binary"})
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})

    async def main() -> list[Any]:
        socket = await AsgiTransport(app).connect(
            "wss://relay.example.test:8443/a%20b?c=d", {"X-Twilio-Signature": "s"}
        )
        return [await socket.receive(), await socket.receive(), await socket.receive()]

    assert run_virtual(main()) == [b"binary", *[Closed(code=4000, reason="enough")] * 2]
    scope = seen[0]
    assert (scope["scheme"], scope["path"], scope["raw_path"], scope["query_string"]) == (
        "wss",
        "/a b",
        b"/a%20b",
        b"c=d",
    )
    assert dict(scope["headers"]) == {b"host": b"relay.example.test:8443", b"x-twilio-signature": b"s"}
    assert seen[1] == {"type": "websocket.connect"}


def test_an_app_that_raises_is_kept_and_ends_the_socket() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        raise ValueError("broken")

    async def main() -> tuple[Any, list[BaseException]]:
        transport = AsgiTransport(app)
        socket = await transport.connect("/relay", {})
        return await socket.receive(), transport.failures

    closed, failures = run_virtual(main())
    assert closed == Closed(code=1006)
    assert [str(error) for error in failures] == ["broken"]


TWIML = (
    '<Response><Connect><ConversationRelay url="wss://relay.example.test/relay" '
    'welcomeGreeting="Hi."/></Connect></Response>'
)


def test_a_voice_url_says_how_the_relay_is(serve: Any) -> None:
    app = serve(lambda frame: [], action=TWIML)
    line = Line(transport=AsgiTransport(app), auth_token="t", seed=1)
    script = parse_script("steps:\n  - hear: hi\n  - hang_up")
    run = run_virtual(run_call(line, "https://relay.example.test/voice", script))
    assert run.ok
    assert app.forms[0]["CallStatus"] == "ringing"
    assert b"x-twilio-signature" in dict(app.scopes[0]["headers"])
    assert [frame["type"] for frame in app.frames] == ["setup"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [("<Response><Say>Hi</Say></Response>", "found <Say>"), ("oops", "not XML"), ("", "not XML")],
)
def test_twiml_that_is_no_relay_is_refused_with_its_line(serve: Any, answer: str, says: str) -> None:
    async def main() -> None:
        await fetch_relay(
            AsgiTransport(serve(lambda f: [], action=answer)), "https://a.example/voice", Identity.fresh(1)
        )

    with pytest.raises(AttributesRefused, match=says) as refused:
        run_virtual(main())
    assert refused.value.line == 1
