"""One static page about a suite: what every flow's scripts cover, and every run; it runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from studio_relay.studio.coverage import Coverage
from studio_relay.studio.diagram import Lit, svg
from studio_relay.studio.flow import Flow
from studio_relay.studio.report import drawing, page, run_part, verdict
from studio_relay.testing.suite import CaseResult, SuiteResult


def suite_page(result: SuiteResult) -> str:
    """The page: a summary, the coverage of each flow drawn on its diagram, then the runs; failed ones stand open."""
    return page("flow tests", "\n".join(_parts(result)))


def _parts(result: SuiteResult) -> Iterator[str]:
    covered, total = result.transitions
    good = sum(one.ok for one in result.results)
    yield f"<h1>Flow tests: {verdict(result.ok)}</h1>"
    yield (
        f"<p>{good} of {len(result.results)} scripts as expected; "
        f"{covered} of {total} transitions covered ({result.percent:.0f} %)</p>"
    )
    for fault in result.faults:
        yield f'<p class="no">{escape(fault)}</p>'
    for path, coverage in result.coverage.items():
        yield from _flow(path, result.flows[path], coverage)
    yield "<h2>Runs</h2>"
    for one in result.results:
        yield from _run(one)


def _flow(path: Path, flow: Flow, coverage: Coverage) -> Iterator[str]:
    yield f"<h2>{escape(path.as_posix())}</h2>"
    counts = f"{len(coverage.followed)} of {len(coverage.edges)} transitions"
    yield f"<p>{counts}, {len(coverage.entered)} of {len(coverage.widgets)} widgets</p>"
    missed = "".join(
        f"<li>{escape(m.widget)}: {escape(m.event)} {escape(m.condition or '')} → {escape(m.next)}</li>"
        for m in coverage.missed
    )
    yield f"<p>Missed:</p><ul>{missed}</ul>" if missed else ""
    yield drawing(svg(flow, lit=Lit.of_coverage(coverage)))


def _run(result: CaseResult) -> Iterator[str]:
    name = escape(str(result.case.script.path or result.case.script.name))
    yield f"<details{'' if result.ok else ' open'}><summary>{name}: {verdict(result.ok)}</summary>"
    if result.run is not None:
        yield run_part(result.case.flow, result.run.to_json(context=False))
    else:
        yield f'<p class="no">{escape(result.fault or "")}</p>'
    yield "</details>"
