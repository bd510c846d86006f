"""`studio-relay flow diff`: what changed between two flows, in words; `studio_relay.studio.diff` compares them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio_relay.cli.flow.options import FILE, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studio_relay.studio.diff import Change


@click.command("diff")
@click.argument("old_path", type=FILE, metavar="OLD")
@click.argument("new_path", type=FILE, metavar="NEW")
@json_option
@click.pass_context
def command(ctx: click.Context, old_path: Path, new_path: Path, as_json: bool) -> None:
    """Say in words what behaves differently in NEW.

    Places on the canvas and the order of keys are no behaviour; a widget that was only renamed is said to be.
    Exits with 1 if there is a difference, with 0 if there is none.
    """
    from studio_relay.cli.errors import FOUND_WRONG
    from studio_relay.cli.flow.printing import print_json
    from studio_relay.studio.diff import diff
    from studio_relay.studio.flow import load_flow

    changes = diff(load_flow(old_path), load_flow(new_path))
    if as_json:
        print_json({"version": 1, "ok": not changes, "changes": [change.to_json() for change in changes]})
    else:
        print_changes(changes)
    if changes:
        ctx.exit(FOUND_WRONG)


def print_changes(changes: Sequence[Change]) -> None:
    """The changes by widget, then their number."""
    from studio_relay.cli.flow.printing import count, print_wrapped
    from studio_relay.cli.printable import printable

    for widget, group in groupby(changes, key=lambda change: change.widget):
        click.secho(printable(widget or "the flow"), bold=True)
        for change in group:
            print_wrapped(change.text, first="  ", indent="    ")
    print_wrapped(count(len(changes), "change") if changes else "no change in behaviour")
