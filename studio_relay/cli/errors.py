"""The one place where what went wrong becomes a message and an exit code; commands just raise.

0    fine
1    the work was done and found something wrong: a command says so by `ctx.exit(FOUND_WRONG)`
2    it could not be done as asked: usage, unreadable or invalid input, a bad setting
130  interrupted
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from studio_relay.errors import RelayError

FOUND_WRONG = 1
NOT_DONE = 2
INTERRUPTED = 130


class NotDone(click.ClickException):
    """It could not be done as asked; the message says why, a line for each reason."""

    exit_code = NOT_DONE

    def show(self, file: object = None) -> None:
        """Print it on standard error."""
        for line in self.message.splitlines() or [self.message]:
            click.echo(f"studio-relay: {line}", err=True)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what a user can cause into NotDone; a mistake of ours keeps its traceback."""
    try:
        yield
    except click.ClickException as error:
        if error.exit_code == NOT_DONE:
            raise
        raise NotDone(error.format_message()) from error  # click has 1 for a file it cannot open
    except RelayError as error:
        raise NotDone(str(error) or type(error).__name__) from error
    except (KeyboardInterrupt, click.Abort):
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise  # click leaves quietly when the reader of a pipe has gone
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise NotDone(f"{where}{error.strerror or error}") from error
