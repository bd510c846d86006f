"""`studio-relay number point`."""

from __future__ import annotations

import click


@click.command("point")
def command() -> None:
    """Not there yet."""
    raise click.UsageError("number point is not there yet")
