"""The same calls under every host, on real sockets: `studio_relay.asgi:app`, configured by the environment alone.

Each host is started as its users start it. They differ in what they know of a close: hypercorn reports 1006 for
every close by the peer, and `server/websocket.py` notes the real code on the way (pinned here, so that a new
version of hypercorn that changes its insides is noticed). uvicorn (`websockets-sansio`) and granian tell it.
"""

from __future__ import annotations

import asyncio
import json
import re
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from hosts import PUBLIC_URL, TOKEN, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from studio_relay.settings import APOLOGIES
from studio_relay.testing.signing import sign_upgrade

ANSWER_SECONDS = 10

AGENT = '''
"""Echoes, counts for a long time, hands over; writes every end to a file."""

import asyncio
import json
import os

from studio_relay import hookimpl


@hookimpl
async def on_prompt(call, prompt):
    if prompt.voice_prompt == "count":
        for number in range(2000):
            yield f"{number} "
            await asyncio.sleep(0.005)
    elif prompt.voice_prompt == "person":
        yield "Bye."
        await call.end({"reasonCode": "person", "orderId": 7})
    elif prompt.voice_prompt == "break out":
        raise KeyboardInterrupt
    elif prompt.voice_prompt == "break out of a task":
        await asyncio.create_task(break_out())
    else:
        yield "You said "
        yield f"{prompt.voice_prompt}."


async def break_out():
    raise SystemExit(3)


@hookimpl
def on_dtmf(call, dtmf):
    raise KeyboardInterrupt


@hookimpl
def on_end(call, end):
    handoff = dict(end.handoff) if end.handoff else None
    with open(os.environ["HOST_AGENT_LOG"], "a") as file:
        line = {"call": call.call_sid, "reason": end.reason, "code": end.close_code, "handoff": handoff}
        file.write(json.dumps(line) + chr(10))
'''


class Host:
    """A running host, and what its agent wrote."""

    def __init__(self, port: int, log: Path, pid: int) -> None:
        self.port = port
        self._pid = pid
        self._log = log
        self._calls = 0

    @asynccontextmanager
    async def call(self, *, token: str = TOKEN) -> AsyncIterator[tuple[ClientConnection, str]]:
        """One call, dialled in as Twilio does; its callSid."""
        self._calls += 1
        sid = f"CA{self._calls:032}"
        headers = sign_upgrade(f"{PUBLIC_URL.replace('https', 'wss')}/relay", token)
        async with asyncio.timeout(4 * ANSWER_SECONDS):
            socket = connect(
                f"ws://127.0.0.1:{self.port}/relay",
                additional_headers=headers,
                compression=None,
                proxy=None,
            )
            async with socket as client:
                await client.send(json.dumps(setup(sid)))
                yield client, sid

    async def end_of(self, sid: str) -> dict[str, Any]:
        """What on_end was told of a call."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while not (found := [end for end in self._ends() if end["call"] == sid]):  # noqa: ASYNC110  # a file
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        [end] = [end for end in self._ends() if end["call"] == sid]
        assert found == [end], "on_end was called more than once"
        return end

    def peak(self) -> int:
        """Most bytes that its processes have held since `forget_peak`."""
        return sum(int(re.search(r"VmHWM:\s*(\d+) kB", text)[1]) * 1024 for text in self._read("status"))  # type: ignore[index]

    def forget_peak(self) -> None:
        for process in self._processes():
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def _read(self, name: str) -> list[str]:
        return [Path(f"/proc/{process.pid}/{name}").read_text() for process in self._processes()]

    def _processes(self) -> list[psutil.Process]:
        own = psutil.Process(self._pid)
        return [own, *own.children(recursive=True)]

    async def upgrade(self, offer: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        """A signed socket whose client offers an extension; the head of the answer too."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        headers = sign_upgrade(f"{PUBLIC_URL.replace('https', 'wss')}/relay", TOKEN) | {
            "Host": f"127.0.0.1:{self.port}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Extensions": offer,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET /relay HTTP/1.1\r\n{lines}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        return reader, writer, head

    def _ends(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []


def setup(sid: str) -> dict[str, Any]:
    return {
        "type": "setup",
        "sessionId": sid.replace("CA", "VX"),
        "callSid": sid,
        "accountSid": "AC" + "0" * 32,
        "from": "+15550100001",
        "to": "+15550100002",
        "direction": "inbound",
        "customParameters": {},
    }


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn", "granian"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Each host in turn, started once for all tests here."""
    folder = tmp_path_factory.mktemp(request.param)
    log = folder / "ends.jsonl"
    with running(request.param, folder, AGENT, HOST_AGENT_LOG=str(log)) as server:
        yield Host(server.port, log, server.process.pid)


async def send(client: ClientConnection, **frame: Any) -> None:
    await client.send(json.dumps(frame))


async def prompt(client: ClientConnection, text: str) -> None:
    await send(client, type="prompt", voicePrompt=text, lang="en-US", last=True)


async def receive(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(ANSWER_SECONDS):
        frame: dict[str, Any] = json.loads(await client.recv())
        return frame


async def answer(client: ClientConnection) -> str:
    """The words of one talk cycle."""
    words = ""
    while True:
        frame = await receive(client)
        words += frame["token"]
        if frame["last"]:
            return words


async def test_a_good_call_ends_with_its_handoff(host: Host) -> None:
    async with host.call() as (client, sid):
        await prompt(client, "hello")
        assert await answer(client) == "You said hello."
        await client.send(b"")  # an empty binary frame is refused, and the socket stays open
        await client.send("not JSON")
        await prompt(client, "person")
        assert await answer(client) == "Bye."
        end = await receive(client)
        assert json.loads(end["handoffData"]) == {"reasonCode": "person", "version": 1, "summary": "", "orderId": 7}
        await client.close(1000)
    told = await host.end_of(sid)
    assert (told["reason"], told["code"], told["handoff"]["orderId"]) == ("ended", 1000, 7)


async def test_a_barge_in_stops_the_reply(host: Host) -> None:
    async with host.call() as (client, sid):
        await prompt(client, "count")
        for _ in range(20):
            await receive(client)
        await send(client, type="interrupt", utteranceUntilInterrupt="0 1 2", durationUntilInterruptMs="200")
        await prompt(client, "stop")
        late = 0
        while (frame := await receive(client))["token"] != "You said ":
            late += 1
        assert late < 100
        assert frame["last"] is False
        assert (await receive(client))["token"] == "stop."
    await host.end_of(sid)


async def test_a_hook_that_would_end_the_process_costs_one_apology(host: Host) -> None:
    async with host.call() as (client, sid), host.call() as (other, other_sid):
        for failing in ("break out", "break out of a task"):
            await prompt(client, failing)
            assert await answer(client) == APOLOGIES["en"]
            await prompt(client, "hello")
            assert await answer(client) == "You said hello."
        await send(client, type="dtmf", digit="1")
        assert await answer(client) == APOLOGIES["en"]
        await prompt(other, "hello")
        assert await answer(other) == "You said hello."
    await host.end_of(sid)
    await host.end_of(other_sid)


async def test_a_line_that_drops(host: Host) -> None:
    async with host.call() as (client, sid):
        await prompt(client, "count")
        await receive(client)
        client.transport.abort()
    told = await host.end_of(sid)
    assert told["reason"] == "dropped"
    assert told["code"] in (1005, 1006)  # uvicorn and granian say 1005, as for a close frame without a code


async def test_a_caller_who_hangs_up(host: Host) -> None:
    async with host.call() as (client, sid):
        await prompt(client, "hello")
        await answer(client)
        await client.close(1000, "Closing websocket session")
    told = await host.end_of(sid)
    assert (told["reason"], told["code"]) == ("hangup", 1000)


async def test_a_caller_who_hangs_up_in_mid_reply(host: Host) -> None:
    async with host.call() as (client, sid):
        await prompt(client, "count")
        for _ in range(5):
            await receive(client)
        await client.close(1000, "Closing websocket session")
    assert (await host.end_of(sid))["reason"] == "hangup"


async def test_a_wrong_signature_is_refused_before_accept(host: Host) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with host.call(token="another"):
            pass
    assert refused.value.response.status_code == 403


async def test_an_unknown_agent_is_refused_before_accept(host: Host) -> None:
    url = f"{PUBLIC_URL.replace('https', 'wss')}/relay/nobody"
    with pytest.raises(InvalidStatus) as refused:
        await connect(
            f"ws://127.0.0.1:{host.port}/relay/nobody",
            additional_headers=sign_upgrade(url, TOKEN),
            proxy=None,
        )
    assert refused.value.response.status_code == 404


OFFERS = ["permessage-deflate", "permessage-deflate; client_max_window_bits", "x-webkit-deflate-frame"]


@pytest.mark.parametrize("offer", OFFERS)
async def test_no_compression_is_taken(host: Host, offer: str) -> None:
    async with asyncio.timeout(ANSWER_SECONDS):
        _, writer, head = await host.upgrade(offer)
        writer.transport.abort()
    assert head.startswith("HTTP/1.1 101 ")
    assert "sec-websocket-extensions" not in head.lower()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from Linux's /proc")
async def test_a_message_that_was_compressed_all_the_same_is_never_inflated(host: Host) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeeze.compress(bytes(64 * 1024 * 1024)) + squeeze.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert len(bomb) < 65_536
    async with asyncio.timeout(2 * ANSWER_SECONDS):
        for _ in range(2):  # what the first socket of a process costs is not the bomb's
            host.forget_peak()
            before = host.peak()
            reader, writer, _ = await host.upgrade(OFFERS[0])
            writer.write(struct.pack("!BBH4s", 0xC1, 0x80 | 126, len(bomb), bytes(4)) + bomb)  # RSV1: compressed
            with suppress(ConnectionError):
                await reader.read()
            writer.transport.abort()
            grown = host.peak() - before
    assert grown < 5_000_000
