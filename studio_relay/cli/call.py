"""`studio-relay call`: one simulated call to any server, from a script or from the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio_relay.cli.line import DEFAULT_URL, check_url, leftovers_option, line_options, open_line, pairs

if TYPE_CHECKING:
    from studio_relay.testing.attributes import RelayAttributes
    from studio_relay.testing.playback import Leftovers
    from studio_relay.testing.relay import Line
    from studio_relay.testing.run import Run
    from studio_relay.testing.script import Script, Step


@click.command("call")
@click.argument("url", default=DEFAULT_URL)
@click.option(
    "--script",
    "script_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Act out a caller script instead of the keyboard.",
)
@line_options
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="K=V",
    callback=pairs("=", "NAME=VALUE"),
    help="Custom parameter.",
)
@click.option("--from", "from_", metavar="NUMBER", help="Who calls.")
@click.option("--to", metavar="NUMBER", help="Who is called.")
@click.option("--widget", is_flag=True, help="Call as Studio's widget does: no keys, no events.")
@click.option("--speed", type=click.FloatRange(0.1, 100), default=1.0, show_default=True, help="Times real time.")
@click.option(
    "--chaos",
    "seed",
    type=int,
    metavar="SEED",
    help="Let the line fail as this seed draws; the caller too, unless scripted.",
)
@leftovers_option
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context,
    url: str,
    script_path: Path | None,
    sign_as: str | None,
    token_name: str | None,
    headers: dict[str, str],
    parameters: dict[str, str],
    from_: str | None,
    to: str | None,
    widget: bool,
    speed: float,
    seed: int | None,
    leftovers: Leftovers,
    as_json: bool,
) -> None:
    """Call a ConversationRelay server and talk to it.

    URL is its ws:// or wss:// address, or the http(s):// address that answers a call with TwiML. Type what the
    caller says, /help for what else a caller can do. What stands on a pipe is said in turn.
    """
    import asyncio
    from dataclasses import replace

    from studio_relay.cli.errors import FOUND_WRONG
    from studio_relay.testing.attributes import RelayAttributes
    from studio_relay.testing.chaos import random_steps
    from studio_relay.testing.script import Script, load_script

    check_url(url)
    line = replace(open_line(sign_as=sign_as, token_name=token_name, headers=headers), leftovers=leftovers)
    attributes = RelayAttributes(mode="widget") if widget else RelayAttributes.full()
    script = load_script(script_path) if script_path else Script(name="keyboard")
    call = replace(script.call, from_=from_ or script.call.from_, to=to or script.call.to)
    script = replace(script, call=replace(call, parameters={**call.parameters, **parameters}))
    if script_path or as_json or seed is not None:
        if not script_path:
            script = replace(script, steps=_typed_steps() if seed is None else random_steps(seed))
        ok = asyncio.run(_scripted(line, url, script, attributes, speed, as_json, seed))
    else:
        ok = asyncio.run(_keyboard(line, url, script, attributes, speed))
    if not ok:
        ctx.exit(FOUND_WRONG)


async def _scripted(
    line: Line, url: str, script: Script, attributes: RelayAttributes, speed: float, as_json: bool, seed: int | None
) -> bool:
    import json

    from studio_relay.cli.chaos import chaotic_line, judged
    from studio_relay.cli.narrator import WIDTH, Narrator, terminal
    from studio_relay.cli.outcome import outcome_lines
    from studio_relay.testing.run import run_call
    from studio_relay.testing.twilio import ignore_event

    console = terminal()
    narrator = None if as_json else Narrator(console)
    on_event = narrator or ignore_event
    if seed is None:
        run = await run_call(line, url, script, attributes=attributes, speed=speed, on_event=on_event)
    else:
        line = chaotic_line(line, seed, speed=speed, narrator=narrator)
        run = await run_call(line, url, script, attributes=attributes, speed=speed, redials=2, on_event=on_event)
        run = judged(run, seed)
    if narrator is None:
        click.echo(json.dumps(run.to_json(), ensure_ascii=False, indent=2))
        _check_connected(run, url, line)
    else:
        narrator.finish()
        _check_connected(run, url, line)
        click.echo()
        for shown in outcome_lines(run, width=min(console.width, WIDTH)):
            click.echo(shown)
    return run.ok


def _check_connected(run: Run, url: str, line: Line) -> None:
    from studio_relay.cli.refusal import refused

    first = run.sessions[0].call if run.sessions else None
    if first is not None and first.refusal is not None:
        raise refused(first.refusal, url, line)


def _typed_steps() -> tuple[Step, ...]:
    import sys

    from studio_relay.cli.keyboard import read_steps

    return read_steps(sys.stdin)


async def _keyboard(line: Line, url: str, script: Script, attributes: RelayAttributes, speed: float) -> bool:
    from studio_relay.cli.conversation import converse

    return await converse(line, url, script, attributes, speed)
