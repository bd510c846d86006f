"""Real servers that are killed, hang, are slow or refuse in the middle of a call: no call is lost, none greeted twice.

Four random moments by default; more by `pytest tests/e2e/test_recovery.py --points 20`.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from studio_relay.testing import Run

SCRIPT = """
steps: [{say: it is late}, {say: still late}, {say: really late}, {say: a person please}, {say: a person please}]
"""
"""What is said in the outage itself nobody hears; a caller says it again."""
SPEED = 4.0
KINDS = ("killed", "hung", "slowed", "refused")
LONGEST_SILENCE_MS = 5_000
UNSAVED_MS = {"killed": 100, "refused": 100, "hung": 1_200, "slowed": 1_200}
"""What was heard this shortly before a server's end may be lost with it: Twilio's report may be on its way still or
not written yet, and a server that hangs hears nothing until it is given up."""


async def go_wrong(balancer: Any, server: Any, kind: str) -> None:
    """Until the call is over, or for good."""
    if kind == "hung":
        server.signal(signal.SIGSTOP)
    elif kind == "slowed":
        while True:  # three quarters of the time it does nothing
            server.signal(signal.SIGSTOP)
            await asyncio.sleep(0.15)
            server.signal(signal.SIGCONT)
            await asyncio.sleep(0.05)
    else:
        balancer.refuse = 1 if kind == "refused" else 0
        server.kill()


async def outage(balancer: Any, seed: int) -> tuple[str, Run]:
    """A call during which its server goes wrong at a random moment."""
    rng = random.Random(seed)
    kind, after = KINDS[seed % len(KINDS)], rng.uniform(0.2, 12) / SPEED
    server, before = balancer.first_ready, balancer.upgrades

    async def strike() -> None:
        while balancer.upgrades == before:  # noqa: ASYNC110  # a counter
            await asyncio.sleep(0.01)
        await asyncio.sleep(after)
        await go_wrong(balancer, server, kind)

    striking = asyncio.create_task(strike())
    try:
        run: Run = await balancer.call(SCRIPT, seed=seed, speed=SPEED)
    finally:
        striking.cancel()
        with suppress(asyncio.CancelledError):
            await striking
        balancer.refuse = 0
        await restore(server)
    return kind, run


async def restore(server: Any) -> None:
    """As it was: one that hung wakes up, one that is gone is started again."""
    if server.process.poll() is None:
        server.signal(signal.SIGCONT)
    else:
        server.start()


async def ends_settled(balancer: Any, run: Run, kind: str) -> list[dict[str, Any]]:
    """Every session that had a setup on a process that lives has its end."""
    sessions = {note["session"] for note in balancer.noted(run, "setup")}
    lost = 1 if kind in ("killed", "refused") else 0
    async with asyncio.timeout(10):
        while len(ends := balancer.noted(run, "end")) < len(sessions) - lost:  # noqa: ASYNC110  # a file
            await asyncio.sleep(0.02)
    found: list[dict[str, Any]] = ends
    return found


async def test_a_server_that_fails_at_any_moment_costs_no_call(
    balanced: Any,
    spoken: Callable[[Run], str],
    longest_silence_ms: Callable[[Run], int],
    request: pytest.FixtureRequest,
) -> None:
    points = request.config.getoption("--points", default=4)
    async with balanced() as balancer:
        for seed in range(points):
            kind, run = await outage(balancer, seed)
            ends = await ends_settled(balancer, run, kind)
            setups = balancer.noted(run, "setup")
            words, silence = spoken(run), longest_silence_ms(run)
            told = f"{seed} {kind}: {len(run.sessions)} sessions, silence {silence} ms, {words}"
            print(told, [note["history"] for note in setups[1:]])
            answered = len(re.findall(r"number \d\.", words))
            assert run.sessions[-1].outcome.status == "ended", told
            assert run.handoff["reasonCode"] == "person", told
            assert int(run.handoff["summary"].removeprefix("heard ")) > answered, told
            assert words.count("Hello") <= 1, told  # none, if it was cut before its first word
            assert silence <= LONGEST_SILENCE_MS, told
            assert [note["number"] for note in setups] == list(range(1, len(setups) + 1)), told
            counted = re.findall(r"number (\d)", words)
            assert counted == sorted(set(counted)), told  # what was counted before the outage is counted once
            kept = [" ".join(note["history"]) for note in setups[1:]]
            assert all(words in kept[-1] for words in heard_before(run, kind)), (told, kept)
            assert len(ends) == len({note["session"] for note in ends}), told
            await balancer.wait_until_ready(*balancer.servers)


def heard_before(run: Run, kind: str) -> list[str]:
    """What was reported heard in the sessions before the last one, but for what was within a moment of their end."""
    calls = [(session.call, session.outcome.duration_ms) for session in run.sessions[:-1] if session.call]
    played = [(event, call.started_ms + lasted) for call, lasted in calls for event in call.end.played]
    reports = [(event, end) for event, end in played if event.name == "tokensPlayed"]
    return [event.value for event, end in reports if event.at_ms < end - UNSAVED_MS[kind] * SPEED]
