"""`studio-relay flow list`."""

from __future__ import annotations

import click


@click.command("list")
def command() -> None:
    """Not there yet."""
    raise click.UsageError("flow list is not there yet")
