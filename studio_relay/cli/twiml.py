"""`studio-relay twiml`: what `/voice` would answer, and where each value comes from; no server is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from studio_relay.plugins import Plugin
    from studio_relay.server.twiml import RelayTwiml, Value
    from studio_relay.server.visit import Visit
    from studio_relay.settings import Settings


def _read_attributes(ctx: click.Context, argument: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for value in values:
        name, found, text = value.partition("=")
        if not found or not name:
            raise click.BadParameter(f"expected NAME=VALUE such as voice=Joanna-Neural, found {value!r}", ctx, argument)
        if name in attributes:
            raise click.BadParameter(f"{name} is written twice", ctx, argument)
        attributes[name] = text
    return attributes


@click.command("twiml")
@click.argument("attributes", nargs=-1, metavar="[ATTR=VALUE]...", callback=_read_attributes)
@click.option("--agent", metavar="NAME", help="As /voice/NAME answers; without it, as /voice does.")
@click.option("--return", "home", metavar="URL", help="The flow a call goes back to: ?return=URL of the voice URL.")
@click.option("--json", "as_json", is_flag=True, help="Print document and values as JSON, and nothing else.")
def command(attributes: Mapping[str, str], agent: str | None, home: str | None, as_json: bool) -> None:
    """Print the TwiML that /voice answers with, and why.

    Later layers win: defaults, the environment (STUDIO_RELAY_TWIML__VOICE), the agent's `relay`, then each
    ATTR=VALUE given here, such as voice=Joanna-Neural or languages='[{"code": "es-ES"}]'.
    """
    import json

    from studio_relay.plugins import load_plugins
    from studio_relay.settings import load_settings

    settings = load_settings(insecure=True)  # nothing is served, so no token is needed
    plugins = load_plugins()
    visit = _visit(settings, home)
    twiml = _twiml(settings, plugins.default_agent(agent or settings.agent), agent, visit, attributes)
    if as_json:
        click.echo(json.dumps(_report(twiml), ensure_ascii=False, indent=2))
        return
    click.echo(_indented(twiml.to_xml()))
    click.echo()
    for line in _lines(twiml, settings):
        click.echo(line)


def _visit(settings: Settings, home: str | None) -> Visit:
    from studio_relay.cli.errors import NotDone
    from studio_relay.server.visit import Visit, account_of

    if home is None:
        return Visit()
    visit = Visit.read([("return", home)], settings.account_sid or account_of(home))
    if visit.strange_home:
        account = settings.account_sid or "AC..."
        raise NotDone(
            f"--return: expected https://webhooks.twilio.com/v1/Accounts/{account}/Flows/FW..., found {home[:200]!r}; "
            "copy the webhook URL of the flow from Studio's trigger"
        )
    return visit


def _twiml(
    settings: Settings, plugin: Plugin, agent: str | None, visit: Visit, attributes: Mapping[str, str]
) -> RelayTwiml:
    from studio_relay.server.layers import layers, resolve, server_layer
    from studio_relay.server.voice import with_parameters
    from studio_relay.ticket import TICKET

    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    twiml = resolve(server_layer(base, agent, visit.to_query()), *layers(settings.twiml, plugin, attributes))
    return with_parameters(twiml, visit).with_parameter(TICKET, "made-anew-for-each-call", layer="server")


def _values(twiml: RelayTwiml) -> Iterator[tuple[str, Value]]:
    yield from sorted(twiml.values.items())
    yield from ((f"extra {name}", value) for name, value in twiml.extra.items())
    yield from ((f"parameter {name}", value) for name, value in twiml.parameters.items())


def _lines(twiml: RelayTwiml, settings: Settings) -> Iterator[str]:
    from studio_relay.cli.printable import printable

    rows = [(name, value.layer, printable(value.text)) for name, value in _values(twiml)]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    yield from (f"{name:{first}}  {layer:{second}}  {text}" for name, layer, text in rows)
    if twiml.warnings or settings.public_url is None:
        yield ""
    yield from (f"warning: {printable(warning)}" for warning in twiml.warnings)
    if settings.public_url is None:
        yield "STUDIO_RELAY_PUBLIC_URL is not set: Twilio cannot reach the addresses shown here"


def _report(twiml: RelayTwiml) -> dict[str, Any]:
    return {
        "version": 1,
        "ok": True,
        "twiml": twiml.to_xml(),
        "attributes": [_row(name, value) for name, value in sorted(twiml.values.items())],
        "extra": [_row(name, value) for name, value in twiml.extra.items()],
        "parameters": [_row(name, value) for name, value in twiml.parameters.items()],
        "languages": [dict(language) for language in twiml.languages],
        "warnings": list(twiml.warnings),
    }


def _row(name: str, value: Value) -> dict[str, str]:
    return {"name": name, "value": value.text, "layer": value.layer}


def _indented(document: str) -> str:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(document)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
