"""The agent both servers run: it yields as many one-word tokens as the prompt asks for, and never waits."""

from __future__ import annotations

from collections.abc import AsyncIterator

from studio_relay import Prompt, hookimpl


async def tokens(count: int) -> AsyncIterator[str]:
    """`count` tokens as a fast model would stream them."""
    for _ in range(count):
        yield "word "


@hookimpl
async def on_prompt(prompt: Prompt) -> AsyncIterator[str]:
    """`prompt` holds the number of tokens."""
    async for token in tokens(int(prompt.voice_prompt)):
        yield token
