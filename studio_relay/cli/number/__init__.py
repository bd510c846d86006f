"""`studio-relay number`: which commands there are for the account's phone numbers."""

from __future__ import annotations

from collections.abc import Mapping

import click

from studio_relay.cli import LazyGroup

COMMANDS: Mapping[str, str] = {name: f"number.{name}" for name in ("list", "point")}
"""Each command's module, seen from the package of all commands."""


@click.command("number", cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """See and change where the account's numbers lead."""
