"""`studio-relay flow`: which commands there are for flows; each is a module of its own, imported when asked for."""

from __future__ import annotations

from collections.abc import Mapping

import click

from studio_relay.cli import LazyGroup

_OFFLINE = ("lint", "show", "diagram", "configure", "run", "explore", "test", "diff", "handoff")

COMMANDS: Mapping[str, str] = {
    **{name: f"flow.{name}" for name in (*_OFFLINE, "list", "export", "validate")},
    "import": "flow.importing",  # a word that Python keeps for itself
    **{name: f"flow.{name}" for name in ("promote", "probe")},
}
"""Each command's module, seen from the package of all commands."""


@click.command("flow", cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """Work on Studio flows: as files, and in the account.

    A flow is a file as Studio exports it: the bare definition, an answer of the API, a page of flows, or a module
    or template around one. Only list, export, validate, import, promote and probe ask Twilio, as the account of
    TWILIO_ACCOUNT_SID; the others need no account, key or network.
    """
