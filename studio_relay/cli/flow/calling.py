"""How `flow run` and `flow test` reach a server: their shared options, and flows whose relays call another URL."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from studio_relay.cli.auth_token import DEFAULT_TOKEN, auth_token
from studio_relay.cli.flow.options import read_pairs

if TYPE_CHECKING:
    from datetime import datetime

    from studio_relay.studio.flow import Flow
    from studio_relay.testing.relay import Line

F = TypeVar("F", bound=Callable[..., Any])

_RULES = (".yaml", ".yml", ".json")
_OPTIONS = (
    click.option(
        "--agent",
        metavar="NAME|FILE",
        help="Who answers every relay, whatever its URL says: an installed agent, or rules for `scripted` (YAML).",
    ),
    click.option("--url", metavar="URL", help="Call this running server (ws:// or wss://) for every relay instead."),
    click.option("--sign-as", metavar="WSS_URL", help="With --url: sign this one, for a server behind a proxy."),
    click.option(
        "--auth-token-env",
        "token_name",
        metavar="NAME",
        help=f"With --url: the variable that holds the token.  [default: {DEFAULT_TOKEN}]",
    ),
    click.option(
        "--subflow",
        "subflows",
        multiple=True,
        metavar="SID=FILE",
        callback=read_pairs,
        help="Run this flow for a subflow's SID, instead of an answer of the script.",
    ),
    click.option(
        "--now",
        metavar="TIME",
        help="What Liquid takes for now, as in 2027-03-01T18:30+01:00 (UTC unless said).",
    ),
    click.option(
        "--call-limit",
        type=click.FloatRange(min=1),
        default=900,
        show_default=True,
        metavar="SECONDS",
        help="A call that goes on for longer is given up.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Calling:
    """What the shared options ask for. `url` is None for the server of this process."""

    agent: str | None
    url: str | None
    sign_as: str | None
    token_name: str | None
    subflows: Mapping[str, str]
    now: str | None
    call_limit: float

    def check(self) -> None:
        """Raises UsageError for options that do not go together."""
        if self.url is not None and not self.url.startswith(("ws://", "wss://")):
            raise click.UsageError(f"--url: expected ws:// or wss://, found {self.url!r}")
        if self.url is not None and self.agent is not None:
            raise click.UsageError("--agent is for the server of this process; with --url the URL says who answers")
        if self.url is None and (self.sign_as or self.token_name):
            raise click.UsageError("--sign-as and --auth-token-env need --url: in process nothing is signed")

    def server(self) -> dict[str, Any]:
        """What `own_server` is to be made of."""
        from studio_relay.settings import share_env_file
        from studio_relay.testing.own_server import RULES_AGENT, plugins_with_rules

        share_env_file()
        if self.agent is None or not self.agent.endswith(_RULES):
            return {"agent": self.agent}
        return {"agent": RULES_AGENT, "plugins": plugins_with_rules(self.agent)}

    def line(self) -> Line:
        """The line to the server at `url`."""
        from studio_relay.testing.relay import Line
        from studio_relay.testing.transport import NetTransport

        return Line(transport=NetTransport(), auth_token=auth_token(self.token_name), sign_as=self.sign_as)

    def flow(self, flow: Flow) -> Flow:
        """`flow` as it is to be walked: with `url`, every relay calls that."""
        return flow if self.url is None else pointed_at(flow, self.url)

    def walk_options(self) -> dict[str, Any]:
        """What `simulate.walk` is to know of the world beside the caller and the relay."""
        options: dict[str, Any] = {"now": _time(self.now)} if self.now else {}
        return options | ({"subflows": _finder(self.subflows)} if self.subflows else {})


def calling_options(function: F) -> Callable[..., Any]:
    """The shared options; the command gets them as one `calling`."""
    names = ("agent", "url", "sign_as", "token_name", "subflows", "now", "call_limit")

    @wraps(function)
    def with_calling(*arguments: Any, **options: Any) -> Any:
        calling = Calling(**{name: options.pop(name) for name in names})
        calling.check()
        return function(*arguments, calling=calling, **options)

    decorated: Callable[..., Any] = with_calling
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


@contextmanager
def quiet_about_lost_sessions() -> Iterator[None]:
    """The server of this process warns of every lost session; scripts lose them on purpose, and the walk shows it."""
    import logging

    logger = logging.getLogger("studio_relay.server.callbacks")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def pointed_at(flow: Flow, url: str) -> Flow:
    """`flow` with its relay widgets calling `url`, and its voice redirects the same server."""
    from studio_relay.studio.flow import parse_flow

    definition = copy.deepcopy(dict(flow.definition))
    base = re.sub(r"/relay(/[^/]*)?$", "", re.sub(r"^ws", "http", url))
    for state in definition["states"]:
        properties = state.get("properties", {})
        if state.get("type") == "run-conversation-relay":
            properties["url"] = url
        elif state.get("type") == "add-twiml-redirect" and "/voice" in str(properties.get("url")):
            properties["url"] = re.sub(r"^https?://[^/?]+", base, properties["url"])
    return parse_flow(json.dumps(definition), name=flow.name)


def _time(text: str) -> datetime:
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--now: expected a time such as 2027-03-01T18:30+01:00, found {text!r}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _finder(files: Mapping[str, str]) -> Callable[[str], Flow | None]:
    """Finds subflows; every file is read at once, so that a wrong one is told before the call."""
    from studio_relay.studio.flow import load_flow

    flows = {sid: load_flow(path) for sid, path in files.items()}
    return flows.get
