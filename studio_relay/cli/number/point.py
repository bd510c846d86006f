"""`studio-relay number point`: lets a phone number lead to a flow or a URL, after having said what changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.account import environment_options
from studio_relay.cli.flow.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studio_relay.errors import AccountError
    from studio_relay.studio.account.api import Account
    from studio_relay.studio.account.numbers import Change, NumberRecord
    from studio_relay.studio.account.undo import Undo


@click.command("point")
@click.argument("wanted", metavar="NUMBER")
@click.argument("target", metavar="FLOW|URL")
@click.option("--fallback-url", metavar="URL", help="What answers if that does not; '' for none.  [stays as it is]")
@click.option("--status-callback", metavar="URL", help="Who is told of a call's end; '' for nobody.  [stays as it is]")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Say yes beforehand: change it without asking.")
@environment_options
@json_option
def command(
    wanted: str,
    target: str,
    fallback_url: str | None,
    status_callback: str | None,
    dry_run: bool,
    yes: bool,
    environment: str | None,
    environments: Path | None,
    as_json: bool,
) -> None:
    """Let calls to a number go to a flow or URL.

    NUMBER is as in +15550100001, or a SID. FLOW is a SID or the name of a flow that is published; URL answers with
    TwiML, as /voice of the server does. A number that belongs to a SIP trunk or a TwiML application is refused: its
    own URLs count for nothing. What changes is said first, and how to undo it last.
    """
    from studio_relay.cli.asking import ask
    from studio_relay.cli.flow.account import open_account
    from studio_relay.studio.account.numbers import Destination, changes, find_number, refuse_if_owned, remarks
    from studio_relay.studio.account.undo import undo_pointing

    _check_options(fallback_url, status_callback)
    with open_account(environment=environment, environments=environments) as account:
        number = find_number(account.numbers(), wanted)
        refuse_if_owned(number)
        voice_url, warnings = _voice_url(account, target)
        destination = Destination(voice_url=voice_url, fallback_url=fallback_url, status_callback=status_callback)
        planned = changes(number, destination)
        warnings += list(remarks(number, destination))
        if not as_json:
            _print_plan(number, planned, warnings)
        if planned and not dry_run:
            ask(f"change {number.sid}?", yes=yes, shown=not as_json)
            _change(account, number, planned)
        undo = undo_pointing(account, number, planned) if planned and not dry_run else None
    if as_json:
        _print_json(number, planned, warnings, undo)
    else:
        _print_outcome(number, undo)


def _check_options(fallback_url: str | None, status_callback: str | None) -> None:
    from studio_relay.studio.account.numbers import check_url

    for option, url in (("--fallback-url", fallback_url), ("--status-callback", status_callback)):
        if url:
            check_url(option, url)


def _voice_url(account: Account, target: str) -> tuple[str, list[str]]:
    """The URL that the target is for a number, and what to know about it."""
    from studio_relay.studio.account.numbers import check_url, flow_url

    if "://" in target:
        check_url("URL", target)
        return target, []
    flow = account.find_flow(target)
    return flow_url(account.sid, flow.sid), list(_flow_warnings(account, flow.sid))


def _flow_warnings(account: Account, sid: str) -> list[str]:
    """Look at what callers of the flow would get. Raises AccountError if that is nothing."""
    import json

    from studio_relay.errors import AccountError, FlowError
    from studio_relay.studio.document import read_document
    from studio_relay.studio.flow import build_flow

    try:
        live = account.revision(sid, "LatestPublished")
    except AccountError as error:
        if error.status != 404:
            raise
        publish = account.command("flow", "import", "FILE", sid, "--publish")
        raise AccountError(
            f"{sid}: was never published, so callers would hear an error; nothing was changed. Publish it in Studio, "
            f"or with `{publish}`.",
            status=404,
        ) from error
    try:
        flow = build_flow(read_document(json.dumps(live.definition), name=sid), strict=False)
        answers = any(transition.next for transition in flow.trigger.on("incomingCall"))
    except FlowError as error:
        return [f"the published flow cannot be read ({error})"]
    return [] if answers else ["incomingCall of the published flow leads nowhere: callers would be hung up on at once"]


def _change(account: Account, number: NumberRecord, planned: Sequence[Change]) -> None:
    """Make the changes and look whether they are there. Raises AccountError saying what state the number is in."""
    from studio_relay.errors import AccountError
    from studio_relay.studio.account.numbers import owner, still_missing

    listed = account.command("number", "list")
    try:
        changed = account.update_number(number.sid, **{change.field: change.after for change in planned})
    except KeyboardInterrupt:
        click.echo(f"studio-relay: interrupted; whether it was changed is not known: look with `{listed}`", err=True)
        raise
    except AccountError as error:
        if not error.unknown:
            raise AccountError(f"{error}\nNothing was changed.", status=error.status, code=error.code) from error
        changed = _looked_at(account, number, error)
    if owner(changed):
        raise AccountError(
            f"{number.sid}: was changed as said, but meanwhile somebody gave it to {owner(changed)}, which has its "
            f"calls now. Look at it with `{listed}`."
        )
    missing = still_missing(changed, planned)
    if missing:
        raise AccountError(
            f"{number.sid}: Twilio did not keep all of it: {'; '.join(map(str, missing))}. "
            f"Look at it with `{listed}`, and repeat this."
        )


def _looked_at(account: Account, number: NumberRecord, error: AccountError) -> NumberRecord:
    """The number as it is now, after a change whose answer was lost. Raises AccountError."""
    from studio_relay.errors import AccountError
    from studio_relay.studio.account.numbers import find_number

    try:
        return find_number(account.numbers(), number.sid)
    except AccountError as second:
        raise AccountError(
            f"{error}\nLooking failed too: {second}\n"
            f"{number.sid} may or may not lead there now: look with `{account.command('number', 'list')}`, or "
            "repeat this.",
            unknown=True,
        ) from error


def _print_plan(number: NumberRecord, planned: Sequence[Change], warnings: Sequence[str]) -> None:
    from studio_relay.cli.flow.printing import print_wrapped
    from studio_relay.cli.printable import printable

    click.secho(printable(f"{number.phone_number}  {number.sid}"), bold=True)
    for change in planned:
        click.echo(f"  {change.field}")
        click.echo(printable(f"    was      {change.before or 'nothing'}"))  # URLs stay whole, to be copied
        click.echo(printable(f"    becomes  {change.after or 'nothing'}"))
    if not planned:
        print_wrapped("leads there already", first="  ", indent="    ")
    for warning in warnings:
        print_wrapped(f"warning: {warning}", first="  ", indent="    ")


def _print_outcome(number: NumberRecord, undo: Undo | None) -> None:
    from studio_relay.cli.flow.changing import print_undo
    from studio_relay.cli.flow.printing import print_wrapped

    if undo is None:
        click.echo("nothing was changed")
    else:
        print_wrapped(f"changed {number.sid}; Twilio says it is so")
        print_undo([undo])


def _print_json(number: NumberRecord, planned: Sequence[Change], warnings: Sequence[str], undo: Undo | None) -> None:
    from dataclasses import asdict

    from studio_relay.cli.flow.printing import print_json

    report: dict[str, Any] = {"version": 1, "ok": True, "number": number.sid, "changed": undo is not None}
    report |= {"changes": [asdict(change) for change in planned], "warnings": list(warnings)}
    print_json(report | ({"undo": undo.to_json()} if undo else {}))
