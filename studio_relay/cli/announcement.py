"""What a server says when it starts: where it listens, who answers, and what to paste where in Twilio."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from studio_relay import __version__

if TYPE_CHECKING:
    from quart import Quart

    from studio_relay.server.app import Relay

VOICE_ROUTE = "/voice"


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """One server's addresses. `relay_url` and `voice_url` are None while Twilio has no way to it."""

    listens_on: str
    local_relay_url: str
    relay_url: str | None
    voice_url: str | None
    agent: str
    agent_from: str
    is_stand_in: bool
    insecure: bool

    def __str__(self) -> str:
        lines = [
            f"studio-relay {__version__} listens on {self.listens_on}",
            f"  agent      {self.agent}{self._origin()}",
        ]
        if self.relay_url:
            lines += [f"  Studio     {self.relay_url}", "             paste it into the ConversationRelay widget"]
            if self.voice_url:
                lines += [f"  voice URL  {self.voice_url}", "             for a number that has no Studio flow"]
        else:
            lines.append("  Twilio cannot reach it yet: set STUDIO_RELAY_PUBLIC_URL=https://...")
        if self.insecure:
            lines.append("  insecure: unsigned requests from this machine are served, all others refused")
        lines.append(f"  try it     studio-relay call {self._call_arguments()}")
        return "\n".join(lines)

    def to_json_line(self) -> str:
        """The same for programs."""
        report = {
            "version": 1,
            "ok": True,
            "listens_on": self.listens_on,
            "local_relay_url": self.local_relay_url,
            "relay_url": self.relay_url,
            "voice_url": self.voice_url,
            "agent": self.agent,
            "insecure": self.insecure,
        }
        return json.dumps({name: value for name, value in report.items() if value is not None})

    def _origin(self) -> str:
        if self.is_stand_in:
            return " (built in: it repeats what it hears, no agent is installed)"
        return f" ({self.agent_from})" if self.agent_from else ""

    def _call_arguments(self) -> str:
        return self.local_relay_url + (f" --sign-as {self.relay_url}" if self.relay_url and not self.insecure else "")


def announcement(app: Quart, relay: Relay, port: int) -> Announcement:
    """What `app` has to say, listening on `port`."""
    settings, agent = relay.settings, relay.desk.default_agent
    local = f"http://{_bracketed(settings.host)}:{port}"
    public = settings.public_url
    has_voice = any(rule.rule == VOICE_ROUTE for rule in app.url_map.iter_rules())
    return Announcement(
        listens_on=local,
        local_relay_url=_relay_url(_reachable(local)),
        relay_url=_relay_url(public) if public else None,
        voice_url=public + VOICE_ROUTE if public and has_voice else None,
        agent=agent.name,
        agent_from=f"{agent.package} {agent.version}".strip(),
        is_stand_in=agent.name == "echo" and settings.agent is None,
        insecure=settings.insecure,
    )


def _relay_url(http_url: str) -> str:
    return "ws" + http_url.removeprefix("http") + "/relay"


def _reachable(http_url: str) -> str:
    """An address to call from this machine: listening on all is reached on loopback."""
    host = urlsplit(http_url).hostname or ""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # compared with, not bound to
    return http_url.replace(_bracketed(host), everywhere[host]) if host in everywhere else http_url


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
