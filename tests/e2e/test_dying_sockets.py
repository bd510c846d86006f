"""Sockets that die while frames wait, under every host: each call ends, once, within seconds of its socket."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from processes import HOSTS, Running, running
from wire import dial, get_json, message, setup

SOCKETS, KEYS, SECONDS = 30, 150, 20

AGENT = '''
"""Answers every key, and waits for more after each second one; writes every end to a file."""

import json
from pathlib import Path

from studio_relay import hookimpl


@hookimpl
async def on_dtmf(call, dtmf):
    if dtmf.digit == "#":
        digits = await call.collect_digits(max_digits=3, timeout=1)
        yield f"You entered {digits}. "


@hookimpl
async def on_prompt(call, prompt):
    for number in range(100_000):
        yield f"{number} "


@hookimpl
def on_end(call, end):
    with Path("ends.jsonl").open("a") as file:
        file.write(json.dumps({"call": call.call_sid, "reason": end.reason}) + chr(10))
'''


def ends(folder: Path) -> Counter[str]:
    log = folder / "ends.jsonl"
    return Counter(json.loads(line)["call"] for line in log.read_text().splitlines()) if log.exists() else Counter()


async def until_empty(server: Running) -> None:
    async with asyncio.timeout(SECONDS):
        while (await get_json(server.port, "/ready"))["calls"]:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.1)


async def dies_in_a_burst(port: int, number: int) -> None:
    wire = await dial(port)
    wire.writer.write(setup(number) + b"".join(message(type="dtmf", digit="1#"[key % 2]) for key in range(KEYS)))
    await wire.reader.read(1)
    wire.reset()


async def dies_while_it_listens(port: int, number: int) -> None:
    wire = await dial(port)
    wire.writer.write(setup(number) + message(type="prompt", voicePrompt="count", last=True))
    await wire.reader.readexactly(20_000)
    wire.writer.write(message(type="interrupt", utteranceUntilInterrupt="0 1", durationUntilInterruptMs="9"))
    wire.reset()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("dies", [dies_in_a_burst, dies_while_it_listens])
async def test_every_call_ends_after_its_socket(tmp_path: Path, host: str, dies: Any) -> None:
    with running(tmp_path, host, AGENT) as server:
        await asyncio.gather(*(dies(server.port, number) for number in range(SOCKETS)))
        await until_empty(server)
        assert ends(tmp_path) == {f"CA{number:032x}": 1 for number in range(SOCKETS)}
    assert "Traceback" not in server.output
