"""The token that simulated calls are signed with; read from the environment, never printed."""

from __future__ import annotations

import click

DEFAULT_TOKEN = "TWILIO_AUTH_TOKEN"


def auth_token(name: str | None) -> str | None:
    """The token of the environment, else of `.env`; one that is asked for by name must be there."""
    import os
    import re

    from dotenv import dotenv_values

    wanted = name or DEFAULT_TOKEN
    token = os.environ.get(wanted) or dotenv_values(".env").get(wanted)
    if name and not token:
        # Somebody may have given the token itself.
        shown = name if re.fullmatch("[A-Z_]+[A-Z0-9_]{0,60}", name) else "that variable"
        raise click.UsageError(f"--auth-token-env: {shown} is not set, in the environment or in .env")
    return token or None
