"""A transport that lets somebody see each frame the moment it arrives; changes nothing on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from studio_relay.testing.transport import Closed, Response, Socket, Transport

OnFrame = Callable[[str], None]


class ListeningTransport:
    """`transport`, with every text frame of the server shown to `on_frame`."""

    def __init__(self, transport: Transport, on_frame: OnFrame) -> None:
        self._transport = transport
        self._on_frame = on_frame

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        """Open a WebSocket; see `Transport.connect`."""
        return _ListeningSocket(await self._transport.connect(url, headers), self._on_frame)

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Make an HTTP request; see `Transport.request`."""
        return await self._transport.request(method, url, form=form, headers=headers)


class _ListeningSocket:
    def __init__(self, socket: Socket, on_frame: OnFrame) -> None:
        self._socket = socket
        self._on_frame = on_frame

    async def send_text(self, text: str) -> None:
        await self._socket.send_text(text)

    async def receive(self) -> str | bytes | Closed:
        frame = await self._socket.receive()
        if isinstance(frame, str):
            self._on_frame(frame)
        return frame

    async def close(self, code: int, reason: str = "") -> None:
        await self._socket.close(code, reason)

    async def abort(self) -> None:
        await self._socket.abort()
