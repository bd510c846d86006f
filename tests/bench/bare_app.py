"""What we compare ourselves with: the least an ASGI app must do to answer with streamed tokens.

The same agent, the same encoder, one send a token, a pause every 32 tokens as ours, a reply that
an interrupt cancels. No signature, no hooks, no transcript, no limits.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from bench_agent import on_prompt

from studio_relay import Prompt


class Text(msgspec.Struct, tag="text", tag_field="type"):
    """A piece of speech."""

    token: str
    last: bool


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI entry point."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await call(receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def call(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    reply: asyncio.Task[None] | None = None
    while (event := await receive())["type"] == "websocket.receive":
        frame = decode(event["text"])
        if frame["type"] == "prompt":
            prompt = Prompt(type="prompt", raw=frame, voice_prompt=frame["voicePrompt"])
            reply = asyncio.create_task(answer(prompt, send))
        elif frame["type"] == "interrupt" and reply is not None:
            reply.cancel()
    if reply is not None:
        reply.cancel()


async def answer(prompt: Prompt, send: Any) -> None:
    sent = 0
    async for token in on_prompt(prompt):
        await send({"type": "websocket.send", "text": encode(Text(token=token, last=False)).decode()})
        sent += 1
        if not sent % 32:
            await asyncio.sleep(0.001)
    await send({"type": "websocket.send", "text": encode(Text(token="", last=True)).decode()})
