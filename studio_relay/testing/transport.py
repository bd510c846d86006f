"""How a simulated Twilio reaches a server, and the way over real sockets; `asgi.py` holds the way in process.

Only text and requests are moved here; what they say is the business of `studio_relay.testing.twilio`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit, urlunsplit

from studio_relay.errors import RelayError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CONNECT_TIMEOUT_SECONDS = 10.0
UNREAD_SECONDS = 10.0
"""A server that does not read for so long is dropped."""
REFUSAL_EXCERPT = 2000


class UpgradeRefused(RelayError):
    """The server answered the upgrade with `status` instead of 101.

    `body` is at most 2,000 characters of its text.
    """

    def __init__(self, status: int, body: str = "") -> None:
        super().__init__(f"the upgrade was answered with {status}, expected 101: {body[:200].strip() or '(no body)'}")
        self.status = status
        self.body = body[:REFUSAL_EXCERPT]


class Unreachable(RelayError):
    """Nothing answers at the URL, or what answers speaks no WebSocket or HTTP."""


@dataclass(frozen=True, kw_only=True)
class Closed:
    """The socket's end: 1006 without a close frame."""

    code: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Response:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


class Socket(Protocol):
    """One open WebSocket, seen from Twilio's end."""

    async def send_text(self, text: str) -> None:
        """Send one text frame; a socket that is closed swallows it."""

    async def receive(self) -> str | bytes | Closed:
        """The next frame, or how the socket ended (again and again)."""

    async def close(self, code: int, reason: str = "") -> None:
        """Close with a close frame."""

    async def abort(self) -> None:
        """Drop the connection without a close frame; the server sees 1006."""


class Transport(Protocol):
    """A way to one server."""

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        """Open a WebSocket at `url` (absolute, or a path). Raises UpgradeRefused, Unreachable."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Make an HTTP request, form-encoded if there is a `form`. Raises Unreachable."""


class NetTransport:
    """Reaches a server over real sockets, without compression and without proxies.

    `base_url` (`ws://127.0.0.1:8080`, `https://host`) is where requests really go; of an absolute URL asked
    for, only path and query are then used. Without it absolute URLs are taken as they are.
    """

    def __init__(self, base_url: str | None = None) -> None:
        self._base = urlsplit(base_url) if base_url else None

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        """Open a WebSocket; see `Transport.connect`."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus

        target = self._target(url, secure="wss", plain="ws")
        try:
            connection = await connect(
                target,
                additional_headers=dict(headers),
                compression=None,
                proxy=None,
                user_agent_header=None,
                ping_interval=None,
                max_size=None,
                open_timeout=CONNECT_TIMEOUT_SECONDS,
                close_timeout=CONNECT_TIMEOUT_SECONDS,
            )
        except InvalidStatus as error:
            answer = error.response
            raise UpgradeRefused(answer.status_code, (answer.body or b"").decode("utf-8", "replace")) from error
        except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
            raise Unreachable(f"no WebSocket at {_without_query(target)}: {error or type(error).__name__}") from error
        return _NetSocket(connection)

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Make an HTTP request; see `Transport.request`."""
        import httpx

        target = self._target(url, secure="https", plain="http")
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=CONNECT_TIMEOUT_SECONDS) as client:
                answer = await client.request(method, target, data=form, headers=dict(headers or {}))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"no answer from {_without_query(target)}: {error or type(error).__name__}") from error
        return Response(status=answer.status_code, headers=dict(answer.headers), text=answer.text)

    def _target(self, url: str, *, secure: str, plain: str) -> str:
        asked = urlsplit(url)
        if self._base is None and not asked.netloc:
            raise Unreachable(f"expected a whole URL such as ws://127.0.0.1:8080/relay, found {url!r}")
        where = self._base or asked
        scheme = secure if where.scheme in ("https", "wss") else plain
        return urlunsplit((scheme, where.netloc, asked.path or "/", asked.query, ""))


def _without_query(url: str) -> str:
    return url.partition("?")[0]


class _NetSocket:
    """A real WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send_text(self, text: str) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            async with asyncio.timeout(UNREAD_SECONDS):
                await self._connection.send(text)
        except ConnectionClosed:
            return
        except TimeoutError:
            await self.abort()

    async def receive(self) -> str | bytes | Closed:
        from websockets.exceptions import ConnectionClosed

        try:
            return await self._connection.recv()
        except ConnectionClosed:
            code, reason = self._connection.close_code, self._connection.close_reason
            return Closed(code=code or 1006, reason=reason or "")

    async def close(self, code: int, reason: str = "") -> None:
        await self._connection.close(code, reason)

    async def abort(self) -> None:
        self._connection.transport.abort()
        await self._connection.wait_closed()
