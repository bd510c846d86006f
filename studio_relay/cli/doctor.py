"""`studio-relay doctor`: prints what `studio_relay.server.doctor` finds; looks at nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from studio_relay.server.doctor import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_INDENT = " " * 24


@click.command("doctor")
@click.option("--url", metavar="URL", help="Where to reach the server.  [default: STUDIO_RELAY_PUBLIC_URL]")
@click.option("--offline", is_flag=True, help="Look at this machine only; ask nobody.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, and nothing else.")
@click.pass_context
def command(ctx: click.Context, url: str | None, offline: bool, as_json: bool) -> None:
    """Find what is wrong before a caller does.

    Looks at settings, secrets, plugins, store, recordings and limits; then fetches the public URL and asks it for
    an upgrade, signed as Twilio signs it and unsigned (the server's log shows a few refusals); and where
    TWILIO_ACCOUNT_SID and a secret are set, reads which numbers and flows lead here. Changes nothing.

    Exits with 1 if something is wrong, with 0 if there are warnings at most.
    """
    import asyncio
    import json
    from dataclasses import asdict

    from studio_relay.cli.errors import FOUND_WRONG

    _check_url(url)
    show: Callable[[Finding], None] = (lambda finding: None) if as_json else _show
    findings = asyncio.run(_collect(_examine(url, offline), show))
    failed = sum(finding.level == "fail" for finding in findings)
    if as_json:
        report: dict[str, Any] = {"version": 1, "ok": not failed, "findings": [asdict(found) for found in findings]}
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        warned = sum(finding.level == "warn" for finding in findings)
        click.echo(f"{len(findings)} looked at: {failed} wrong, {warned} to mind")
    if failed:
        ctx.exit(FOUND_WRONG)


async def _examine(url: str | None, offline: bool) -> AsyncIterator[Finding]:
    """What stops the start is a finding too."""
    from studio_relay.errors import PluginError, SettingsError
    from studio_relay.plugins import load_plugins
    from studio_relay.server.doctor import Finding, examine
    from studio_relay.settings import load_settings

    try:
        settings, plugins = load_settings(), load_plugins()
    except SettingsError as error:
        for line in str(error).splitlines():
            what, _, advice = line.partition("; ")
            yield Finding(level="fail", check="settings", what=what, advice=advice)
        return
    except PluginError as error:
        yield Finding(level="fail", check="plugins", what=str(error), advice="repair or uninstall it")
        return
    async for finding in examine(settings, plugins, url=url, offline=offline):
        yield finding


async def _collect(findings: AsyncIterator[Finding], show: Callable[[Finding], None]) -> list[Finding]:
    collected = []
    async for finding in findings:
        show(finding)
        collected.append(finding)
    return collected


def _show(finding: Finding) -> None:
    from studio_relay.cli.printable import printable

    level = click.style(f"{finding.level:<5}", fg=_COLOURS[finding.level])
    click.echo(f"{level} {finding.check:<17} {printable(finding.what)}")
    if finding.advice:
        click.echo(f"{_INDENT}-> {printable(finding.advice)}")


def _check_url(url: str | None) -> None:
    from urllib.parse import urlsplit

    from studio_relay.cli.errors import NotDone

    if url is None:
        return
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        more = parts.query or parts.fragment or parts.username is not None or parts.password is not None
    except ValueError:
        right, more = False, ""
    if more:
        raise NotDone("--url: expected http(s)://host[:port][/prefix], found more: leave user, query and fragment out")
    if not right:
        raise NotDone(f"--url: expected http(s)://host[:port][/prefix], found {url[:100]!r}")
