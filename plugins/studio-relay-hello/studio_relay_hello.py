"""`hello` greets back whoever speaks; the smallest agent there is, and nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator

from studio_relay import Prompt, hookimpl


@hookimpl
async def on_prompt(prompt: Prompt) -> AsyncIterator[str]:
    """Called for each thing the caller has finished saying; Twilio speaks from the first piece."""
    yield "Hello! "
    yield f"You said: {prompt.voice_prompt}"
