"""The application served in process: an ASGI WebSocket that can be made to block, break or vanish."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from studio_relay.plugins import assemble, load_plugins, plugin
from studio_relay.server.app import Relay, create_app
from studio_relay.settings import load_settings
from studio_relay.store import SessionStore
from studio_relay.testing.signing import sign_request


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
        self.cancelled = 0  # sends that were cancelled while the host ran them
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.get_running_loop().create_task(app(scope, self._to_app.get, self._take))

    async def _take(self, event: dict[str, Any]) -> None:
        try:
            await self.reading.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
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

    def make(agent: Any, *extensions: Any, store: SessionStore | None = None, **settings: Any) -> Server:
        built_in = load_plugins(outside=False)
        found = [
            *built_in.agents.values(),
            plugin(agent, name="agent", kind="agent"),
            *(plugin(one, name=f"extension-{index}", kind="extension") for index, one in enumerate(extensions)),
        ]
        security = {} if "auth_token" in settings else {"insecure": True}
        wanted = load_settings(None, agent="agent", **security, **settings)
        servers.append(Server(create_app(wanted, assemble(found), store=store)))
        return servers[-1]

    yield make
    for socket in (socket for server in servers for socket in server.sockets):
        socket.reading.set()
        if not socket.task.done():
            await socket.disconnect(1006)
            await asyncio.wait_for(socket.task, 15)
        assert not socket.cancelled, "a task that ran the host's send was cancelled"


# --- webhooks ---------------------------------------------------------------------------------------------

TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC" + "0" * 32
PUBLIC = "https://relay.example.com"
CALL = {
    "AccountSid": ACCOUNT,
    "CallSid": "CA00000000000000000000000000000001",
    "CallStatus": "in-progress",
    "From": "+15550100001",
    "To": "+15550100002",
    "FromCity": "",
}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a webhook was answered with."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def outcome(self) -> str:
        return self.headers["studio-relay-outcome"]

    @property
    def root(self) -> Any:
        return ElementTree.fromstring(self.text)

    @property
    def verbs(self) -> list[str]:
        return [verb.tag for verb in self.root]

    @property
    def relay(self) -> Any:
        """The <ConversationRelay> element."""
        found = self.root.find("Connect/ConversationRelay")
        assert found is not None, self.text
        return found

    @property
    def parameters(self) -> dict[str, str]:
        return {one.get("name"): one.get("value") for one in self.relay.findall("Parameter")}

    @property
    def action(self) -> str:
        action: str = self.root.find("Connect").get("action")
        return action

    @property
    def home(self) -> str:
        """Where the call is redirected to."""
        return str(self.root.findtext("Redirect"))


class Web:
    """Twilio's webhooks to an application: signed, unless a test says otherwise."""

    def __init__(self, server: Server, *, token: str | None = TOKEN) -> None:
        self.server = server
        self.app = server.app
        self.token = token

    async def post(self, path: str, **fields: str) -> Reply:
        """A form, as Twilio sends it; the usual fields of a call unless given."""
        return await self.form(path, list((CALL | fields).items()))

    async def form(self, path: str, fields: Sequence[tuple[str, str]]) -> Reply:
        """Fields in order; of one that stands twice every distinct value is signed, sorted, as Twilio does it."""
        url = path if path.startswith("http") else PUBLIC + path
        several = {name: "" for name, _ in fields}
        for name, value in sorted(set(fields)):
            several[name] += value if not several[name] else name + value
        kind = {"content-type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        return await self.raw("POST", url, body, headers={**kind, **sign_request(url, several, self.token)})

    async def get(self, path: str, **fields: str) -> Reply:
        mark = "&" if "?" in path else "?"
        url = f"{PUBLIC}{path}{mark}{urlencode(CALL | fields)}"
        return await self.raw("GET", url, headers=sign_request(url, {}, self.token))

    async def json(self, path: str, body: bytes) -> Reply:
        mark = "&" if "?" in path else "?"
        url = f"{PUBLIC}{path}{mark}bodySHA256={hashlib.sha256(body).hexdigest()}"
        headers = {"content-type": "application/json"} | sign_request(url, {}, self.token)
        return await self.raw("POST", url, body, headers=headers)

    async def raw(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        peer: str = "127.0.0.1",
    ) -> Reply:
        scheme, _, rest = url.partition("://")
        host, slash, rest = rest.partition("/")
        path, _, query = (slash + rest).partition("?")
        names = {"host": host, "content-length": str(len(body)), **(headers or {})}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": scheme,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in names.items()],
            "client": (peer, 50_000),
            "server": (host, 443),
        }
        events = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return events.pop() if events else await asyncio.Event().wait()

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        async with asyncio.timeout(30):
            await self.app(scope, receive, send)
        start = next(event for event in sent if event["type"] == "http.response.start")
        text = b"".join(event.get("body", b"") for event in sent if event["type"] == "http.response.body").decode()
        answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Reply(status=start["status"], headers=answered, text=text)


@pytest.fixture
def web(serve: Callable[..., Server]) -> Callable[..., Web]:
    """Makes a public server with an agent, and Twilio's webhooks to it; settings as keywords."""

    def make(agent: Any, *extensions: Any, **settings: Any) -> Web:
        public = {"auth_token": TOKEN, "public_url": PUBLIC, "account_sid": ACCOUNT}
        return Web(serve(agent, *extensions, **(public | settings)))

    return make
