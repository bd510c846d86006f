"""A deployment at noon: both servers are restarted, one after the other, under live calls; none is lost, none double.

Twenty calls by default; more by `pytest tests/e2e/test_rolling_restart.py --restart-calls 100`.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from studio_relay.testing import Run

SCRIPT = f"""
steps: [{"{say: it is late}, " * 10}{{say: a person please}}]
expect: {{status: ended, handoff: {{reasonCode: person}}}}
"""
SPEED = 4.0


async def restart(balancer: Any, server: Any) -> None:
    """SIGTERM, until it is gone by itself, and up again."""
    server.signal(signal.SIGTERM)
    assert await server.exited() == 0, server.output.read_text()[-2000:]
    server.ready = False
    server.start()
    await balancer.wait_until_ready(server)


async def until_heard(balancer: Any, calls: list[asyncio.Task[Run]], number: int) -> None:
    """Every call is at this number of its sessions, or is over."""
    async with asyncio.timeout(60):
        while True:
            noted = Counter(note["call"] for note in balancer.all_noted("setup"))
            if sum(sessions >= number for sessions in noted.values()) == len(calls):
                return
            failed = [call for call in calls if call.done()]
            assert not failed, failed[0].result().to_json(context=False)
            await asyncio.sleep(0.05)


async def test_a_rolling_restart_under_live_calls(
    balanced: Any, spoken: Callable[[Run], str], request: pytest.FixtureRequest
) -> None:
    count = request.config.getoption("--restart-calls", default=20)
    async with balanced(probe_seconds=5) as balancer:
        first, second = balancer.servers
        calls = [asyncio.create_task(balancer.call(SCRIPT, seed=seed, speed=SPEED)) for seed in range(count)]
        await until_heard(balancer, calls, 1)
        await restart(balancer, first)
        await until_heard(balancer, calls, 2)
        await restart(balancer, second)
        runs = await asyncio.gather(*calls)
        ends = Counter(note["session"] for note in balancer.all_noted("end"))
        setups = Counter(note["session"] for note in balancer.all_noted("setup"))
        assert ends == setups
        assert set(ends.values()) == {1}
        for run in runs:
            check_call(balancer, run, spoken(run))
        print(f"{count} calls, {len(ends)} sessions")
        print(Counter(note["number"] for note in balancer.all_noted("setup")))


def check_call(balancer: Any, run: Run, words: str) -> None:
    """Nothing of this call was lost, said twice or begun twice."""
    setups = balancer.noted(run, "setup")
    told = (words, setups, [session.outcome for session in run.sessions])
    assert run.ok, (told, run.to_json()["expectations"])
    assert [note["number"] for note in setups] == [1, 2, 3], told
    assert [note["reason"] for note in balancer.noted(run, "end")] == ["draining", "draining", "ended"], told
    assert words.count("Hello") == 1, told
    counted = re.findall(r"number (\d+)", words)
    assert counted == sorted(set(counted), key=int), told
    assert int(run.handoff["summary"].removeprefix("heard ")) > len(counted) > 0, told
    before = [session.call for session in run.sessions[:-1] if session.call]
    heard = [turn.text for call in before for turn in call.transcript() if turn.who == "agent"]
    kept = " ".join(setups[-1]["history"])
    assert all(number in kept for number in re.findall(r"number \d+", " ".join(heard))), told
