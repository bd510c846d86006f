"""A relay server small enough to read: what the simulated Twilio is tried against here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import pytest

Handler = Callable[[dict[str, Any]], Iterable[Any]]


class TinyServer:
    """An ASGI app: `answer(frame)` gives what to send, dicts as JSON, text as it is, None to leave at once."""

    def __init__(self, answer: Handler, *, refuse: int | None = None, action: str = "") -> None:
        self.answer = answer
        self.refuse = refuse
        self.action = action
        self.scopes: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.forms: list[dict[str, str]] = []
        self.closed: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            await self._http(receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(receive, send)
        else:
            raise RuntimeError("no lifespan here")

    async def _http(self, receive: Any, send: Any) -> None:
        body = (await receive())["body"].decode()
        self.forms.append(dict(parse_qsl(body, keep_blank_values=True)))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/xml")]})
        await send({"type": "http.response.body", "body": self.action.encode()})

    async def _websocket(self, receive: Any, send: Any) -> None:
        await receive()
        if self.refuse:
            await send({"type": "websocket.http.response.start", "status": self.refuse, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"not you"})
            return
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            frame = json.loads(event["text"])
            self.frames.append(frame)
            for reply in self.answer(frame):
                if reply is None:
                    return
                text = reply if isinstance(reply, str) else json.dumps(reply)
                await send({"type": "websocket.send", "text": text})
        self.closed.append(event["code"])


@pytest.fixture
def serve() -> Callable[..., TinyServer]:
    """Makes a tiny server from what it answers to each frame."""
    return TinyServer


def speak(text: str, **flags: Any) -> list[dict[str, Any]]:
    """A reply as a talk cycle of one-word tokens."""
    words = text.split(" ")
    return [
        {"type": "text", "token": (" " if i else "") + word, "last": i == len(words) - 1, **flags}
        for i, word in enumerate(words)
    ]


@pytest.fixture
def say() -> Callable[..., list[dict[str, Any]]]:
    """Makes a talk cycle of one-word tokens."""
    return speak
