"""The account that commands work on: its credentials from the environment or `.env`, its waiting told on stderr.

No setting of the server is read: what is wrong with one stops no command of the account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from studio_relay.studio.account.api import Account

F = TypeVar("F", bound=Callable[..., Any])
Row = TypeVar("Row")

TWILIO = "TWILIO_"
_TOLD_EVERY = 500


def environment_options(function: F) -> F:
    """`--environment NAME` of `--environments FILE`, for another account than the one of `TWILIO_...`."""
    file = click.option(
        "--environments",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The file that names environments.  [default: studio-relay.toml]",
    )
    name = click.option("--environment", metavar="NAME", help="The account of this environment.  [default: TWILIO_*]")
    return name(file(function))


def open_account(prefix: str = TWILIO, *, environment: str | None = None, environments: Path | None = None) -> Account:
    """The account of the variables `{prefix}ACCOUNT_SID`, ..., or that of a named environment.

    Close it, or use it as a context manager. Raises AccountError naming the variables that are missing or wrong.
    """
    from studio_relay.studio.account.api import Account
    from studio_relay.studio.account.credentials import Credentials
    from studio_relay.studio.account.environments import DEFAULT_FILE, load_environments

    if environment is None:
        if environments is not None:
            raise click.UsageError("--environments names a file of environments; say which with --environment NAME")
        return Account(Credentials.from_environment(variables(), prefix=prefix), notice=tell)
    chosen = load_environments(environments or DEFAULT_FILE).named(environment)
    options = ("--environment", environment, *(("--environments", str(environments)) if environments else ()))
    return Account(chosen.credentials(variables(), options=options), notice=tell)


def variables() -> dict[str, str]:
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


def counted(rows: Iterable[Row], noun: str) -> Iterator[Row]:
    """The rows; a person is told how many there are so far where there are many."""
    for number, row in enumerate(rows, start=1):
        yield row
        if number % _TOLD_EVERY == 0:
            tell(f"{number} {noun}s read so far")


def tell(text: str) -> None:
    """Say on standard error what takes long, to a person only."""
    import sys

    from studio_relay.cli.printable import printable

    if sys.stderr.isatty():
        click.echo(f"studio-relay: {printable(text)}", err=True)
