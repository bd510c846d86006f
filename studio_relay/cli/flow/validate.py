"""`studio-relay flow validate`: what Twilio's own validator says of flow files; saves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.account import environment_options
from studio_relay.cli.flow.options import ANY_PATH, json_option, select_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from studio_relay.studio.account.api import Account
    from studio_relay.studio.account.problems import Problem

    Verdict = tuple[Path, Sequence[Problem]]


@click.command("validate")
@click.argument("paths", nargs=-1, required=True, type=ANY_PATH, metavar="PATHS...")
@click.option("--publish", is_flag=True, help="Ask as if it were to be published, not saved as a draft.")
@select_option
@environment_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    publish: bool,
    select: str | None,
    environment: str | None,
    environments: Path | None,
    as_json: bool,
) -> None:
    """Ask Twilio whether it would take a flow.

    PATHS are flows, and folders to look for flows in. Nothing is saved. Twilio's words are printed as they are, with
    the name of the widget that each path counts to. `flow lint` finds more, and needs no account. Exits with 1 if
    Twilio would refuse one.
    """
    from studio_relay.cli.errors import FOUND_WRONG
    from studio_relay.cli.flow.account import open_account
    from studio_relay.studio.discovery import flow_files
    from studio_relay.studio.flow import read_file

    documents = [(path, read_file(path, select=select).definition) for path in flow_files(paths)]
    with open_account(environment=environment, environments=environments) as account:
        verdicts = _ask(account, documents, "published" if publish else "draft")
        found = list(verdicts) if as_json else list(_printed(verdicts))
    if as_json:
        _print_json(found)
    if any(problems for _, problems in found):
        ctx.exit(FOUND_WRONG)


def _ask(account: Account, documents: Iterable[tuple[Path, Any]], status: str) -> Iterator[Verdict]:
    for path, definition in documents:
        yield path, account.validate(friendly_name=path.stem, status=status, definition=definition)


def _printed(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """The verdicts, each printed as it comes."""
    from studio_relay.cli.flow.printing import print_wrapped
    from studio_relay.cli.printable import printable

    for path, problems in verdicts:
        print_wrapped(
            f"{path}: {'Twilio would refuse it' if problems else 'Twilio would take it'}", first="", indent="  "
        )
        for problem in problems:
            click.secho(f"  {printable(problem.widget) or 'the flow itself'}", bold=True)
            if problem.path:
                print_wrapped(problem.path, indent="    ")
            print_wrapped(problem.message, indent="    ")
        yield path, problems


def _print_json(verdicts: Sequence[Verdict]) -> None:
    from studio_relay.cli.flow.printing import print_json

    flows = [
        {"flow": str(path), "valid": not problems, "problems": [problem.to_json() for problem in problems]}
        for path, problems in verdicts
    ]
    print_json({"version": 1, "ok": all(flow["valid"] for flow in flows), "flows": flows})
