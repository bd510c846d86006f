"""`studio-relay flow run`: one call through a flow, told as it goes; the runner itself is in `studio_relay.testing`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.calling import Calling, calling_options, quiet_about_lost_sessions
from studio_relay.cli.flow.options import FILE, json_option, select_option

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from studio_relay.cli.narrator import Narrator
    from studio_relay.studio.flow import Flow
    from studio_relay.studio.walk import Step
    from studio_relay.testing.relay import Line
    from studio_relay.testing.run import Run
    from studio_relay.testing.script import Script

_CERTAINTY = {"modelled": "", "scripted": ", as the script says", "unverified": ", unverified"}


@click.command("run")
@click.argument("flow_path", required=False, type=FILE, metavar="[FLOW]")
@click.option(
    "--script", "script_path", required=True, type=FILE, metavar="FILE", help="What the caller does, as YAML."
)
@calling_options
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 100),
    help="Times real time.  [default: 1 with --url, else as fast as it goes]",
)
@click.option("--trigger", metavar="EVENT", default="incomingCall", show_default=True, help="How the flow starts.")
@select_option
@json_option
@click.option("--report", type=FILE, metavar="FILE.html", help="Write one page: path, transcript, timings, diagram.")
@click.pass_context
def command(
    ctx: click.Context,
    flow_path: Path | None,
    script_path: Path,
    calling: Calling,
    speed: float | None,
    trigger: str,
    select: str | None,
    as_json: bool,
    report: Path | None,
) -> None:
    """Run a call through a flow, as Studio would.

    The caller script says what the caller does and what the world outside answers; without FLOW its `flow` is
    walked. Relay widgets become real sessions with the agents installed here: the one that the relay's URL names
    (/relay/NAME), else the default one. A way that is "unverified" leads through a widget whose behaviour is not
    known from Twilio's documents or from exports.

    Exits with 1 if the script expected something else, with 2 if a widget needs an answer that it does not give.
    """
    from studio_relay.cli.errors import FOUND_WRONG
    from studio_relay.cli.flow.printing import print_json
    from studio_relay.studio.flow import load_flow
    from studio_relay.testing.script import load_script

    script = load_script(script_path)
    source = flow_path or script.flow_path
    if source is None:
        raise click.UsageError(f"which flow? Give one, or begin {script_path} with `flow: FILE`")
    flow = load_flow(source, select=select)
    call = _Call(flow=calling.flow(flow), script=script, calling=calling, trigger=trigger, speed=speed)
    run = call.quietly() if as_json else call.aloud()
    call.check_taken(run)
    if report is not None:
        _write_report(report, flow, run, [source, script_path])
    if as_json:
        print_json(run.to_json())
    if not run.ok:
        ctx.exit(FOUND_WRONG)


class _Call:
    """One call as it was asked for."""

    def __init__(self, *, flow: Flow, script: Script, calling: Calling, trigger: str, speed: float | None) -> None:
        self._flow, self._script, self._calling, self._speed = flow, script, calling, speed
        self._options: dict[str, Any] = {"trigger": trigger, **calling.walk_options()}
        self._line: Line | None = calling.line() if calling.url else None

    def quietly(self) -> Run:
        """Make the call and print nothing."""
        return self._timed(self._run(None))

    def aloud(self) -> Run:
        """Make the call and tell it as it goes."""
        from studio_relay.cli.narrator import WIDTH, Narrator, terminal
        from studio_relay.cli.outcome import outcome_lines

        console = terminal()
        narrator = Narrator(console)

        async def tell() -> Run:
            run = await self._run(narrator)
            narrator.finish()
            return run

        run = self._timed(tell())
        click.echo()
        for line in outcome_lines(run, width=min(console.width, WIDTH)):
            click.echo(line)
        return run

    def check_taken(self, run: Run) -> None:
        """Raises NotDone, with advice, when the server at the URL did not take the call."""
        from studio_relay.cli.refusal import refused
        from studio_relay.testing.suite import refusal_of

        refusal = refusal_of(run)
        if refusal is not None and self._line is not None:
            raise refused(refusal, self._calling.url or "", self._line)

    def _timed(self, work: Coroutine[Any, Any, Run]) -> Run:
        """Run it on the clock it needs: real for a real server, fast for a spectator, else virtual."""
        import asyncio
        from dataclasses import replace

        from studio_relay.cli.fast_loop import fast_loop
        from studio_relay.testing.clock import run_virtual

        if self._line is not None:
            return asyncio.run(work)
        if self._speed is None:
            return run_virtual(work, limit_seconds=self._calling.call_limit + 60)
        with asyncio.Runner(loop_factory=fast_loop(self._speed)) as runner:
            return replace(runner.run(work), speed=self._speed)

    async def _run(self, narrator: Narrator | None) -> Run:
        from studio_relay.testing.own_server import own_server
        from studio_relay.testing.relay import Line

        if self._line is not None:
            return await self._walk(self._line, narrator, speed=self._speed or 1.0)
        with quiet_about_lost_sessions():
            async with own_server(**self._calling.server()) as server:
                run = await self._walk(Line(transport=server, seed=1), narrator)
        for failure in server.transport.failures:
            raise failure
        return run

    async def _walk(self, line: Line, narrator: Narrator | None, *, speed: float = 1.0) -> Run:
        from studio_relay.testing.suite import run_limited
        from studio_relay.testing.twilio import ignore_event

        def step(step: Step) -> None:
            if narrator is not None:
                _tell(narrator, step)

        return await run_limited(
            self._flow,
            self._script,
            line,
            call_limit=self._calling.call_limit / speed,
            speed=speed,
            on_event=narrator or ignore_event,
            on_step=step,
            **self._options,
        )


def _tell(narrator: Narrator, step: Step) -> None:
    """The way on from a widget, and how sure it is."""
    condition = f" ({step.condition})" if step.condition else ""
    narrator.note(f"-> {step.event or 'over, the caller has gone'}{condition}{_CERTAINTY[step.certainty]}")


def _write_report(path: Path, flow: Flow, run: Run, inputs: list[Path]) -> None:
    from studio_relay.cli.flow.files import write_result
    from studio_relay.studio.report import run_page

    write_result(path, run_page(flow, run.to_json()), inputs=inputs)
