"""The server of the demo: on a free loopback port, with a token of its own, deaf to this machine's settings."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from studio_relay.plugins import load_plugins
from studio_relay.server.app import create_app
from studio_relay.server.hosting import hosted, listen
from studio_relay.studio.flow import Flow, parse_flow
from studio_relay.testing.own_server import OwnSettings

RELAY_WIDGET = "run-conversation-relay"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class DemoServer:
    """Where it listens, where it says it is, who answers by default, and who else could."""

    local_url: str
    public_url: str
    agent: str
    agents: Collection[str]
    broken: Sequence[str]  # why agents that were asked for, and are installed, do not answer


@asynccontextmanager
async def demo_server(token: str, preferred: Sequence[str], *, named: Collection[str]) -> AsyncIterator[DemoServer]:
    """Serve while the block runs. The first of `preferred` that is installed answers; `named` agents are loaded too."""
    plugins = load_plugins(only={*preferred, *named})
    agent = next(name for name in preferred if name in plugins.agents)
    listener = listen(_LOOPBACK, 0)
    where = f"{_LOOPBACK}:{listener.getsockname()[1]}"
    own: dict[str, Any] = {"auth_token": token, "public_url": f"https://{where}", "agent": agent}
    async with hosted(create_app(OwnSettings(**own), plugins), listener):
        yield DemoServer(
            local_url=f"http://{where}",
            public_url=f"wss://{where}/relay",
            agent=agent,
            agents=plugins.agents.keys(),
            broken=[plugins.absence(failure.name) for failure in plugins.failures if failure.kind == "agent"],
        )


def relay_agents(flow: Flow) -> set[str]:
    """The agents that the relay widgets' URLs name, as in `/relay/front-desk`."""
    return {
        name for widget in flow.states.values() if widget.type == RELAY_WIDGET and (name := _agent(widget.text("url")))
    }


def configured(flow: Flow, server: DemoServer) -> Flow:
    """`flow` with its relay widgets pointing at the server; an agent it names stays, if it is installed."""
    definition = copy.deepcopy(dict(flow.definition))
    for properties in _relay_properties(definition):
        named = _agent(str(properties.get("url") or ""))
        properties["url"] = f"{server.public_url}/{named if named in server.agents else server.agent}"
    return parse_flow(json.dumps(definition), name=flow.name)


def _relay_properties(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in definition["states"]:
        if state.get("type") == RELAY_WIDGET:
            yield state["properties"]


def _agent(url: str) -> str:
    """The last part of a path that ends in `/relay/NAME`; nothing for other paths, or for Liquid."""
    before, _, name = urlsplit(url).path.rpartition("/")
    return name if before.endswith("/relay") and "{" not in name else ""
