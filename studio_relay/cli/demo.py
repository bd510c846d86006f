"""`studio-relay demo`: a server, a simulated caller and a flow in one process, over a real socket, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.line import leftovers_option

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from studio_relay.cli.narrator import Narrator
    from studio_relay.studio.flow import Flow
    from studio_relay.testing.playback import Leftovers
    from studio_relay.testing.run import Run
    from studio_relay.testing.script import Script

PREFERRED_AGENT = "front-desk"
STAND_IN_AGENT = "scripted"
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("demo")
@click.option("--flow", "flow_path", type=FILE, metavar="FILE", help="A flow as Studio exports it; needs --script.")
@click.option("--script", "script_path", type=FILE, metavar="FILE", help="What the caller does, as YAML.")
@click.option("--speed", type=click.FloatRange(0.1, 100), default=4.0, show_default=True, help="Times real time.")
@click.option("--chaos", "seed", type=int, metavar="SEED", help="Let the line fail as this seed draws.")
@leftovers_option
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context,
    flow_path: Path | None,
    script_path: Path | None,
    speed: float,
    seed: int | None,
    leftovers: Leftovers,
    as_json: bool,
) -> None:
    """Watch a whole call on this machine: no account, no phone.

    A real server listens on a loopback socket; a simulated Twilio dials in with a signed upgrade and walks a flow
    from Incoming Call to its end. The agent is the front desk, if it is installed, else a built-in one. Exits
    with 1 if the script expected something else.
    """
    import json

    from studio_relay.cli.errors import FOUND_WRONG

    if flow_path and not script_path:
        raise click.UsageError("--flow needs --script: a flow without a caller has nobody to walk it")
    flow, script = _material(flow_path, script_path)
    if as_json:
        run = _fast(_run(flow, script, speed, None, seed, leftovers), speed)
        click.echo(json.dumps(run.to_json(), ensure_ascii=False, indent=2))
    else:
        run = _watch(flow, script, speed, seed, leftovers)
    if not run.ok:
        ctx.exit(FOUND_WRONG)


def _material(flow_path: Path | None, script_path: Path | None) -> tuple[Flow, Script]:
    """The flow and the script: the given ones, the flow a script names, the demo's own."""
    import studio_relay
    from studio_relay.studio.flow import load_flow
    from studio_relay.testing.script import load_script

    own = Path(studio_relay.__file__).parent / "demo"
    script = load_script(script_path or own / "script.yaml")
    return load_flow(flow_path or script.flow_path or own / "flow.json"), script


def _watch(flow: Flow, script: Script, speed: float, seed: int | None, leftovers: Leftovers) -> Run:
    from studio_relay.cli.narrator import WIDTH, Narrator, terminal
    from studio_relay.cli.outcome import outcome_lines

    console = terminal()

    async def watch() -> Run:
        narrator = Narrator(console)
        run = await _run(flow, script, speed, narrator, seed, leftovers)
        narrator.finish()
        return run

    run = _fast(watch(), speed)
    click.echo()
    for line in outcome_lines(run, width=min(console.width, WIDTH)):
        click.echo(line)
    return run


async def _run(
    flow: Flow, script: Script, speed: float, narrator: Narrator | None, seed: int | None, leftovers: Leftovers
) -> Run:
    """Serve on a free port of loopback and walk the flow against it."""
    import secrets

    from studio_relay.cli.chaos import chaotic_line, judged
    from studio_relay.cli.demo_server import configured, demo_server, relay_agents
    from studio_relay.settings import share_env_file
    from studio_relay.testing.relay import Line
    from studio_relay.testing.run import run_flow
    from studio_relay.testing.transport import NetTransport
    from studio_relay.testing.twilio import ignore_event

    share_env_file()
    token = secrets.token_hex(16)
    wanted = (PREFERRED_AGENT, STAND_IN_AGENT)
    async with demo_server(token, wanted, named=relay_agents(flow)) as server:
        for reason in server.broken:
            click.echo(f"studio-relay: {reason}; {server.agent} answers instead", err=True)
        if narrator:
            narrator.note(f"{server.public_url} listens, {server.agent} answers, speed {speed:g}")
        line = Line(transport=NetTransport(server.local_url), auth_token=token, leftovers=leftovers, seed=1)
        if seed is not None:
            line = chaotic_line(line, seed, narrator=narrator)
        own = configured(flow, server)
        run = await run_flow(
            own, script, line, on_event=narrator or ignore_event, on_step=narrator.step if narrator else None
        )
        return run if seed is None else judged(run, seed)


def _fast(work: Coroutine[Any, Any, Run], speed: float) -> Run:
    """Run it in a loop that is so much faster: server and caller must agree about time."""
    import asyncio
    from dataclasses import replace

    from studio_relay.cli.fast_loop import fast_loop

    with asyncio.Runner(loop_factory=fast_loop(speed)) as runner:
        return replace(runner.run(work), speed=speed)
