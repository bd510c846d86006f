"""`studio-relay plugins`: what is installed, and the beginning of something new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from studio_relay.plugins import Failure, Plugin, Plugins


@click.group("plugins")
def command() -> None:
    """List what is installed, begin something new."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON, and nothing else.")
@click.pass_context
def list_plugins(ctx: click.Context, as_json: bool) -> None:
    """Show agents and extensions, their hooks, and what is wrong.

    Exits with 1 if something that is installed could not be loaded, or holds what will never be called.
    """
    import json

    from studio_relay.cli.errors import FOUND_WRONG
    from studio_relay.plugins import load_plugins

    plugins = load_plugins()
    found = [*plugins.agents.values(), *plugins.extensions]
    ok = not plugins.failures and not any(plugin.warnings for plugin in found)
    if as_json:
        report = {
            "version": 1,
            "ok": ok,
            "plugins": [_plugin_json(plugin) for plugin in found],
            "failures": [_failure_json(failure) for failure in plugins.failures],
        }
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        for line in _lines(plugins):
            click.echo(line)
    if not ok:
        ctx.exit(FOUND_WRONG)


@command.command("new")
@click.argument("name")
@click.option("--extension", is_flag=True, help="Watch or change every call, instead of answering.")
@click.option(
    "--path",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    metavar="FOLDER",
    help="Where to put it.  [default: here]",
)
def new_plugin(name: str, extension: bool, path: Path) -> None:
    """Begin an agent, or an extension: a package to install.

    Makes the folder studio-relay-NAME with a module, its test and what pip needs. Nothing is overwritten.
    """
    from studio_relay.cli.scaffold import create

    folder = create(name, "extension" if extension else "agent", path)
    click.echo(f"made {folder}, with")
    for file in sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file()):
        click.echo(f"  {file}")
    click.echo("next:")
    click.echo(f"  pip install -e '{folder}'")
    click.echo(f"  python -m pytest '{folder}'")
    click.echo("  studio-relay plugins list")


def _lines(plugins: Plugins) -> Iterator[str]:
    for title, found in (("agents", list(plugins.agents.values())), ("extensions", list(plugins.extensions))):
        yield f"{title}:" if found else f"{title}: none"
        for plugin in found:
            yield f"  {plugin.name}  ({'built in' if plugin.built_in else _origin(plugin)})"
            yield f"    hooks: {', '.join(sorted(plugin.hooks)) or 'none'}"
            yield from (f"    warning: {warning}" for warning in plugin.warnings)
    if plugins.failures:
        yield "could not be loaded:"
    for failure in plugins.failures:
        yield f"  {failure.name}  ({failure.kind} of {failure.package})"
        yield f"    {failure.reason}"


def _origin(plugin: Plugin) -> str:
    return f"{plugin.package} {plugin.version}".strip() or "an object"


def _plugin_json(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "kind": plugin.kind,
        "package": plugin.package,
        "version": plugin.version,
        "built_in": plugin.built_in,
        "hooks": sorted(plugin.hooks),
        "warnings": list(plugin.warnings),
    }


def _failure_json(failure: Failure) -> dict[str, str]:
    return {"name": failure.name, "kind": failure.kind, "package": failure.package, "reason": failure.reason}
