"""The agent both servers run: it yields as many one-word tokens as the prompt asks for, and never waits."""

from __future__ import annotations

from collections.abc import AsyncIterator

from studio_relay import Prompt, hookimpl


@hookimpl
async def on_prompt(prompt: Prompt) -> AsyncIterator[str]:
    """`prompt` holds the number of tokens."""
    for _ in range(int(prompt.voice_prompt)):
        yield "word "
