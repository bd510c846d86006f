"""A server in this process with the agents that are installed, reached without a socket; it judges no call.

Whatever host a flow names, this server answers for it, so a flow is tested as it will be imported.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from studio_relay.errors import FlowError, PluginError
from studio_relay.plugins import Plugins, assemble, load_plugins, plugin
from studio_relay.server.app import create_app
from studio_relay.settings import Settings
from studio_relay.testing.asgi import AsgiTransport
from studio_relay.testing.transport import Closed, Response, Socket

HOST = "127.0.0.1"
PUBLIC_URL = "https://relay.example.com"
_ROUTE = re.compile(r"/(relay|voice|connect-action)(?:/([^/]+))?$")
FLOOD_FRAMES = 5_000
"""So many frames within a second come from a reply that never ends: on a virtual clock time hardly passes by it."""
STAND_IN_AGENT, RULES_AGENT = "echo", "scripted"


class OwnSettings(Settings):
    """Settings that come from the arguments alone: a server in a test or a demo runs anywhere, whatever is set."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only."""
        return (init_settings,)


@asynccontextmanager
async def own_server(*, agent: str | None = None, plugins: Plugins | None = None) -> AsyncIterator[OwnServer]:
    """Serve in this process while the block runs; with `agent`, that one answers whatever a URL names.

    `plugins` are all that are installed, if left out. Raises PluginError for an agent that is not.
    """
    plugins = plugins or load_plugins()
    if agent is not None and agent not in plugins.agents:
        raise PluginError(f"{plugins.absence(agent)}.")
    given: dict[str, Any] = {
        "insecure": True,
        "agent": agent or _default_agent(plugins) or STAND_IN_AGENT,
        "public_url": PUBLIC_URL,
        "max_reconnects": 0,  # an outage is the flow's to deal with, in every shape of a stage
    }
    async with AsgiTransport(create_app(OwnSettings(**given), plugins)) as transport:
        yield OwnServer(transport, plugins, only=agent)


def plugins_with_rules(path: str | Path) -> Plugins:
    """The installed plugins, with `scripted` answering by the rules in this file. Raises SettingsError."""
    from studio_relay.agents.scripted import ScriptedAgent, load_rules

    installed = load_plugins()
    agent = plugin(ScriptedAgent(load_rules(Path(path))), name=RULES_AGENT, kind="agent")
    others = [one for one in installed.agents.values() if one.name != RULES_AGENT]
    return assemble([*others, agent, *installed.extensions], installed.failures)


class OwnServer:
    """A `Transport` to the server: `/relay/NAME` leads to the agent of that name, other paths to the default one."""

    def __init__(self, transport: AsgiTransport, plugins: Plugins, *, only: str | None = None) -> None:
        self.transport = transport
        self._plugins = plugins
        self._only = only
        self._flooded: str | None = None

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        """Open a WebSocket; see `Transport.connect`. Raises FlowError when the URL names an agent there is not."""
        agent = self._agent(url)
        socket = await self.transport.connect(f"ws://{HOST}/relay/{agent}", headers)

        def flooded() -> None:
            self._flooded = agent

        return _Watched(socket, flooded)

    def check_flood(self) -> None:
        """Raises FlowError, once, when an agent had to be cut off since the last time."""
        agent, self._flooded = self._flooded, None
        if agent is not None:
            raise FlowError(
                f"the agent {agent!r} never ends its reply: it sent {FLOOD_FRAMES:,} pieces within a second and "
                "was cut off"
            )

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Ask the server for what it answers a call, or a session's end, with; see `Transport.request`."""
        parts = urlsplit(url)
        route, place = _route(parts.path), f"http://{HOST}"
        path = f"/{route}/{self._agent(url)}" if route else parts.path
        return await self.transport.request(method, f"{place}{path}?{parts.query}", form=form, headers=headers)

    def _agent(self, url: str) -> str:
        if self._only is not None:
            return self._only
        name = named_agent(url) or self._plugins.default_agent().name
        if name not in self._plugins.agents:
            raise FlowError(
                f"the flow calls an agent that cannot answer: {self._plugins.absence(name)}. "
                "Install or fix its package, or let another one answer with --agent."
            )
        return name


class _Watched:
    """A socket that is dropped when too much comes through it within a second of the loop's clock."""

    def __init__(self, socket: Socket, flooded: Callable[[], None]) -> None:
        self._socket = socket
        self._flooded = flooded
        self._second, self._frames = 0, 0

    async def send_text(self, text: str) -> None:
        await self._socket.send_text(text)

    async def receive(self) -> str | bytes | Closed:
        frame = await self._socket.receive()
        second = int(asyncio.get_running_loop().time())
        self._frames = self._frames + 1 if second == self._second else 1
        self._second = second
        if self._frames <= FLOOD_FRAMES or isinstance(frame, Closed):
            return frame
        self._flooded()
        await self._socket.abort()
        return Closed(code=1006)

    async def close(self, code: int, reason: str = "") -> None:
        await self._socket.close(code, reason)

    async def abort(self) -> None:
        await self._socket.abort()


def named_agent(url: str) -> str | None:
    """The agent's name in a URL whose path ends in `/relay/NAME`, `/voice/NAME` or `/connect-action/NAME`."""
    found = _ROUTE.search(urlsplit(url).path)
    return found[2] if found else None


def _route(path: str) -> str | None:
    found = _ROUTE.search(path)
    return found[1] if found else None


def _default_agent(plugins: Plugins) -> str | None:
    """Who answers where no agent is named; None where several could, which only such a URL makes an error."""
    try:
        return plugins.default_agent().name
    except PluginError:
        return None
