"""The application served in process: an ASGI WebSocket that can be made to block, break or vanish."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from studio_relay.plugins import assemble, load_plugins, plugin
from studio_relay.server.app import Relay, create_app
from studio_relay.settings import load_settings


class AsgiSocket:
    """The host's side of one WebSocket: what the application sends is kept, what it is told is up to the test."""

    def __init__(self, app: Any, scope: dict[str, Any]) -> None:
        self.frames: list[dict[str, Any]] = []
        self.accepted = False
        self.closed: tuple[int, str] | None = None
        self.refused: int | None = None
        self.body = ""
        self.reading = asyncio.Event()
        self.reading.set()
        self.broken: Exception | None = None
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.get_running_loop().create_task(app(scope, self._to_app.get, self._take))

    async def _take(self, event: dict[str, Any]) -> None:
        await self.reading.wait()
        if self.broken is not None:
            raise self.broken
        match event["type"]:
            case "websocket.accept":
                self.accepted = True
            case "websocket.send":
                self.frames.append(json.loads(event["text"]))
            case "websocket.close":
                self.closed = (event["code"], event.get("reason") or "")
            case "websocket.http.response.start":
                self.refused = event["status"]
            case "websocket.http.response.body":
                self.body += event["body"].decode()

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(100):
            await asyncio.sleep(0)

    async def send(self, *frames: dict[str, Any] | str | bytes) -> None:
        """Frames arrive: dicts as JSON text, text and bytes as they are."""
        for frame in frames:
            kind = "bytes" if isinstance(frame, bytes) else "text"
            data = json.dumps(frame) if isinstance(frame, dict) else frame
            self._to_app.put_nowait({"type": "websocket.receive", kind: data})
        await self.settle()

    async def prompt(self, text: str) -> None:
        await self.send({"type": "prompt", "voicePrompt": text, "lang": "en-US", "last": True})

    async def disconnect(self, code: int = 1000) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code})
        await self.settle()

    @property
    def words(self) -> str:
        return "".join(frame["token"] for frame in self.frames if frame["type"] == "text")

    @property
    def ends(self) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == "end"]


class Server:
    """An application with one agent, `agent`, and what connects to it."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.relay: Relay = app.extensions["studio_relay"]
        self.sockets: list[AsgiSocket] = []

    async def connect(
        self,
        path: str = "/relay",
        *,
        headers: dict[str, str] | None = None,
        peer: str = "127.0.0.1",
        can_refuse: bool = True,
    ) -> AsgiSocket:
        names = {"host": "localhost:8080", "connection": "upgrade", "upgrade": "websocket"} | (headers or {})
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "client": (peer, 50_000),
            "server": ("127.0.0.1", 8080),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}} if can_refuse else {},
        }
        socket = AsgiSocket(self.app, scope)
        self.sockets.append(socket)
        await socket.settle()
        return socket


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Server]]:
    """Makes servers with an agent and extensions, given as objects or classes; settings as keywords."""
    servers: list[Server] = []

    def make(agent: Any, *extensions: Any, **settings: Any) -> Server:
        built_in = load_plugins(outside=False)
        found = [
            *built_in.agents.values(),
            plugin(agent, name="agent", kind="agent"),
            *(plugin(one, name=f"extension-{index}", kind="extension") for index, one in enumerate(extensions)),
        ]
        security = {} if "auth_token" in settings else {"insecure": True}
        wanted = load_settings(None, agent="agent", **security, **settings)
        servers.append(Server(create_app(wanted, assemble(found))))
        return servers[-1]

    yield make
    for socket in (socket for server in servers for socket in server.sockets):
        socket.reading.set()
        if not socket.task.done():
            await socket.disconnect(1006)
            await asyncio.wait_for(socket.task, 15)
