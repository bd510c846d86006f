"""Asking before something is changed: a yes given beforehand, a person at the terminal, or nobody and so a no."""

from __future__ import annotations

import click


def ask(question: str, *, yes: bool, declined: str) -> None:
    """Return once it was agreed to. Raises NotDone, `declined` saying what was not done; exit 2 tells programs.

    The question goes to standard error: standard output may be a report.
    """
    import sys

    from studio_relay.cli.errors import NotDone

    if yes:
        return
    if not sys.stdin.isatty():
        raise NotDone(f"{declined}; there is nobody to ask, and --yes says yes beforehand")
    if not click.confirm(question, err=True):
        raise NotDone(declined)
