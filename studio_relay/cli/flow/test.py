"""`studio-relay flow test`: scripts over flows and what they cover; the suite itself is in `studio_relay.testing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio_relay.cli.flow.calling import Calling, calling_options, quiet_about_lost_sessions
from studio_relay.cli.flow.options import ANY_PATH, FILE, json_option

if TYPE_CHECKING:
    from studio_relay.studio.coverage import Coverage
    from studio_relay.testing.run import Run
    from studio_relay.testing.suite import CaseResult, Suite, SuiteResult

_MISSED = 10


@click.command("test")
@click.argument("paths", nargs=-1, type=ANY_PATH, metavar="[PATHS]...")
@click.option("--flow", "flow_path", type=FILE, metavar="FILE", help="Walk this flow, whatever the scripts name.")
@click.option("--min-coverage", type=click.FloatRange(0, 100), default=0, metavar="PERCENT", help="Of all transitions.")
@calling_options
@json_option
@click.option("--report", type=FILE, metavar="FILE.html", help="Write one page with every run and diagram.")
@click.option("--coverage-svg", type=FILE, metavar="FILE", help="Draw the flow with what was covered lit.")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    flow_path: Path | None,
    min_coverage: float,
    calling: Calling,
    as_json: bool,
    report: Path | None,
    coverage_svg: Path | None,
) -> None:
    """Act out scripts, check them, count coverage.

    PATHS are scripts, flows, and folders to look for both in, by default this one. A script names its flow by its
    `flow` key, as seen from the script. All run in this process on a virtual clock, so minutes of talk take no
    time, against the agents installed here: each relay's URL says which one (/relay/NAME). Covered is what can be
    reached from incomingCall: widgets entered, transitions followed.

    With several flows --coverage-svg writes a file for each: FILE-NAME.svg.

    Exits with 1 if a script expected something else or too little was covered, with 2 if one could not be run.
    """
    from studio_relay.cli.errors import FOUND_WRONG, NOT_DONE, NotDone
    from studio_relay.cli.flow.printing import print_json
    from studio_relay.testing.suite import collect

    suite = collect(paths or [Path()], flow=flow_path)
    if not suite.cases:
        raise NotDone("\n".join(suite.faults))
    tell = _quiet if as_json else _tell
    result = _run(suite, calling, min_coverage, tell)
    inputs = [*suite.flows, *(case.script.path for case in suite.cases if case.script.path)]
    if report is not None:
        _write_report(report, result, inputs)
    if coverage_svg is not None:
        _draw(coverage_svg, result, inputs)
    if as_json:
        print_json(result.to_json())
    else:
        _sum_up(result)
    for fault in result.all_faults:
        click.echo(f"studio-relay: {fault}", err=True)
    if not result.ok:
        ctx.exit(NOT_DONE if result.all_faults else FOUND_WRONG)


def _run(suite: Suite, calling: Calling, min_coverage: float, tell: Callable[[CaseResult], None]) -> SuiteResult:
    import asyncio
    from dataclasses import replace

    from studio_relay.testing.suite import add_up, run_cases, run_suite

    limit, options = calling.call_limit, calling.walk_options()
    if calling.url is None:
        options |= calling.server()
        with quiet_about_lost_sessions():
            return run_suite(suite, min_coverage=min_coverage, call_limit=limit, on_result=tell, **options)
    pointed = replace(suite, cases=tuple(replace(case, flow=calling.flow(case.flow)) for case in suite.cases))
    results = asyncio.run(run_cases(pointed, calling.line(), call_limit=limit, on_result=tell, **options))
    return add_up(suite, results, min_coverage=min_coverage)


# What is printed


def _quiet(result: CaseResult) -> None:
    return None


def _tell(result: CaseResult) -> None:
    from studio_relay.cli.flow.printing import print_wrapped
    from studio_relay.cli.printable import printable

    word, colour = ("ok", "green") if result.ok else ("error", "red") if result.run is None else ("failed", "red")
    name = printable(str(result.case.script.path))
    click.echo(f"{click.style(word.ljust(6), fg=colour)} {name}")
    if result.run is not None and not result.ok:
        for line in _failure(result.run):
            print_wrapped(line, first="       ", indent=" " * 16)


def _failure(run: Run) -> Iterator[str]:
    """What was expected in vain, and the call up to there."""
    from studio_relay.cli.outcome import outcome_lines

    for turn in run.transcript:
        yield f"{turn.who.ljust(8)} {turn.text or turn.digits or ''}"
    kept = ("path", "session", "handoff", "failed", "warning", " ")
    yield from (line for line in outcome_lines(run, width=10_000) if line.startswith(kept))


def _sum_up(result: SuiteResult) -> None:
    from studio_relay.cli.flow.printing import print_wrapped

    click.echo()
    for path, coverage in result.coverage.items():
        _tell_coverage(path, coverage)
    good = sum(one.ok for one in result.results)
    covered, total = result.transitions
    words = f"{good} of {len(result.results)} scripts as expected, {covered} of {total} transitions covered"
    enough = "" if result.covers_enough else f", {result.min_coverage:g} % asked for"
    print_wrapped(f"{words} ({result.percent:.0f} %{enough})")


def _tell_coverage(path: Path, coverage: Coverage) -> None:
    from studio_relay.cli.flow.printing import print_wrapped

    counts = f"{len(coverage.followed)} of {len(coverage.edges)} transitions"
    widgets = f"{len(coverage.entered)} of {len(coverage.widgets)} widgets"
    print_wrapped(f"{path}: {counts}, {widgets} ({coverage.percent:.0f} %)", indent="  ", first="")
    for missed in coverage.missed[:_MISSED]:
        condition = f" ({missed.condition})" if missed.condition else ""
        print_wrapped(
            f"missed {missed.widget}: {missed.event}{condition} -> {missed.next}", first="  ", indent="      "
        )
    if len(coverage.missed) > _MISSED:
        print_wrapped(f"and {len(coverage.missed) - _MISSED} more; --json lists all", indent="  ")


# What is written


def _write_report(path: Path, result: SuiteResult, inputs: list[Path]) -> None:
    from studio_relay.cli.flow.files import write_result
    from studio_relay.testing.suite_report import suite_page

    write_result(path, suite_page(result), inputs=inputs)


def _draw(path: Path, result: SuiteResult, inputs: list[Path]) -> None:
    """The covered flow; several flows get a file each."""
    from studio_relay.cli.flow.files import write_result
    from studio_relay.studio.diagram import Lit, svg

    for source, coverage in result.coverage.items():
        place = path if len(result.coverage) == 1 else path.with_stem(f"{path.stem}-{source.stem}")
        write_result(place, svg(result.flows[source], lit=Lit.of_coverage(coverage)), inputs=inputs)
