"""`studio-relay flow lint`: findings of the linter as text, JSON or SARIF; the rules are in `studio_relay.studio`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio_relay.cli.flow.options import ANY_PATH, json_option, select_option

if TYPE_CHECKING:
    from studio_relay.studio.diagnostics import Finding, Report
    from studio_relay.studio.lint import LintConfig
    from studio_relay.studio.subject import AgentFacts

_COLOURS = {"error": "red", "warning": "yellow", "notice": "cyan"}


def _codes(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(code.strip() for value in values for code in value.split(",") if code.strip())


@click.command("lint")
@click.argument("paths", nargs=-1, required=True, type=ANY_PATH, metavar="PATHS...")
@click.option("--ignore", multiple=True, metavar="CODES", callback=_codes, help="Rules to leave out: SR305,SR309.")
@click.option("--agent", metavar="NAME", help="Check against this installed agent too: its parameters and codes.")
@select_option
@json_option
@click.option("--sarif", is_flag=True, help="Print the findings as SARIF 2.1.0, for code hosts.")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    ignore: tuple[str, ...],
    agent: str | None,
    select: str | None,
    as_json: bool,
    sarif: bool,
) -> None:
    """Find what Twilio would refuse and callers would suffer.

    PATHS are flows, and folders to look for flows in. What a caller would hear first comes first. Rules are
    switched off, or judged otherwise, in the nearest .studio-relay.toml or pyproject.toml, or by --ignore, never
    inside the flow. Exits with 1 if there is an error; `fail-on = "warning"` in the settings is stricter.

    A remark tells what Studio's widget cannot do. It is no finding, is shown once, and never changes the exit code,
    unless the settings give its rule a severity.

    --json prints one report for one flow, and a list of them as `reports` for several.
    """
    from studio_relay.cli.errors import FOUND_WRONG, NOT_DONE
    from studio_relay.studio.discovery import flow_files
    from studio_relay.studio.lint import load_config

    if as_json and sarif:
        raise click.UsageError("--json and --sarif are two forms of one report; ask for one")
    config = load_config().ignoring(ignore)
    reports, faults = _lint_all(flow_files(paths), config, _facts(agent), select)
    for fault in faults:
        click.echo(f"studio-relay: {fault}", err=True)
    if sarif:
        _print_sarif(reports)
    elif as_json:
        _print_json(reports)
    else:
        _print_text(reports)
    if faults or any(not report.ok for report in reports):
        ctx.exit(NOT_DONE if faults else FOUND_WRONG)


def _facts(agent: str | None) -> AgentFacts | None:
    from studio_relay.cli.flow.agents import agent_facts

    return agent_facts(agent) if agent else None


def _lint_all(
    files: Sequence[Path], config: LintConfig, agent: AgentFacts | None, select: str | None
) -> tuple[list[Report], list[str]]:
    """The reports, and why others could not be made: one unreadable file hides no finding of another."""
    from dataclasses import replace

    from studio_relay.errors import FlowError
    from studio_relay.studio.lint import lint_file

    reports, faults = [], []
    for file in files:
        try:
            report = lint_file(file, config=config, agent=agent, select=select)
        except FlowError as error:
            faults.append(str(error))
        else:
            reports.append(replace(report, flow=file.as_posix()))
    return reports, faults


def _print_json(reports: Sequence[Report]) -> None:
    from studio_relay.cli.flow.printing import print_json

    if len(reports) == 1:
        print_json(reports[0].to_json())
    else:
        ok = all(report.ok for report in reports)
        print_json({"version": 1, "ok": ok, "reports": [report.to_json() for report in reports]})


def _print_sarif(reports: Sequence[Report]) -> None:
    from studio_relay import __version__
    from studio_relay.cli.flow.printing import print_json
    from studio_relay.studio.diagnostics import to_sarif
    from studio_relay.studio.rules import all_rules

    print_json(to_sarif(reports, {rule.code: rule.title for rule in all_rules()}, __version__))


def _print_text(reports: Sequence[Report]) -> None:
    from studio_relay.cli.flow.printing import count, print_wrapped
    from studio_relay.cli.printable import printable
    from studio_relay.studio.diagnostics import SEVERITIES

    for report in reports:
        if report.findings:
            click.secho(printable(report.flow), bold=True)
        for finding in report.findings:
            _print_finding(finding)
    found = [finding for report in reports for finding in report.findings]
    counts = [(sum(f.severity == severity for f in found), severity) for severity in SEVERITIES]
    words = ", ".join(count(number, severity) for number, severity in counts if number)
    _print_remarks(reports)
    print_wrapped(f"{words or 'nothing to report'} in {count(len(reports), 'flow')}")


def _print_remarks(reports: Sequence[Report]) -> None:
    """Each once, however many flows it is about."""
    from studio_relay.cli.flow.printing import count, print_wrapped
    from studio_relay.cli.printable import printable

    remarks = [(report.flow, remark) for report in reports for remark in report.remarks]
    for code in dict.fromkeys(remark.code for _, remark in remarks):
        (flow, first), *others = [(flow, remark) for flow, remark in remarks if remark.code == code]
        more = f" and {count(len(others), 'flow')} more" if others else ""
        print_wrapped(f"remark {code}: {first.message} {first.hint}")
        print_wrapped(printable(f"({flow}: {first.widget}{more})"), indent="  ")


def _print_finding(finding: Finding) -> None:
    from studio_relay.cli.flow.printing import print_wrapped
    from studio_relay.cli.printable import printable

    severity = click.style(finding.severity, fg=_COLOURS[finding.severity])
    click.echo(f"  {severity} {finding.code} {printable(finding.widget or '')}".rstrip())
    print_wrapped(finding.path, indent="    ")
    print_wrapped(f"{finding.message} {finding.hint}".strip(), indent="    ")
