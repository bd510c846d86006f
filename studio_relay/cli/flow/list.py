"""`studio-relay flow list`: the flows of the account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.account import environment_options
from studio_relay.cli.flow.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studio_relay.studio.account.api import FlowRecord


@click.command("list")
@environment_options
@json_option
def command(environment: str | None, environments: Path | None, as_json: bool) -> None:
    """List the flows of the Twilio account.

    The account is the one of TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, or with TWILIO_API_KEY and
    TWILIO_API_SECRET, from the environment or .env; no server is needed. A flow whose newest revision is a draft may
    have an older one that callers hear.
    """
    from studio_relay.cli.flow.account import counted, open_account
    from studio_relay.cli.flow.printing import print_json

    with open_account(environment=environment, environments=environments) as account:
        flows = sorted(counted(account.flows(), "flow"), key=lambda flow: (flow.friendly_name.casefold(), flow.sid))
    if as_json:
        print_json({"version": 1, "ok": True, "account": account.sid, "flows": [_row(flow) for flow in flows]})
    else:
        _print_text(account.sid, flows)


def _row(flow: FlowRecord) -> dict[str, Any]:
    return {
        "sid": flow.sid,
        "friendly_name": flow.friendly_name,
        "status": flow.status,
        "revision": flow.revision,
        "date_updated": flow.date_updated,
    }


def _print_text(account: str, flows: Sequence[FlowRecord]) -> None:
    from studio_relay.cli.flow.printing import count, print_wrapped
    from studio_relay.cli.printable import printable

    for flow in flows:
        name = click.style(printable(flow.friendly_name) or "(no name)", bold=True)
        click.echo(f"{name}  {printable(flow.status)} {flow.revision}")
        print_wrapped(f"{flow.sid}  {_when(flow.date_updated)}", indent="  ")
    print_wrapped(f"{count(len(flows), 'flow')} in account {account}")


def _when(date: str) -> str:
    """To the minute, as in `2026-01-01 07:00 UTC`."""
    return f"{date[:16].replace('T', ' ')} UTC" if date else ""
