"""`echo` repeats what the caller says; good for trying a line, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

from studio_relay import Call, Dtmf, Prompt, hookimpl


@hookimpl
async def on_prompt(call: Call, prompt: Prompt) -> AsyncIterator[str]:
    """Say it back, word by word."""
    yield "I heard:"
    for word in prompt.voice_prompt.split():
        yield f" {word}"


@hookimpl
async def on_dtmf(call: Call, dtmf: Dtmf) -> str:
    """Name the key."""
    return f"Key {dtmf.digit}."
