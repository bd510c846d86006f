"""The agent both servers run: it yields as many one-word tokens as the prompt asks for, and never waits."""

from __future__ import annotations

from collections.abc import AsyncIterator

from studio_relay import Call, Prompt, SessionEnd, hookimpl

COUNTS = {"setups": 0, "ends": 0, "stale": 0}


@hookimpl
async def on_prompt(prompt: Prompt) -> AsyncIterator[str]:
    """`prompt` holds the number of tokens."""
    for _ in range(int(prompt.voice_prompt)):
        yield "word "


@hookimpl
async def on_setup(call: Call) -> None:
    """Count the sessions that began."""
    COUNTS["setups"] += 1


@hookimpl
async def on_end(call: Call, end: SessionEnd) -> None:
    """Count the sessions that ended."""
    COUNTS["ends"] += 1
