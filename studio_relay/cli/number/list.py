"""`studio-relay number list`: the account's phone numbers, and where each leads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.account import environment_options
from studio_relay.cli.flow.options import json_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from studio_relay.studio.account.numbers import NumberRecord


@click.command("list")
@environment_options
@json_option
def command(environment: str | None, environments: Path | None, as_json: bool) -> None:
    """List the account's numbers and where they lead.

    A flow is named by its name. A trunk or a TwiML application has a number's calls whatever URL it has.
    """
    from studio_relay.cli.flow.account import counted, open_account
    from studio_relay.cli.flow.printing import print_json
    from studio_relay.studio.account.numbers import flow_of

    with open_account(environment=environment, environments=environments) as account:
        numbers = list(counted(account.numbers(), "number"))
        has_flows = any(flow_of(number) for number in numbers)
        names = {flow.sid: flow.friendly_name for flow in account.flows()} if has_flows else {}
    if as_json:
        rows = [_row(number, names) for number in numbers]
        print_json({"version": 1, "ok": True, "account": account.sid, "numbers": rows})
    else:
        _print_text(account.sid, numbers, names)


def _row(number: NumberRecord, names: Mapping[str, str]) -> dict[str, Any]:
    from studio_relay.studio.account.numbers import flow_of

    flow = flow_of(number)
    known = {
        "sid": number.sid,
        "phone_number": number.phone_number,
        "friendly_name": number.friendly_name,
        "flow": flow,
        "flow_name": names.get(flow or ""),
        "voice_url": number.voice_url,
        "voice_fallback_url": number.voice_fallback_url,
        "status_callback": number.status_callback,
        "voice_application_sid": number.voice_application_sid,
        "trunk_sid": number.trunk_sid,
    }
    return {name: value for name, value in known.items() if value}


def _print_text(account: str, numbers: Sequence[NumberRecord], names: Mapping[str, str]) -> None:
    from studio_relay.cli.flow.printing import count, print_wrapped
    from studio_relay.cli.printable import printable

    for number in numbers:
        click.secho(printable(f"{number.phone_number}  {number.sid}"), bold=True)
        print_wrapped(_leads_to(number, names), first="  ", indent="    ")
        if number.voice_fallback_url:
            print_wrapped(f"falls back on {number.voice_fallback_url}", first="  ", indent="    ")
        if number.status_callback:
            print_wrapped(f"reports to {number.status_callback}", first="  ", indent="    ")
    print_wrapped(f"{count(len(numbers), 'number')} in account {account}")


def _leads_to(number: NumberRecord, names: Mapping[str, str]) -> str:
    from studio_relay.studio.account.numbers import flow_of

    if number.trunk_sid:
        return f"its calls go to the SIP trunk {number.trunk_sid}"
    if number.voice_application_sid:
        return f"the TwiML application {number.voice_application_sid} answers"
    flow = flow_of(number)
    if flow:
        return f"flow {names[flow]} ({flow})" if flow in names else f"{flow}, which is no flow of this account"
    return number.voice_url or "leads nowhere"
