"""Every call ends within seconds of its socket, whatever its host does; no send of a host is ever cancelled.

The fixture `serve` fails each test here in which one was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio_relay import Call, Prompt, hookimpl
from studio_relay.call import SessionEnd
from studio_relay.story import Observer

pytestmark = pytest.mark.looptime


class Agent:
    """Counts up to 1,000 without waiting, or up to 20 in as many seconds from on_setup. Notes every end."""

    def __init__(self, *, greets: bool = False) -> None:
        self.ends: list[tuple[str, int | None]] = []
        self.greets = greets

    @hookimpl
    async def on_setup(self, call: Call) -> AsyncIterator[str]:
        for number in range(20 if self.greets else 0):
            yield f"{number} "
            await asyncio.sleep(1)

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        for number in range(1_000):
            yield f"{number} "

    @hookimpl
    async def on_dtmf(self, call: Call) -> str:
        return "key "

    @hookimpl
    def on_end(self, end: SessionEnd) -> None:
        self.ends.append((end.reason, end.close_code))


class Counter(Observer):
    def __init__(self) -> None:
        self.abandoned = 0

    def send_abandoned(self) -> None:
        self.abandoned += 1


def watched(server: Any) -> Counter:
    """Counts what the server abandons."""
    counter = Counter()
    server.relay.desk.__dict__["observer"] = counter
    return counter


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


INTERRUPT = {"type": "interrupt", "utteranceUntilInterrupt": "", "durationUntilInterruptMs": "1"}


async def test_a_barge_in_waits_for_the_frame_that_the_host_is_taking(serve: Any, setup_frame: Any) -> None:
    agent = Agent()
    server = serve(agent)
    counter = watched(server)
    socket = await server.connect()
    await socket.send(setup_frame)
    socket.reading.clear()
    await socket.prompt("count")
    await socket.send(INTERRUPT, {"type": "dtmf", "digit": "1"})
    await asyncio.sleep(3)
    assert socket.frames == []
    socket.reading.set()
    await asyncio.sleep(3)
    assert [frame["token"] for frame in socket.frames if frame["token"]] == ["0 ", "key "]
    assert counter.abandoned == 0
    assert agent.ends == []


@pytest.mark.parametrize("keys", [0, 150])
async def test_a_peer_that_dies_in_a_burst_of_keys(serve: Any, setup_frame: Any, keys: int, caplog: Any) -> None:
    agent = Agent()
    server = serve(agent)
    counter = watched(server)
    socket = await server.connect()
    await socket.send(setup_frame)
    socket.reading.clear()
    await socket.send(*[{"type": "dtmf", "digit": "1"}] * keys)
    await socket.disconnect(1006)
    socket.reading.set()
    await asyncio.sleep(1)
    assert agent.ends == [("dropped", 1006)]
    assert len(server.relay.registry) == 0
    assert counter.abandoned == 0
    assert socket.task.done()


async def test_a_host_that_never_finishes_a_frame_loses_its_connection(
    serve: Any, setup_frame: Any, caplog: Any
) -> None:
    agent = Agent()
    server = serve(agent)
    counter = watched(server)
    socket, other = await server.connect(), await server.connect()
    await other.send(setup_frame | {"callSid": "CA2"})
    await socket.send(setup_frame)
    socket.reading.clear()
    await socket.prompt("count")
    await asyncio.sleep(25)
    assert agent.ends == [("dropped", 1001)]
    assert len(server.relay.registry) == 1
    assert counter.abandoned == 1
    assert socket.task.done()
    assert warned(caplog) == [
        "the other side has read nothing for 10 s; it is dropped",
        "the host did not finish its last send; it is abandoned",
    ]
    await other.prompt("count")
    assert other.words.startswith("0 1 2 ")


async def test_a_host_that_refuses_frames_and_reports_no_close(serve: Any, setup_frame: Any, caplog: Any) -> None:
    agent = Agent()
    server = serve(agent)
    socket = await server.connect()
    await socket.send(setup_frame)
    socket.broken = RuntimeError("the stream is closed")
    await socket.prompt("count")
    await asyncio.sleep(4.9)
    assert agent.ends == []
    await asyncio.sleep(0.2)
    assert agent.ends == [("dropped", 1001)]
    assert len(server.relay.registry) == 0
    assert "the host takes no more frames and reports no close" in warned(caplog)[0]


async def test_keys_that_pile_up_behind_on_setup_hide_no_close(serve: Any, setup_frame: Any, caplog: Any) -> None:
    agent = Agent(greets=True)
    server = serve(agent)
    socket = await server.connect()
    await socket.send(setup_frame, *[{"type": "dtmf", "digit": "1"}] * 100)
    await socket.disconnect(1006)
    await asyncio.sleep(9.9)
    assert agent.ends == []
    await asyncio.sleep(0.2)
    assert agent.ends == [("limit", 1008)]
    assert len(server.relay.registry) == 0
    assert warned(caplog) == ["64 events have waited for on_setup for 10 s; the call is ended"]


async def test_an_accept_that_hangs_is_given_up(serve: Any, caplog: Any) -> None:
    server = serve(Agent())
    counter = watched(server)

    hanging = await _connect_deaf(server)
    await asyncio.sleep(30)
    assert hanging.task.done()
    assert not hanging.cancelled
    assert counter.abandoned == 1


async def _connect_deaf(server: Any) -> Any:
    """Connect to a host that takes not even the accept."""
    connecting = asyncio.ensure_future(server.connect())
    await asyncio.sleep(0)
    server.sockets[-1].reading.clear()
    return await connecting


async def test_a_host_that_queues_frames_behind_the_close_is_not_kept_waiting(serve: Any, setup_frame: Any) -> None:
    """As hypercorn does it: room for ten events, and whoever reads the socket waits for room."""
    agent = Agent()
    server = serve(agent, max_frames_per_second=10, max_frames_burst=50)
    socket = await server.connect()
    await socket.send(setup_frame)
    queue = socket._to_app
    queue._maxsize = 10

    async def reader() -> None:
        for _ in range(200):
            await queue.put({"type": "websocket.receive", "text": '{"type":"info","name":"x","value":"y"}'})
        await queue.put({"type": "websocket.disconnect", "code": 1006})

    await asyncio.wait_for(reader(), 5)
    assert agent.ends == [("limit", 1008)]
    assert socket.task.done()
