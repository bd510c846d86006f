"""What commands that dial a server have in common: where it is, how the upgrade is signed, what else it carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from studio_relay.cli.auth_token import DEFAULT_TOKEN, auth_token

if TYPE_CHECKING:
    from studio_relay.testing.relay import Line

DEFAULT_URL = "ws://127.0.0.1:8080/relay"

Command = TypeVar("Command", bound=Callable[..., Any])


def pairs(separator: str, example: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, str]]:
    """A click callback that reads `NAME<separator>VALUE`, any number of times."""

    def read(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
        found = {}
        for value in values:
            name, there, rest = value.partition(separator)
            if not there or not name.strip():
                raise click.BadParameter(f"expected {example}, found {value!r}", ctx, option)
            found[name.strip()] = rest.strip()
        return found

    return read


def line_options(command: Command) -> Command:
    """The options `sign_as`, `token_name` and `headers`; `open_line` makes a Line of them."""
    options = (
        click.option("--sign-as", metavar="WSS_URL", help="Sign this URL: the public one of a server behind a proxy."),
        click.option(
            "--auth-token-env",
            "token_name",
            metavar="NAME",
            help=f"The variable that holds the token to sign with.  [default: {DEFAULT_TOKEN}]",
        ),
        click.option(
            "--header",
            "headers",
            multiple=True,
            metavar="K:V",
            callback=pairs(":", "NAME:VALUE"),
            help="On the upgrade.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def leftovers_option(command: Command) -> Command:
    """The option `leftovers`: a reading of what no recording shows."""
    return click.option(
        "--leftovers",
        type=click.Choice(["joined", "apart", "dropped"]),
        default="joined",
        show_default=True,
        help="What Twilio does with words still on the wire when a reply is cut off.",
    )(command)


def open_line(*, sign_as: str | None, token_name: str | None, headers: dict[str, str]) -> Line:
    """A line over real sockets. Raises UsageError for a token that is asked for and not there."""
    from studio_relay.testing.relay import Line
    from studio_relay.testing.transport import NetTransport

    return Line(transport=NetTransport(), auth_token=auth_token(token_name), sign_as=sign_as, headers=headers)


def check_url(url: str, *, schemes: tuple[str, ...] = ("ws", "wss", "http", "https")) -> None:
    """Raise UsageError for what cannot be dialled."""
    from urllib.parse import urlsplit

    if urlsplit(url).scheme not in schemes or not urlsplit(url).netloc:
        wanted = ", ".join(f"{scheme}://" for scheme in schemes[:-1]) + f" or {schemes[-1]}://"
        raise click.UsageError(f"expected a {wanted} URL, found {url!r}; such as {DEFAULT_URL}")
