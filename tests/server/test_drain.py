"""Leaving: each call ends at its first pause, at the latest 8 s before the deadline, whatever it waits for."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio_relay import Call, Prompt, hookimpl
from studio_relay.call import SessionEnd
from studio_relay.server.drain import drain

pytestmark = pytest.mark.looptime

SPEAKING = {"type": "info", "name": "agentSpeaking", "value": "on"}
SILENT = {"type": "info", "name": "agentSpeaking", "value": "off"}


def says(text: str, *, last: bool = True) -> dict[str, Any]:
    return {"type": "prompt", "voicePrompt": text, "lang": "en-US", "last": last}


class Agent:
    """Does what the caller says: streams for as many seconds, asks, or ends with long last words."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        if prompt.voice_prompt == "ask":
            await call.ask("Which one?", timeout=600)
        elif prompt.voice_prompt == "end":
            yield "word " * 200
            await call.end({"reasonCode": "done"})
        elif prompt.voice_prompt == "think":
            await asyncio.sleep(5)
            yield "Hm."
        else:
            for number in range(int(prompt.voice_prompt)):
                yield f"{number} "
                await asyncio.sleep(1)

    @hookimpl
    def on_end(self, end: SessionEnd) -> None:
        self.ends.append(end.reason)


class Scene:
    """A server with one call, and a drain that has begun."""

    def __init__(self, server: Any, socket: Any) -> None:
        self.server = server
        self.socket = socket
        self.began = asyncio.get_running_loop().time()
        self.task = asyncio.create_task(drain(server.relay))

    async def until_ended(self) -> float:
        """How many seconds after the signal `end` went out; Twilio then closes."""
        while not self.socket.ends:  # noqa: ASYNC110  # virtual time
            await asyncio.sleep(0.05)
        after = asyncio.get_running_loop().time() - self.began
        await self.socket.disconnect(1000)
        return after

    @property
    def reason_code(self) -> str:
        [end] = self.socket.ends
        code: str = json.loads(end["handoffData"])["reasonCode"]
        return code


@pytest.fixture
async def leaving(serve: Any, setup_frame: Any) -> Any:
    """Makes a scene: what was sent before the signal; settings as keywords."""

    async def make(agent: Agent, *frames: Any, **settings: Any) -> Scene:
        server = serve(agent, **settings)
        socket = await server.connect()
        await socket.send(setup_frame, *frames)
        return Scene(server, socket)

    return make


@pytest.mark.parametrize(("frames", "seconds"), [([], 5), ([SPEAKING, SILENT], 5), ([says("1")], 1.1)])
async def test_an_idle_call_ends_once_its_greeting_is_over(leaving: Any, frames: Any, seconds: float) -> None:
    agent = Agent()
    scene = await leaving(agent, *frames)
    assert await scene.until_ended() == pytest.approx(seconds, abs=0.2)
    assert scene.reason_code == "relay-draining"
    assert await scene.task == 1
    assert agent.ends == ["draining"]


@pytest.mark.parametrize(
    ("frames", "seconds"),
    [
        ([says("5")], 5.1),  # streams for 5 s, and is a second behind with speaking
        ([says("think")], 5.8),
        ([says("ask")], 1.25),  # the question is heard, then the caller thinks
        ([SPEAKING, says("3")], 17),  # nothing tells that the agent stopped speaking
        ([says("60")], 17),
        ([says("where is my", last=False)], 17),
        ([says("end")], 17),
    ],
)
async def test_a_call_ends_at_its_first_pause(leaving: Any, frames: Any, seconds: float) -> None:
    agent = Agent()
    scene = await leaving(agent, *frames, end_wait_max_seconds=600)
    assert await scene.until_ended() == pytest.approx(seconds, abs=0.2)
    await scene.task
    assert agent.ends == ["ended" if says("end") in frames else "draining"]


async def test_an_end_that_the_agent_asked_for_keeps_its_handoff(leaving: Any) -> None:
    scene = await leaving(Agent(), says("end"))
    await scene.until_ended()
    assert scene.reason_code == "done"


async def test_reported_silence_is_a_pause(leaving: Any) -> None:
    scene = await leaving(Agent(), says("2"), SPEAKING)
    await asyncio.sleep(9)
    assert not scene.socket.ends
    await scene.socket.send(SILENT)
    assert await scene.until_ended() == pytest.approx(9, abs=0.2)


async def test_whoever_never_closes_costs_no_deadline(leaving: Any, caplog: Any) -> None:
    scene = await leaving(Agent(), says("60"), send_timeout_seconds=600)
    scene.socket.reading.clear()
    await scene.task
    assert asyncio.get_running_loop().time() - scene.began == pytest.approx(22.5, abs=0.1)
    assert "1 calls would not end" in caplog.text


async def test_a_socket_without_a_setup_is_closed_in_time(serve: Any) -> None:
    server = serve(Agent(), setup_timeout_seconds=600)
    socket = await server.connect()
    await drain(server.relay)
    assert socket.closed == (1000, "the server is draining")


async def test_a_budget_that_is_short_is_kept(leaving: Any) -> None:
    scene = await leaving(Agent(), says("60"), shutdown_seconds=2)
    assert await scene.until_ended() < 0.2
    await scene.task


@pytest.mark.parametrize("seconds", [2, 25])
async def test_hooks_that_hang_in_on_shutdown_cost_no_deadline(serve: Any, seconds: float, caplog: Any) -> None:
    class Hanging(Agent):
        @hookimpl
        async def on_shutdown(self) -> None:
            await asyncio.sleep(3_600)

    server = serve(Hanging(), shutdown_seconds=seconds)
    began = asyncio.get_running_loop().time()
    await drain(server.relay)
    await server.relay.stop()
    assert asyncio.get_running_loop().time() - began < seconds
    assert "failed in on_shutdown" in caplog.text


async def test_the_log_says_how_many_calls_there_were(leaving: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    scene = await leaving(Agent())
    await scene.until_ended()
    await scene.task
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("drain")]
    assert lines == ["draining: 1 calls are live; each ends at its first pause", "drained: 1 calls were handed on"]
