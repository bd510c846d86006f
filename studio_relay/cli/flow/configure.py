"""`studio-relay flow configure`: puts a relay stage into a flow file, shows the difference, writes when told to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.options import FILE, flow_argument, json_option, read_pairs, select_option

if TYPE_CHECKING:
    from studio_relay.studio.configure import Stage
    from studio_relay.studio.flow import Flow


def _place(ctx: click.Context, option: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    widget, found, event = value.rpartition(":")
    if not found or not widget or not event:
        raise click.BadParameter(f"expected WIDGET:EVENT, as in welcome:audioComplete, found {value!r}", ctx, option)
    return widget, event


@click.command("configure")
@flow_argument
@click.option("--stage", metavar="WIDGET", help="The relay stage; inserted if there is none.  [default: relay]")
@click.option("--shape", type=click.Choice(["widget", "redirect", "subflow"]), help="[default: widget]")
@click.option("--server", metavar="URL", help="The server, as in wss://relay.example.com.")
@click.option("--agent", metavar="NAME", help="The agent that answers there.")
@click.option("--parameter", "parameters", multiple=True, metavar="K=V", callback=read_pairs, help="Text or Liquid.")
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="K=V",
    callback=read_pairs,
    help="A property of the widget, as in language=es-ES.",
)
@click.option("--success", metavar="WIDGET", help="Where an ended session leads.")
@click.option("--failed", metavar="WIDGET", help="Where an outage leads.")
@click.option("--retry", is_flag=True, help="After an outage begin again, once and without a greeting.")
@click.option("--flow-sid", metavar="SID", help="For shape subflow: the flow that holds the stage.")
@click.option(
    "--after", callback=_place, metavar="WIDGET:EVENT", help="Insert there.  [default: after the first words]"
)
@click.option("--map", "map_path", type=FILE, metavar="FILE", help="Replace SIDs, numbers and URLs, as in dev.toml.")
@click.option("--write", is_flag=True, help="Write the flow's own file, once you have said yes.")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write this file instead.")
@click.option("-y", "--yes", is_flag=True, help="Say yes beforehand: overwrite without asking.")
@select_option
@json_option
def command(
    flow_path: Path,
    after: tuple[str, str] | None,
    map_path: Path | None,
    write: bool,
    output: Path | None,
    yes: bool,
    select: str | None,
    as_json: bool,
    **described: Any,
) -> None:
    """Point a flow's relay at a server and agent.

    The stage is described here and put into the flow in one of three shapes: Studio's own widget, a redirect to
    our voice URL, which brings every attribute, or a subflow. What is not said stays as it is. A map file has
    tables `replace` (text by text) and `widgets.NAME` (properties), and is applied last.

    The difference is printed; nothing is written without --write or --output, and no file that is there already
    without a yes.
    """
    from studio_relay.cli.flow.files import write_asking
    from studio_relay.studio.flow import load_flow

    if write and output:
        raise click.UsageError("--write is for the flow's own file and --output for another; ask for one")
    flow = load_flow(flow_path, select=select)
    stage = _stage(described, after)
    if stage is None and map_path is None:
        raise click.UsageError("nothing to configure: describe a stage, such as --server URL, or give a --map")
    definition, unused = _configured(flow, stage, after, map_path)
    for entry in unused:
        click.echo(f"studio-relay: {map_path}: {entry} met nothing in {flow_path}", err=True)
    new = flow.document.to_text(definition)
    target = output or (flow_path if write else None)
    if not as_json:
        _print_difference(flow, new, definition)
    if target is not None:
        write_asking(target, new, yes=yes)
    if as_json:
        _print_json(flow, definition, new, target)
    else:
        click.echo(f"wrote {target}" if target else "nothing was written; --write or --output FILE does")


def _stage(described: Mapping[str, Any], after: tuple[str, str] | None) -> Stage | None:
    """The stage, if any of it was described."""
    from studio_relay.studio.configure import Stage

    given = {name: value for name, value in described.items() if value}
    if not given and after is None:
        return None
    name = given.pop("stage", "relay")
    return Stage(name=name, **given)


def _configured(
    flow: Flow, stage: Stage | None, after: tuple[str, str] | None, map_path: Path | None
) -> tuple[dict[str, Any], list[str]]:
    """The new definition, and the entries of the map that met nothing."""
    import copy

    from studio_relay.studio.configure import configure
    from studio_relay.studio.value_map import apply_map, load_map

    values = load_map(map_path) if map_path else None
    definition = configure(flow, stage, after=after) if stage else copy.deepcopy(dict(flow.definition))
    return apply_map(definition, values) if values else (definition, [])


def _print_difference(flow: Flow, new: str, definition: Mapping[str, Any]) -> None:
    from studio_relay.cli.flow.printing import print_wrapped
    from studio_relay.cli.printable import printable
    from studio_relay.studio.writing import text_diff

    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in text_diff(flow.to_text(), new, flow.name).splitlines():
        click.secho(printable(line), fg=colours.get(line[:1]))
    changes = _changes(flow, definition)
    for change in changes:
        print_wrapped(str(change), first="", indent="    ")
    if not changes:
        click.echo("no change in behaviour")


def _changes(flow: Flow, definition: Mapping[str, Any]) -> tuple[Any, ...]:
    import json

    from studio_relay.studio.diff import diff
    from studio_relay.studio.flow import parse_flow

    return diff(flow, parse_flow(json.dumps(definition), name=flow.name))


def _print_json(flow: Flow, definition: Mapping[str, Any], new: str, target: Path | None) -> None:
    from studio_relay.cli.flow.printing import print_json
    from studio_relay.studio.writing import text_diff

    report: dict[str, Any] = {"version": 1, "ok": True, "flow": flow.name}
    report["changes"] = [change.to_json() for change in _changes(flow, definition)]
    report["diff"] = text_diff(flow.to_text(), new, flow.name)
    print_json(report | ({"written": str(target)} if target else {}))
