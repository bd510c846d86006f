"""`studio-relay number list`."""

from __future__ import annotations

import click


@click.command("list")
def command() -> None:
    """Not there yet."""
    raise click.UsageError("number list is not there yet")
