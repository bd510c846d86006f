"""The account that simulated calls belong to, and the token they are signed with, which is never printed."""

from __future__ import annotations

import click

DEFAULT_TOKEN = "TWILIO_AUTH_TOKEN"


def auth_token(name: str | None) -> str | None:
    """The token of the environment, else of `.env`; one that is asked for by name must be there."""
    import re

    token = _variable(name or DEFAULT_TOKEN)
    if name and not token:
        # Somebody may have given the token itself.
        shown = name if re.fullmatch("[A-Z_]+[A-Z0-9_]{0,60}", name) else "that variable"
        raise click.UsageError(f"--auth-token-env: {shown} is not set, in the environment or in .env")
    return token


def account_sid() -> str | None:
    """The account of the environment, else of `.env`."""
    return _variable("TWILIO_ACCOUNT_SID")


def _variable(name: str) -> str | None:
    import os

    from dotenv import dotenv_values

    return os.environ.get(name) or dotenv_values(".env").get(name) or None
