"""Asking before something is done; a command that nobody watches is told to say yes beforehand."""

from __future__ import annotations

import sys

import click

from studio_relay.cli.errors import NotDone


def ask(question: str, *, yes: bool, declined: str = "nothing was changed", shown: bool = True) -> None:
    """Return after a yes. Raises NotDone, saying what was `declined`, after a no and where there is nobody to ask.

    Where what would be done was not `shown`, as in a report for programs, there is nothing to say yes to.
    The question goes to standard error: standard output may be a report.
    """
    if yes:
        return
    if not shown:
        raise NotDone(f"{declined}; --dry-run reports what would be done, and --yes says yes to it beforehand")
    if not sys.stdin.isatty():
        raise NotDone(f"{declined}; there is nobody to ask, and --yes says yes beforehand")
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(f"\nstudio-relay: {declined}", err=True)
        raise
    if not agreed:
        raise NotDone(declined)
