"""A WebSocket as the relay needs it: bounded, with its close code, under any ASGI host. Knows no protocol above it.

Quart's own connection queues without a bound, loses the close code, stumbles over empty binary frames and
cancels its handler while frames are waiting. Ours hands the handler the ASGI calls themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from quart.asgi import ASGIWebsocketConnection

from studio_relay.server.hostcalls import whole
from studio_relay.server.hosting import MAX_MESSAGE_BYTES

SCOPE_KEY = "studio_relay.socket"

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Closed:
    """The socket is gone; `code` is None where the host does not tell."""

    code: int | None
    reason: str = ""


class Socket:
    """One WebSocket. A route's handler refuses it with a response, or sets `serve`, which begins with accept().

    `serve` is run outside of Quart's request, whose context and headers a call of an hour need not hold.
    """

    __slots__ = ("_noted_close", "_receive", "_send", "closed", "serve")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._noted_close: Callable[[], Closed | None] = lambda: None
        self.closed: Closed | None = None
        self.serve: Callable[[], Awaitable[None]] | None = None

    async def accept(self) -> None:
        """Take the connection."""
        await self._receive()  # websocket.connect
        _offer_no_compression(self._send)
        await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        self._noted_close = _watch_close(self._send)

    async def receive(self) -> str | bytes | Closed:
        """The next frame, or Closed once there will be none."""
        if self.closed is None:
            event = await self._receive()
            if event["type"] == "websocket.receive":
                data = event.get("bytes")
                text: str | bytes = data if data is not None else event.get("text") or ""
                if len(text) * 4 <= MAX_MESSAGE_BYTES or _size(text) <= MAX_MESSAGE_BYTES:
                    return text
                # hypercorn counts characters, of which each may have four bytes.
                await whole(self.close(1009, f"a message has at most {MAX_MESSAGE_BYTES:,} bytes"))
                return Closed(1009)
            self.closed = self._noted_close() or Closed(event.get("code"), event.get("reason") or "")
        return self.closed

    def send(self, text: str) -> Awaitable[None]:
        """Send a text frame. May raise whatever the host raises once the peer is gone."""
        return self._send({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str) -> None:
        """Close from our side; does nothing once the socket is closed."""
        if self.closed is None:
            self.closed = Closed(code, reason)
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    def let_go(self) -> None:
        """Nobody reads from here on: what still comes must not keep the host waiting.

        hypercorn's reader waits for room in a queue of ten events. It handles up to 64 KiB of frames in one go, and
        those behind the close would keep its task, and the whole connection, for as long as the process lives.
        """
        queue = getattr(self._receive, "__self__", None)
        if isinstance(queue, asyncio.Queue):
            queue._maxsize = 0  # type: ignore[attr-defined]  # no room is waited for again
            while not queue.empty():
                queue.get_nowait()  # wakes whoever waits for room now


class RelayConnection(ASGIWebsocketConnection):
    """Quart's connection class with the socket left to the handler, which finds it in the scope."""

    async def __call__(self, receive: Any, send: Any) -> None:
        socket = Socket(receive, send)
        self.scope[SCOPE_KEY] = socket  # type: ignore[literal-required]
        await self.handle_websocket(self._create_websocket_from_scope(send), send)
        if socket.serve is not None:
            await socket.serve()

    async def handle_websocket(self, websocket: Any, send: Any) -> None:
        """As Quart does, but nothing is sent for a handler that did not refuse."""
        response = await self.app.handle_websocket(websocket)
        if response is not None:
            data = response.get_data(as_text=False)
            body = await data if isawaitable(data) else data  # routing answers with Werkzeug's, handlers with Quart's
            await _refuse(send, response.status_code, body, self.scope)


def _size(text: str | bytes) -> int:
    return len(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)


async def _refuse(send: Send, status: int, body: bytes, scope: Any) -> None:
    """A real HTTP refusal where the host can carry one; else a close, which hosts turn into a bare 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


def _offer_no_compression(send: Send) -> None:
    """hypercorn has no switch for it: it parses the client's offer before the app runs, and takes it in accept().

    A message that was compressed is inflated before any limit is looked at. Does nothing on other hosts, or if
    hypercorn's insides have changed.
    """
    handshake: Any = getattr(getattr(send, "__self__", None), "handshake", None)
    if getattr(handshake, "extensions", None):
        handshake.extensions = None


def _watch_close(send: Send) -> Callable[[], Closed | None]:
    """hypercorn reports every close by the peer as 1006, without a reason; note both where its parser passes by.

    Does nothing on other hosts, or if hypercorn's insides have changed.
    """
    frames = getattr(getattr(getattr(send, "__self__", None), "connection", None), "_proto", None)
    process = getattr(frames, "_process_close", None)
    if frames is None or process is None:
        return lambda: None
    noted: list[Closed] = []

    def noting(frame: Any) -> Any:
        processed = process(frame)
        code, reason = processed.payload
        noted.append(Closed(int(code), reason or ""))
        return processed

    frames._process_close = noting  # asked for close frames alone: events() would cost every frame
    return lambda: noted[-1] if noted else None
