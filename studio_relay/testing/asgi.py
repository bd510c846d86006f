"""Reaches an ASGI app in process: the app sees a connection, no socket is opened.

What is said over it is the business of `studio_relay.testing.twilio`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

from studio_relay.errors import RelayError
from studio_relay.testing.transport import Closed, Response, Socket, UpgradeRefused

if TYPE_CHECKING:
    from types import TracebackType

# Every framework types its own scope and events; all of them must be callable here.
AsgiApp = Callable[[Any, Any, Any], Awaitable[Any]]

APP_STOP_SECONDS = 10.0
UNREAD_FRAMES = 4096  # what a network would hold before the server's send waits


class AsgiTransport:
    """Reaches an ASGI app in process: no socket, no server, and virtual time where the loop has it.

    As an async context manager it also runs the app's lifespan. `failures` keeps what the app raised.
    """

    def __init__(self, app: AsgiApp, *, client: tuple[str, int] = ("127.0.0.1", 50_000)) -> None:
        self.app = app
        self.failures: list[BaseException] = []
        self._client = client
        self._lifespan: _Lifespan | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> AsgiTransport:
        relay = getattr(self.app, "extensions", {}).get("studio_relay")
        if relay is not None:
            relay.is_ours = True  # in process there is no host whose signals could cut calls
        self._lifespan = _Lifespan(self.app)
        await self._lifespan.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.finished()
        if self._lifespan is not None:
            await self._lifespan.stop()

    async def finished(self) -> None:
        """Wait until the app has left every connection; cancels what is left after 10 s."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=APP_STOP_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        """Open a WebSocket; see `Transport.connect`."""
        parts = urlsplit(url)
        scope = self._scope("websocket", parts, parts.scheme or "wss", headers)
        scope["subprotocols"] = []
        scope["extensions"] = {"websocket.http.response": {}}
        socket = _AsgiSocket()
        self._run(scope, socket.app_receive, socket.app_send, socket.app_left)
        await socket.opened()
        return socket

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Make an HTTP request; see `Transport.request`."""
        parts = urlsplit(url)
        sent = dict(headers or {})
        body = b""
        if form is not None:
            body = urlencode(form).encode()
            sent |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        scope = self._scope("http", parts, parts.scheme or "https", sent)
        scope["method"] = method
        exchange = _AsgiExchange(body)
        self._run(scope, exchange.app_receive, exchange.app_send, exchange.app_left)
        return await exchange.response()

    def _scope(self, kind: str, parts: SplitResult, scheme: str, headers: Mapping[str, str]) -> dict[str, Any]:
        host = parts.netloc or "relay.example.test"
        names = {"host": host, **{name.lower(): value for name, value in headers.items()}}
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": scheme,
            "path": unquote(parts.path) or "/",
            "raw_path": (parts.path or "/").encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in names.items()],
            "client": self._client,
            "server": (parts.hostname or host, parts.port or 443),
            "state": dict(self._lifespan.state) if self._lifespan else {},
        }

    def _run(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
        left: Callable[[], None],
    ) -> None:
        async def serve() -> None:
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                self.failures.append(error)
            finally:
                left()

        task = asyncio.create_task(serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _AsgiSocket:
    """Twilio's end and the app's end of one in-process WebSocket."""

    def __init__(self) -> None:
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[str | bytes] = asyncio.Queue(maxsize=UNREAD_FRAMES)
        self._accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._refusal: tuple[int, list[bytes]] | None = None
        self._to_app.put_nowait({"type": "websocket.connect"})

    async def opened(self) -> None:
        ends: set[asyncio.Future[Any]] = {self._accepted, self._closed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not self._accepted.done():
            self._accepted.cancel()
            status, body = self._refusal or (403, [])
            raise UpgradeRefused(status, b"".join(body).decode("utf-8", "replace"))

    async def send_text(self, text: str) -> None:
        if not self._closed.done():
            self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> str | bytes | Closed:
        if self._from_app.empty() and not self._closed.done():
            frame = asyncio.ensure_future(self._from_app.get())
            either: set[asyncio.Future[Any]] = {frame, self._closed}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if frame.done():
                    return frame.result()
            finally:
                frame.cancel()
        return self._closed.result() if self._from_app.empty() else self._from_app.get_nowait()

    async def close(self, code: int, reason: str = "") -> None:
        self._end(Closed(code=code, reason=reason))

    async def abort(self) -> None:
        self._end(Closed(code=1006))

    def _end(self, closed: Closed) -> None:
        if not self._closed.done():
            self._closed.set_result(closed)
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason})

    async def app_receive(self) -> dict[str, Any]:
        return await self._to_app.get()

    async def app_send(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "websocket.accept":
                if not self._accepted.done():
                    self._accepted.set_result(None)
            case "websocket.send" if not self._closed.done():
                text = event.get("text")
                await self._from_app.put(text if text is not None else event["bytes"])
            case "websocket.close":
                self._end(Closed(code=event.get("code") or 1000, reason=event.get("reason") or ""))
            case "websocket.http.response.start":
                self._refusal = (event["status"], [])
            case "websocket.http.response.body" if self._refusal is not None:
                self._refusal[1].append(event.get("body", b""))
                if not event.get("more_body"):
                    self._end(Closed(code=1006))

    def app_left(self) -> None:
        """The app returned: whatever it left open is gone, as when a worker dies."""
        self._end(Closed(code=1006))


class _AsgiExchange:
    """One in-process HTTP request and its answer."""

    def __init__(self, body: bytes) -> None:
        self._request: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def app_receive(self) -> dict[str, Any]:
        if self._request:
            return self._request.pop()
        await self._done
        return {"type": "http.disconnect"}

    async def app_send(self, event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            self._status = event["status"]
            self._headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in event["headers"]
            }
        elif event["type"] == "http.response.body":
            self._body.append(event.get("body", b""))
            if not event.get("more_body"):
                self.app_left()

    def app_left(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    async def response(self) -> Response:
        await asyncio.shield(self._done)
        text = b"".join(self._body).decode("utf-8", "replace")
        return Response(status=self._status or 500, headers=self._headers, text=text)


class _Lifespan:
    """Starts and stops an app as its server would; an app that knows no lifespan is left alone."""

    def __init__(self, app: AsgiApp) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, str] | BaseException] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._serve())
        answer = await self._ask("lifespan.startup")
        if isinstance(answer, dict) and answer["type"].endswith("failed"):
            raise RelayError(f"the app did not start: {answer.get('message', '')}")
        if isinstance(answer, BaseException):
            self._task = None

    async def stop(self) -> None:
        if self._task is not None:
            await self._ask("lifespan.shutdown")
            await self._task

    async def _ask(self, event: str) -> dict[str, str] | BaseException:
        self._to_app.put_nowait({"type": event})
        return await self._from_app.get()

    async def _serve(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:
            self._from_app.put_nowait(error)
