"""`studio-relay flow export`."""

from __future__ import annotations

import click


@click.command("export")
def command() -> None:
    """Not there yet."""
    raise click.UsageError("flow export is not there yet")
