"""A server that does not take the call: its answer, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio_relay.cli.errors import NotDone
from studio_relay.cli.printable import printable
from studio_relay.testing.transport import Unreachable, UpgradeRefused

if TYPE_CHECKING:
    from studio_relay.testing.relay import Line


def refused(refusal: UpgradeRefused | Unreachable, url: str, line: Line) -> NotDone:
    """The error to raise: a line for what happened, a line of advice."""
    if isinstance(refusal, Unreachable):
        return NotDone(f"{printable(str(refusal))}\nis the server running? `studio-relay serve` starts one")
    body = f": {printable(refusal.body[:200]).strip()}" if refusal.body.strip() else ""
    return NotDone(f"the server refused the upgrade with {refusal.status}{body}\n{_advice(refusal.status, url, line)}")


def _advice(status: int, url: str, line: Line) -> str:
    if status in (401, 403):
        return _signature_advice(url, line)
    if status == 404:
        nothing = f"nothing answers at {printable(url)}; our server has /relay and /relay/NAME of an installed agent"
        return f"{nothing}{_broken_agent(url)}"
    if status == 503:
        return "the server takes no calls now: it is draining or full; GET /ready says which"
    if 300 <= status < 400:
        return "Twilio follows no redirects of an upgrade; give the final URL"
    return "Twilio would give the caller a busy tone, or follow Failed in Studio; the server's log may say why"


def _broken_agent(url: str) -> str:
    """Why the agent that the URL names does not answer, where it is installed here too and is broken."""
    from studio_relay.plugins import load_plugins
    from studio_relay.testing.own_server import named_agent

    name = named_agent(url)
    if name is None:
        return ""
    plugins = load_plugins(only=[name])
    return f"\n{printable(plugins.absence(name))}" if plugins.failures else ""


def _signature_advice(url: str, line: Line) -> str:
    if line.auth_token is None:
        return (
            "the upgrade was not signed: set TWILIO_AUTH_TOKEN to the server's token, or name another variable with "
            "--auth-token-env"
        )
    if line.sign_as is None:
        return (
            "the token or the signed URL is not the server's: check TWILIO_AUTH_TOKEN; a server with "
            "STUDIO_RELAY_PUBLIC_URL wants --sign-as wss://HOST/relay"
        )
    return f"the token or the signed URL is not the server's: {printable(line.sign_as)} was signed"
