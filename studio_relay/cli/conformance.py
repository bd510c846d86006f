"""`studio-relay conformance`: our protocol suite against anybody's server, in any language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from studio_relay.cli.line import check_url, line_options, open_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studio_relay.testing.conformance import Options, Report
    from studio_relay.testing.conformance.cases import Case
    from studio_relay.testing.relay import Line


@click.command("conformance")
@click.argument("url")
@line_options
@click.option("--account-sid", metavar="SID", help="The account that calls; servers that know theirs want it.")
@click.option("--probe", metavar="TEXT", help="What the caller says where any answer will do.")
@click.option("--farewell", metavar="TEXT", help="What a caller says to make this server end; else that is skipped.")
@click.option("--wait", "seconds", type=click.FloatRange(0.1), default=10.0, show_default=True, help="For an answer.")
@click.option("--only", "wanted", multiple=True, metavar="CASE", help="Just this case; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context,
    url: str,
    sign_as: str | None,
    token_name: str | None,
    headers: dict[str, str],
    account_sid: str | None,
    probe: str | None,
    farewell: str | None,
    seconds: float,
    wanted: tuple[str, ...],
    as_json: bool,
) -> None:
    """Ask a server what a ConversationRelay server must do.

    URL is its ws:// or wss:// address. Each case is a call of its own and names the rule it stands on; a minute or
    two in all. Exits with 1 if a rule that one must keep was broken.
    """
    import asyncio

    from studio_relay.cli.errors import FOUND_WRONG
    from studio_relay.testing.conformance import Options

    check_url(url, schemes=("ws", "wss"))
    cases = _chosen(wanted)
    line = open_line(sign_as=sign_as, token_name=token_name, headers=headers)
    options = Options(
        auth_token=line.auth_token,
        sign_as=sign_as,
        account_sid=account_sid,
        headers=headers,
        probe=probe or Options.probe,
        farewell=farewell,
        reply_seconds=seconds,
    )
    report = asyncio.run(_ask(line, url, options, cases, as_json))
    if not report.ok:
        ctx.exit(FOUND_WRONG)


def _chosen(wanted: tuple[str, ...]) -> Sequence[Case]:
    from difflib import get_close_matches

    from studio_relay.testing.conformance.cases import CASES

    by_id = {case.id: case for case in CASES}
    for name in wanted:
        if name not in by_id:
            near = get_close_matches(name, by_id, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(by_id)}"
            raise click.UsageError(f"--only: no case is called {name!r}; {hint}")
    return [by_id[name] for name in wanted] or CASES


async def _ask(line: Line, url: str, options: Options, cases: Sequence[Case], as_json: bool) -> Report:
    import json

    from studio_relay.cli.printable import printable
    from studio_relay.cli.refusal import refused
    from studio_relay.testing.conformance import run_conformance
    from studio_relay.testing.conformance.report import Verdict
    from studio_relay.testing.transport import Unreachable, UpgradeRefused

    def show(verdict: Verdict) -> None:
        if not as_json:
            for shown in verdict.to_text().splitlines():
                click.echo(printable(shown))

    try:
        report = await run_conformance(line.transport, url, options, cases=cases, on_verdict=show)
    except (UpgradeRefused, Unreachable) as error:
        raise refused(error, url, line) from error
    click.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2) if as_json else report.summary())
    return report
