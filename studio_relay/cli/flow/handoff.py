"""`studio-relay flow handoff`: the widgets behind an agent's handoff, and where a flow and an agent disagree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.options import FILE, json_option, read_pairs, select_option

if TYPE_CHECKING:
    from studio_relay.handoff import Handoff


@click.command("handoff")
@click.argument("agent", metavar="AGENT|MODEL")
@click.argument("flow_path", required=False, type=FILE, metavar="[FLOW]")
@click.option("--relay", metavar="WIDGET", default="relay", show_default=True, help="The relay widget's name.")
@click.option("--prefix", metavar="TEXT", default="", help="Put before the names of the widgets that are made.")
@click.option(
    "--variable", metavar="NAME", default="handoff", show_default=True, help="The flow variable to parse into."
)
@click.option(
    "--target", "targets", multiple=True, metavar="CODE=WIDGET", callback=read_pairs, help="Where a reason code leads."
)
@click.option("--otherwise", metavar="WIDGET", help="Where everything else leads.")
@click.option(
    "--attribute",
    "extra",
    multiple=True,
    metavar="NAME=LIQUID",
    callback=read_pairs,
    help="Another member of the Flex attributes, as in from=contact.channel.address.",
)
@select_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    agent: str,
    flow_path: Path | None,
    relay: str,
    prefix: str,
    variable: str,
    targets: dict[str, str],
    otherwise: str | None,
    extra: dict[str, str],
    select: str | None,
    as_json: bool,
) -> None:
    """Show the widgets an agent's handoff needs; compare.

    AGENT is one that is installed, MODEL a subclass of studio_relay.Handoff as package.module:Class. Without FLOW:
    the Split, Set Variables and Split to put behind the relay's `success`, with a branch for each reason code, and
    attributes for Send to Flex that are valid JSON of at most 1,024 characters whatever the handoff holds.

    With FLOW: reason codes that no branch takes, branches that no code reaches, and members that are read and
    never sent. Exits with 1 if there are any.
    """
    from studio_relay.cli.flow.agents import handoff_model

    model = handoff_model(agent)
    if flow_path is not None:
        _compare(ctx, model, agent, flow_path, select, as_json)
        return
    from studio_relay.studio.handoff import attributes, widgets

    _check_codes(model, targets)
    states = widgets(model, relay=relay, prefix=prefix, variable=variable, targets=targets, otherwise=otherwise)
    _print(states, attributes(model, variable=variable, extra=extra), as_json)


def _check_codes(model: type[Handoff], targets: dict[str, str]) -> None:
    from studio_relay.handoff import SERVER_CODES, reason_codes
    from studio_relay.studio.flow import did_you_mean

    known = (*reason_codes(model), *SERVER_CODES)
    for code in targets:
        if code not in known:
            hint = did_you_mean(code, known) or f" There are: {', '.join(known)}."
            raise click.UsageError(f"--target: {model.__name__} has no reason code {code!r}.{hint}")


def _print(states: list[dict[str, Any]], flex: str, as_json: bool) -> None:
    from studio_relay.cli.flow.printing import print_json, print_wrapped

    if as_json:
        print_json({"version": 1, "ok": True, "states": states, "flex_attributes": flex})
        return
    print_wrapped("Put these into the flow's `states`, and lead the relay's `success` to the first:", first="")
    click.echo(json.dumps(states, ensure_ascii=False, indent=2))
    click.echo()
    print_wrapped("Attributes for Send to Flex:", first="")
    click.echo(flex)


def _compare(
    ctx: click.Context, model: type[Handoff], agent: str, flow_path: Path, select: str | None, as_json: bool
) -> None:
    from studio_relay.cli.errors import FOUND_WRONG
    from studio_relay.cli.flow.printing import count, print_json, print_wrapped
    from studio_relay.studio.flow import load_flow
    from studio_relay.studio.handoff import compare, facts_of

    flow = load_flow(flow_path, select=select)
    found = compare(flow, facts_of(model, name=agent))
    if as_json:
        mismatches = [mismatch.to_json() for mismatch in found]
        print_json({"version": 1, "ok": not found, "flow": flow.name, "mismatches": mismatches})
    else:
        for mismatch in found:
            where = f"{mismatch.widget} ({mismatch.path}): " if mismatch.widget else ""
            print_wrapped(f"{where}{mismatch.message}", first="", indent="    ")
        print_wrapped(count(len(found), "mismatch").replace("mismatchs", "mismatches") if found else "they agree")
    if found:
        ctx.exit(FOUND_WRONG)
