"""SIGTERM under live calls whose agents are in the middle of a sentence: who was handed on, and when it left."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from processes import running

from studio_relay.testing import Identity, NetTransport, RelayAttributes, SimulatedCall

AGENT = '''
"""Streams a sentence that has no end, or a short one."""

import asyncio

from studio_relay import hookimpl


@hookimpl
async def on_prompt(call, prompt):
    for number in range(5 if "short" in prompt.voice_prompt else 2_000):
        yield f"and {number} "
        await asyncio.sleep(0.05)
'''
_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Left:
    """What became of the calls and the server; `code` is None where it had to be killed."""

    code: int | None
    seconds: float  # from the signal to the exit
    reasons: list[str]  # the reason code each call was ended with, or what happened to it instead
    output: str


async def leave(
    folder: Path,
    host: str,
    *,
    calls: int,
    full: bool,
    says: str = "a long one",
    kill_after: float = 30,
    **settings: str,
) -> Left:
    """Start `host`, bring `calls` to where the agent is speaking, send SIGTERM, and SIGKILL after `kill_after` s."""
    attributes = RelayAttributes.full() if full else RelayAttributes(mode="widget")
    with running(folder, host, AGENT, **settings) as server:
        url = f"ws://127.0.0.1:{server.port}/relay"
        live = [
            SimulatedCall(NetTransport(), url, attributes=attributes, identity=Identity.fresh()) for _ in range(calls)
        ]
        await asyncio.gather(*(_until_agent_speaks(call, says) for call in live))
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        exited = asyncio.create_task(asyncio.to_thread(_exit_code, server.process, kill_after))
        reasons = await asyncio.gather(*(_reason(call) for call in live))
        code = await exited
        return Left(code=code, seconds=time.monotonic() - began, reasons=reasons, output=server.output)


async def _until_agent_speaks(call: SimulatedCall, says: str) -> None:
    await call.start()
    call.say(says)
    assert await call.wait_until(lambda: _speaks(call), timeout_ms=_SECONDS * 1000), call.refusal


def _speaks(call: SimulatedCall) -> bool:
    return any(event.name == "agentSpeaking" for event in call.end.played)


def _exit_code(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return int(process.wait(seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


async def _reason(call: SimulatedCall) -> str:
    outcome = await call.finished()
    data = json.loads(outcome.handoff_data or "{}")
    assert isinstance(data, Mapping)
    return str(data.get("reasonCode") or f"{outcome.status} without a handoff")
