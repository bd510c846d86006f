"""How plugins are typed: read by mypy in strict mode, and by people; never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from studio_relay import (
    Call,
    Dtmf,
    ErrorMessage,
    Handoff,
    Info,
    Interrupt,
    Prompt,
    Reply,
    SessionEnd,
    Setup,
    Spoken,
    Turn,
    Unknown,
    create_app,
    hookimpl,
)


class FrontDeskHandoff(Handoff):
    """What this agent hands to its flow."""

    reason_code: Literal["person", "done"]
    callback_number: str | None = None


class FrontDesk:
    """An agent as an object: every hook, in each of the ways it may be written."""

    handoff_model = FrontDeskHandoff
    relay: Mapping[str, Any] = {"welcome_greeting": "Hello."}

    @hookimpl
    def on_setup(self, call: Call, setup: Setup) -> str:
        tier: str = setup.custom_parameters.get("tier", "")
        return f"Welcome, {tier} caller."

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        yield "One moment. "
        answer: Prompt | None = await call.ask("Which number may we call?", timeout=8.0)
        if answer is None:
            digits: str | None = await call.collect_digits(max_digits=10, finish="#", secret=True)
            await call.end(FrontDeskHandoff(reason_code="person", callback_number=digits))
        elif await call.spoken(timeout=30):
            yield f"I heard {answer.voice_prompt}."

    @hookimpl
    async def on_dtmf(self, dtmf: Dtmf) -> str | None:
        return None if dtmf.digit == "*" else f"Key {dtmf.digit}."

    @hookimpl
    def on_interrupt(self, call: Call, interrupt: Interrupt) -> None:
        heard: str = interrupt.utterance_until_interrupt
        after_ms: int | None = interrupt.duration_until_interrupt_ms
        call.state["cut"] = [heard, after_ms]

    @hookimpl
    async def on_end(self, call: Call, end: SessionEnd) -> None:
        reason: Literal["ended", "hangup", "dropped", "refused", "limit", "draining"] = end.reason
        handoff: Mapping[str, Any] | None = end.handoff
        turns: Sequence[Turn] = call.transcript
        history: list[dict[str, str]] = call.history()
        await asyncio.to_thread(print, reason, handoff, turns, history)

    @hookimpl
    def on_partial_prompt(self, prompt: Prompt) -> None: ...

    @hookimpl
    def on_info(self, message: Info) -> None: ...

    @hookimpl
    def on_error(self, message: ErrorMessage) -> None: ...

    @hookimpl
    def on_unknown(self, message: Unknown) -> None:
        raw: Mapping[str, Any] = message.raw
        raw.get("type")


class Whisper:
    """An extension that wraps what is said."""

    @hookimpl
    async def wrap_reply(self, call: Call, reply: AsyncIterator[str]) -> AsyncIterator[str]:
        async for piece in reply:
            yield piece.lower()


def any_reply(kind: str, call: Call) -> Reply:
    """Everything that a hook may return where a Reply is asked for."""

    async def later() -> Spoken:
        return "later"

    async def stream() -> AsyncIterator[str]:
        yield "piece by piece"

    replies: list[Reply] = ["text", None, later(), stream()]
    return replies[len(kind)]


def say_everything(call: Call) -> None:
    """The actions that queue and return at once."""
    call.say("Bonjour", lang="fr-FR", interruptible=False, preemptible=True)
    call.play("https://example.com/tone.wav", loop=2)
    call.send_digits("1w2")
    call.set_language(tts="fr-FR", transcription="fr-FR")


app = create_app()
