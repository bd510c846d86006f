"""`studio-relay replay`: a recorded call again, against a server or against the simulated Twilio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.line import DEFAULT_URL, check_url, line_options, open_line

if TYPE_CHECKING:
    from studio_relay.testing.relay import Line
    from studio_relay.testing.replay import Difference, ReplayReport, Timing


@click.command("replay")
@click.argument("recording", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("url", required=False)
@click.option("--as-application", is_flag=True, help="Play the server's part to the simulated Twilio; dials nobody.")
@click.option("--ignore-text", is_flag=True, help="Not what is said, only that something is: for agents with a model.")
@line_options
@click.option("--speed", type=click.FloatRange(0.1, 100), default=1.0, show_default=True, help="Times real time.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context,
    recording: Path,
    url: str | None,
    as_application: bool,
    ignore_text: bool,
    sign_as: str | None,
    token_name: str | None,
    headers: dict[str, str],
    speed: float,
    as_json: bool,
) -> None:
    """Play a recorded call again and compare.

    Twilio's part of RECORDING goes to the server at URL, and what that answers is compared by meaning. A recording
    is what STUDIO_RELAY_RECORD_DIR makes: JSON lines, one call a file. Without URL the server of this machine is
    called. Exits with 1 at the first difference, and shows its line.
    """
    import json

    from studio_relay.cli.errors import FOUND_WRONG
    from studio_relay.testing.replay_application import replay_as_application

    if as_application:
        if url or ignore_text:
            raise click.UsageError("--as-application dials nobody: it goes without URL and --ignore-text")
        report = replay_as_application(recording)
    else:
        target = url or DEFAULT_URL
        check_url(target, schemes=("ws", "wss"))
        line = open_line(sign_as=sign_as, token_name=token_name, headers=headers)
        report = _against(line, target, recording, ignore_text=ignore_text, speed=speed)
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        for shown in _report_lines(report):
            click.echo(shown)
    if not report.ok:
        ctx.exit(FOUND_WRONG)


def _against(line: Line, url: str, recording: Path, **options: Any) -> ReplayReport:
    import asyncio

    from studio_relay.cli.auth_token import account_sid
    from studio_relay.cli.refusal import refused
    from studio_relay.testing.replay_twilio import replay_as_twilio
    from studio_relay.testing.transport import Unreachable, UpgradeRefused

    replay = replay_as_twilio(
        recording,
        line.transport,
        url,
        auth_token=line.auth_token,
        sign_as=line.sign_as,
        headers=line.headers,
        account_sid=account_sid(),
        **options,
    )
    try:
        return asyncio.run(replay)
    except (UpgradeRefused, Unreachable) as error:
        raise refused(error, url, line) from error


def _report_lines(report: ReplayReport) -> Iterator[str]:
    from studio_relay.cli.printable import printable

    against = f"to {report.url}" if report.url else "to the simulated Twilio"
    yield printable(f"{report.recording}, played {against}" + (", masked" if report.masked else ""))
    if report.timings:
        yield ""
        yield from _timing_lines(report.timings)
        yield ""
    yield "compared  " + ", ".join(f"{count} {what}" for what, count in report.compared.items())
    if report.difference is None:
        yield "result    no difference"
    else:
        yield from _difference_lines(report.difference)
        if report.masked and report.played_as == "twilio":
            yield "note      the recording is masked: keys and numbers in it are stand-ins that an agent may answer"
            yield "          otherwise; STUDIO_RELAY_RECORD_FULL=1 records them as they are"


def _timing_lines(timings: Any) -> Iterator[str]:
    width = max(len(timing.what) for timing in timings)
    yield f"{'line':>6}  {'what':<{width}}  {'recorded':>9}  {'replayed':>9}  range ever recorded"
    for timing in timings:
        times = f"{timing.recorded_ms:>6} ms  {timing.replayed_ms:>6} ms"
        yield f"{timing.line:>6}  {timing.what:<{width}}  {times}  {_range(timing)}".rstrip()


def _range(timing: Timing) -> str:
    if timing.low_ms is None and timing.high_ms is None:
        return ""
    low, high = ("" if bound is None else str(bound) for bound in (timing.low_ms, timing.high_ms))
    known = f"{low}-{high}"
    return known if timing.within else f"{known}, outside"


def _difference_lines(difference: Difference) -> Iterator[str]:
    from studio_relay.cli.printable import printable

    place = f"line {difference.line}, session {difference.session}, {difference.path}"
    yield f"result    a difference of {difference.kind}: {place}"
    yield printable(f"expected  {_short(difference.expected)}")
    yield printable(f"found     {_short(difference.found)}")


def _short(value: Any) -> str:
    import json

    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else text[:299] + "…"
