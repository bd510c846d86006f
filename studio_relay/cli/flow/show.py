"""`studio-relay flow show`: a flow on one screen; what is shown is put together in `studio_relay.studio.overview`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.options import flow_argument, json_option, select_option

if TYPE_CHECKING:
    from studio_relay.studio.flow import Flow, Widget


@click.command("show")
@flow_argument
@select_option
@json_option
def command(flow_path: Path, select: str | None, as_json: bool) -> None:
    """Show a flow on one screen: its ways and widgets.

    How calls start, which widgets there are, what is asked outside, which variables are set, and every way
    through it as a tree.
    """
    from studio_relay.cli.flow.printing import print_json
    from studio_relay.studio.flow import load_flow

    flow = load_flow(flow_path, select=select)
    if as_json:
        print_json(_report(flow))
    else:
        _print(flow)


def _print(flow: Flow) -> None:
    from studio_relay.cli.flow.printing import WIDEST, print_wrapped, width
    from studio_relay.cli.printable import printable
    from studio_relay.studio.overview import overview

    lines = overview(flow)
    head = lines.index("")
    for line in lines[:head]:
        print_wrapped(line, indent=" " * 9, first=" " * (len(line) - len(line.lstrip())))
    columns = width()
    for line in lines[head:]:
        shown = printable(line) if columns == WIDEST else _narrow(printable(line))
        click.echo(shown if len(shown) <= columns else shown[: columns - 1] + "…")


def _narrow(line: str) -> str:
    """A line of the tree with half its indentation."""
    text = line.lstrip()
    return " " * ((len(line) - len(text)) // 2) + text


def _report(flow: Flow) -> dict[str, Any]:
    reachable = set(flow.reachable())
    return {
        "version": 1,
        "ok": True,
        "flow": flow.name,
        "initial_state": flow.initial_state,
        "widgets": [_widget(widget, widget.name in reachable) for widget in flow.states.values()],
    }


def _widget(widget: Widget, reachable: bool) -> dict[str, Any]:
    ways = []
    for t in widget.transitions:
        way = {"event": t.event, "condition": " and ".join(map(str, t.conditions)) or None, "next": t.next}
        ways.append({key: value for key, value in way.items() if value is not None})
    return {"widget": widget.name, "type": widget.type, "reachable": reachable, "transitions": ways}
