"""The token that simulated calls are signed with; read from the environment, never printed."""

from __future__ import annotations

import click

DEFAULT_TOKEN = "TWILIO_AUTH_TOKEN"


def auth_token(name: str | None) -> str | None:
    """The token of the environment, else of `.env`; one that is asked for by name must be there."""
    import os

    from dotenv import dotenv_values

    wanted = name or DEFAULT_TOKEN
    token = os.environ.get(wanted) or dotenv_values(".env").get(wanted)
    if name and not token:
        raise click.UsageError(f"--auth-token-env: {name} is not set, in the environment or in .env")
    return token or None
