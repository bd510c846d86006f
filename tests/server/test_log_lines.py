"""Lines about a call hold its ids, also those that come from timers, from a drain or from another call's socket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from studio_relay import Call, Prompt, hookimpl
from studio_relay.log import JsonFormatter
from studio_relay.server.drain import drain

pytestmark = pytest.mark.looptime

IDS = ("CA" + "7" * 32, "VX" + "7" * 32)


class Agent:
    """Ends, fails, streams for a minute, or counts without waiting."""

    @hookimpl
    async def on_setup(self, call: Call) -> AsyncIterator[str]:
        if call.parameters.get("greets"):
            for number in range(20):
                yield f"{number} "
                await asyncio.sleep(1)

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        if prompt.voice_prompt == "end":
            yield "Bye."
            await call.end({"reasonCode": "done"})
        elif prompt.voice_prompt == "hang":
            await asyncio.sleep(3_600)
        else:
            for number in range(60):
                yield f"{number} "
                await asyncio.sleep(0 if prompt.voice_prompt == "count" else 1)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.formatter = JsonFormatter()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    handler, log = Lines(), logging.getLogger("studio_relay")
    level = log.level
    log.setLevel(logging.INFO)  # also forgets which levels it has found to be off
    log.addHandler(handler)
    yield handler.lines
    log.removeHandler(handler)
    log.setLevel(level)


async def not_closed(server: Any, socket: Any) -> None:
    await socket.prompt("end")
    await asyncio.sleep(20)


async def not_reading(server: Any, socket: Any) -> None:
    socket.reading.clear()
    await socket.prompt("count")
    await asyncio.sleep(30)


async def refused_by_host(server: Any, socket: Any) -> None:
    socket.broken = RuntimeError("closed")
    await socket.prompt("count")
    await asyncio.sleep(10)


async def too_slow(server: Any, socket: Any) -> None:
    await socket.prompt("hang")
    await asyncio.sleep(60)


async def too_long(server: Any, socket: Any) -> None:
    await asyncio.sleep(4_000)


async def leaving(server: Any, socket: Any) -> None:
    await socket.prompt("stream")
    await drain(server.relay)


async def replaced(server: Any, socket: Any) -> None:
    second = await server.connect()
    await second.send(setup())
    await asyncio.sleep(10)
    await second.disconnect()


async def bad_frames(server: Any, socket: Any) -> None:
    await socket.send("no JSON", '{"type":"setup"}')


def setup(**parameters: str) -> dict[str, Any]:
    return {
        "type": "setup",
        "callSid": IDS[0],
        "sessionId": IDS[1],
        "accountSid": "AC" + "0" * 32,
        "from": "+15550100001",
        "to": "+15550100002",
        "direction": "inbound",
        "customParameters": parameters,
    }


ABOUT_NO_CALL = ("draining: ", "drained: ")


@pytest.mark.parametrize(
    "happens", [not_closed, not_reading, refused_by_host, too_slow, too_long, leaving, replaced, bad_frames]
)
async def test_every_line_about_a_call_holds_its_ids(serve: Any, lines: list[dict[str, Any]], happens: Any) -> None:
    server = serve(Agent(), call_max_seconds=3_600)
    socket = await server.connect()
    await socket.send(setup())
    await happens(server, socket)
    socket.reading.set()
    await socket.disconnect(1000)
    about_calls = [line for line in lines if not line["message"].startswith(ABOUT_NO_CALL)]
    assert [line["message"] for line in about_calls if (line.get("call"), line.get("session")) != IDS] == []
    assert len(about_calls) >= 2
    assert "+1555" not in json.dumps(lines)


async def test_a_call_that_begins_is_one_line(serve: Any, lines: list[dict[str, Any]]) -> None:
    socket = await serve(Agent()).connect()
    await socket.send(setup(tier="gold"))
    [line] = [line for line in lines if line.get("event") == "call-began"]
    assert {name: value for name, value in line.items() if name != "time"} == {
        "level": "info",
        "logger": "studio_relay.story",
        "message": "call began",
        "call": IDS[0],
        "session": IDS[1],
        "event": "call-began",
        "agent": "agent",
        "session_number": 1,
    }


@pytest.mark.parametrize(
    "path", ["/relay/" + "x" * 5_000, "/relay/a\n{}\x1b[2J", "/relay/\u202e\u2066", "/nothing\r\n", "/relay/'\"" * 90]
)
async def test_no_path_forges_or_fills_a_line(serve: Any, caplog: Any, path: str) -> None:
    socket = await serve(Agent()).connect(path)
    assert socket.refused == 404
    [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert message.replace("…", "").isascii()
    assert message.isprintable()
    assert len(message) < 400


async def test_upgrades_that_are_refused_for_one_reason_are_alike(serve: Any, caplog: Any) -> None:
    server = serve(Agent())
    for number in range(3):
        await server.connect(f"/relay/nobody-{number}")
    kinds = {getattr(record, "repeats", None) for record in caplog.records if record.levelno == logging.WARNING}
    assert len(kinds) == 1
    assert None not in kinds
