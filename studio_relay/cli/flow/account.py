"""The account that commands work on: its credentials from the environment or `.env`, its waiting told on stderr.

No setting of the server is read: what is wrong with one stops no command of the account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from studio_relay.studio.account.api import Account

TWILIO = "TWILIO_"


def open_account(prefix: str = TWILIO) -> Account:
    """The account of the variables `{prefix}ACCOUNT_SID`, ...; close it, or use it as a context manager.

    Raises AccountError naming the variables that are missing or wrong.
    """
    from studio_relay.studio.account.api import Account
    from studio_relay.studio.account.credentials import Credentials

    return Account(Credentials.from_environment(environment(), prefix=prefix), notice=_tell)


def environment() -> dict[str, str]:
    """The variables of the environment, and those of `.env` that it has not. Raises AccountError."""
    import os

    from dotenv import dotenv_values

    from studio_relay.errors import AccountError

    try:
        written = dotenv_values(".env", encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise AccountError(".env: expected readable UTF-8 text of lines NAME=value") from None
    known = {name: value for name, value in written.items() if value}
    return known | {name: value for name, value in os.environ.items() if value}


def _tell(text: str) -> None:
    """What takes long is told to a person only."""
    import sys

    if sys.stderr.isatty():
        click.echo(f"studio-relay: {text}", err=True)
