"""How frames of a simulated Twilio reach the server: each is handed over when the line's delay is over, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from studio_relay.testing.clock import Clock
from studio_relay.testing.line_delay import Delay
from studio_relay.testing.transport import Socket


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """A frame that reached the server at `at_ms`; `frame` is None for raw text."""

    sent_ms: int
    at_ms: int
    text: str
    frame: Mapping[str, Any] | None = None


class Downlink:
    """One socket's way down. `run` hands over until the socket is closed or aborted."""

    def __init__(self, socket: Socket, delay: Delay, clock: Clock, on_delivery: Callable[[Delivered], None]) -> None:
        self._socket = socket
        self._delay = delay
        self._clock = clock
        self._on_delivery = on_delivery
        self._due: asyncio.Queue[tuple[int, Callable[[], Awaitable[None]]] | None] = asyncio.Queue()
        self._gone = False

    def send(self, text: str, frame: Mapping[str, Any] | None = None) -> None:
        """Put one text frame on the line."""
        sent = self._clock.now_ms()
        arrival = self._delay.arrival(sent)

        async def hand_over() -> None:
            await self._socket.send_text(text)
            self._on_delivery(Delivered(sent_ms=sent, at_ms=arrival, text=text, frame=frame))

        self._due.put_nowait((arrival, hand_over))

    def close(self, code: int, reason: str) -> None:
        """Put a close frame on the line, behind all that was sent."""
        self._finish(lambda: self._socket.close(code, reason))

    def drop(self) -> None:
        """Let the connection break, without a close frame: the server notices behind all that was sent."""
        self._finish(self._socket.abort)

    def _finish(self, end: Callable[[], Awaitable[None]]) -> None:
        self._due.put_nowait((self._delay.arrival(self._clock.now_ms()), end))
        self._due.put_nowait(None)

    async def abort(self) -> None:
        """Drop the connection now; what is on the line is lost."""
        self._gone = True
        self._due.put_nowait(None)
        await self._socket.abort()

    async def run(self) -> None:
        """Hand over what is due, in order."""
        while (due := await self._due.get()) is not None:
            arrival, hand_over = due
            await self._clock.sleep_ms(arrival - self._clock.now_ms())
            if self._gone:
                return
            await hand_over()
