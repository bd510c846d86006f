"""What a plugin author's type checker sees; mypy reads this file, nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, assert_type

from studio_relay import (
    Call,
    Dtmf,
    ErrorMessage,
    Handoff,
    Info,
    Interrupt,
    Prompt,
    SessionEnd,
    Setup,
    Turn,
    Unknown,
    hookimpl,
)


class ParcelHandoff(Handoff):
    reason_code: Literal["person", "done"]
    parcel: str | None = None


@hookimpl
async def on_setup(call: Call, setup: Setup) -> str | None:
    assert_type(setup.custom_parameters, Mapping[str, str])
    assert_type(call.session_number, int)
    assert_type(call.state, dict[str, Any])
    return "Hello."


@hookimpl
async def on_prompt(call: Call, prompt: Prompt) -> AsyncIterator[str]:
    assert_type(prompt.voice_prompt, str)
    assert_type(prompt.lang, str | None)
    assert_type(call.transcript, Sequence[Turn])
    yield "One moment."
    assert_type(await call.spoken(timeout=2.0), bool)
    assert_type(await call.ask("Which parcel?"), Prompt | None)
    assert_type(await call.collect_digits(max_digits=4, secret=True), str | None)
    assert_type(call.history(), list[dict[str, str]])
    await call.end(ParcelHandoff(reason_code="done", parcel="7"))
    await call.end({"reasonCode": "done"})
    call.history(format="xml")  # type: ignore[arg-type]


@hookimpl
def on_dtmf(call: Call, dtmf: Dtmf) -> None:
    assert_type(dtmf.digit, str)
    call.say("A key.", preemptible=True)
    call.play("https://media.example.com/hold.mp3", loop=2)
    call.send_digits("1w2")
    call.set_language(tts="es-US")
    call.say(dtmf)  # type: ignore[arg-type]


@hookimpl
async def on_interrupt(interrupt: Interrupt) -> None:
    assert_type(interrupt.duration_until_interrupt_ms, int | None)


@hookimpl
async def on_info(message: Info) -> None:
    assert_type(message.name, str)


@hookimpl
async def on_error(message: ErrorMessage) -> None:
    assert_type(message.code, int | None)


@hookimpl
async def on_unknown(message: Unknown) -> None:
    assert_type(message.raw, Mapping[str, Any])


@hookimpl
async def on_end(end: SessionEnd) -> None:
    assert_type(end.reason, Literal["ended", "hangup", "dropped", "refused", "limit", "draining"])


@hookimpl
async def wrap_reply(call: Call, reply: AsyncIterator[str]) -> AsyncIterator[str]:
    async for piece in reply:
        yield piece.upper()
