"""Runs caller scripts over the flows they name, one after the other, and adds up what they cover.

What one script comes to is in `run.py`; the server is handed in as a `Line`, or is `own_server`'s.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio_relay.errors import FlowError, RelayError, ScriptError
from studio_relay.plugins import Plugins
from studio_relay.studio.coverage import Coverage, coverage_of
from studio_relay.studio.discovery import files_below, flow_files
from studio_relay.studio.flow import Flow, load_flow
from studio_relay.testing.clock import run_virtual
from studio_relay.testing.relay import Line
from studio_relay.testing.run import Run, run_flow
from studio_relay.testing.script import Script, load_script
from studio_relay.testing.transport import Unreachable, UpgradeRefused

CALL_LIMIT_SECONDS = 900.0
"""A simulated call that goes on for longer has an agent that never ends."""
_SCRIPTS = (".yaml", ".yml")
_MARK = re.compile(r"^(steps|expect|answers)\s*:", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One script and the flow it walks; `source` is the flow's file."""

    script: Script
    flow: Flow
    source: Path


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What was found: cases in order, every flow by its file, and what stood in the way of further cases."""

    cases: tuple[Case, ...]
    flows: Mapping[Path, Flow]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """What came of a case: a run, or the fault that made one impossible."""

    case: Case
    run: Run | None = None
    fault: str | None = None

    @property
    def ok(self) -> bool:
        """Whether everything went as the script expects."""
        return self.run is not None and self.run.ok

    def to_json(self) -> dict[str, Any]:
        """The run without its context; a case that could not be run says why in `error`."""
        if self.run is not None:
            return self.run.to_json(context=False)
        script = str(self.case.script.path or self.case.script.name)
        return {"version": 1, "ok": False, "flow": self.case.flow.name, "script": script, "error": self.fault}


@dataclass(frozen=True, kw_only=True)
class SuiteResult:
    """What came of a suite. `coverage` is by the flow's file; `min_coverage` in percent of all transitions."""

    results: tuple[CaseResult, ...]
    flows: Mapping[Path, Flow]
    coverage: Mapping[Path, Coverage]
    faults: tuple[str, ...] = ()
    min_coverage: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every script ran, all went as expected and enough was covered."""
        return not self.all_faults and all(result.ok for result in self.results) and self.covers_enough

    @property
    def covers_enough(self) -> bool:
        """Whether `min_coverage` was reached."""
        return self.percent >= self.min_coverage

    @property
    def percent(self) -> float:
        """Transitions followed, in percent of those of all flows; 100 when there is none."""
        covered, total = self.transitions
        return 100.0 * covered / total if total else 100.0

    @property
    def transitions(self) -> tuple[int, int]:
        """Transitions followed, and all that can be, over all flows."""
        found = self.coverage.values()
        return sum(len(one.followed) for one in found), sum(len(one.edges) for one in found)

    @property
    def all_faults(self) -> tuple[str, ...]:
        """Everything that could not be done."""
        return (*self.faults, *(result.fault for result in self.results if result.fault is not None))

    def to_json(self) -> dict[str, Any]:
        """The report of design section 7; where there are several flows a missed transition names its own."""
        found = self.coverage.items()
        covered, total = self.transitions
        missed = [
            ({"flow": path.as_posix()} if len(self.coverage) > 1 else {}) | transition.to_json()
            for path, one in found
            for transition in one.missed
        ]
        widgets = {
            "covered": sum(len(one.entered) for _, one in found),
            "total": sum(len(one.widgets) for _, one in found),
        }
        transitions = {"covered": covered, "total": total, "missed": missed}
        return {
            "version": 1,
            "ok": self.ok,
            "runs": [result.to_json() for result in self.results],
            "coverage": {"widgets": widgets, "transitions": transitions},
        } | ({"errors": list(self.faults)} if self.faults else {})

    def explain(self) -> str:
        """Why it is not ok, a line for each reason; empty when it is."""
        return "\n".join(self._reasons())

    def _reasons(self) -> Iterator[str]:
        yield from self.all_faults
        for result in self.results:
            for check in result.run.checks if result.run else ():
                if not check.ok:
                    script = result.case.script.path or result.case.script.name
                    hint = f" ({check.hint})" if check.hint else ""
                    parted = f"expected {check.expected!r}, found {check.found!r}{hint}"
                    yield f"{script}:{check.line}: {check.expect}: {parted}"
        if not self.covers_enough:
            yield f"{self.percent:.1f} % of the transitions were followed, {self.min_coverage:g} % were asked for"


# Finding


def collect(paths: Iterable[str | Path], *, flow: str | Path | None = None) -> Suite:
    """The cases of files and folders. A script names its flow by its `flow:` key, relative to itself.

    A script that names none walks the only flow there is; with `flow` all walk that one. What cannot be read is
    kept as a fault. Raises FlowError for a path that is not there and where no script is found.
    """
    places = [Path(path) for path in paths]
    scripts, sources = _files(places)
    shelf = _Shelf()
    only = None if flow is None else shelf.flow(Path(flow))
    if only is None:
        for source in sources:
            shelf.try_flow(source)
    cases = [case for path in scripts if (case := shelf.case(path, flow)) is not None]
    if not scripts:
        raise FlowError(f"{', '.join(map(str, places))}: no caller script there; `flow explore` writes some.")
    return Suite(cases=tuple(cases), flows=shelf.flows, faults=tuple(shelf.faults))


def _files(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Scripts and flows, each once, in order."""
    scripts: dict[Path, None] = {}
    flows: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            scripts |= dict.fromkeys(file for file in files_below(path, _SCRIPTS) if _looks_like_script(file))
            flows |= dict.fromkeys(_flows_below(path))
        elif path.suffix in _SCRIPTS:
            scripts[path] = None
        else:
            flows |= dict.fromkeys(flow_files([path]))
    return list(scripts), list(flows)


def _flows_below(folder: Path) -> tuple[Path, ...]:
    try:
        return flow_files([folder])
    except FlowError:
        return ()  # scripts may name flows elsewhere


def _looks_like_script(path: Path) -> bool:
    """Whether a YAML file found in a folder is to be taken for a script, broken or not."""
    return bool(_MARK.search(path.read_text(encoding="utf-8", errors="replace")))


class _Shelf:
    """The flows read so far, and what could not be read."""

    def __init__(self) -> None:
        self.flows: dict[Path, Flow] = {}
        self.faults: list[str] = []
        self._paths: dict[Path, Path] = {}

    def flow(self, path: Path) -> Flow:
        """The flow of a file, read once whatever it is called. Raises FlowError."""
        known = self._paths.setdefault(path.resolve(), Path(os.path.normpath(path)))
        if known not in self.flows:
            self.flows[known] = load_flow(path)
        return self.flows[known]

    def try_flow(self, path: Path) -> None:
        """Read a flow; one that cannot be is a fault."""
        try:
            self.flow(path)
        except FlowError as error:
            self.faults.append(str(error))

    def case(self, path: Path, flow: str | Path | None) -> Case | None:
        """The case of a script; None where there is none, which is then a fault."""
        try:
            script = load_script(path)
            source = Path(flow) if flow is not None else script.flow_path or self._only(script)
            return Case(script=script, flow=self.flow(source), source=self._paths[source.resolve()])
        except (FlowError, ScriptError) as error:
            message = str(error)
            self.faults.append(message if str(path) in message else f"{path}: {message}")
            return None

    def _only(self, script: Script) -> Path:
        if len(self.flows) != 1:
            raise ScriptError(f"{script.path}: names no flow; begin it with `flow: FILE`, as seen from the script")
        return next(iter(self.flows))


# Running

OnResult = Callable[[CaseResult], None]


def _nobody(result: CaseResult) -> None:
    return None


def run_suite(
    suite: Suite,
    *,
    agent: str | None = None,
    plugins: Plugins | None = None,
    min_coverage: float = 0.0,
    call_limit: float = CALL_LIMIT_SECONDS,
    on_result: OnResult = _nobody,
    **options: Any,
) -> SuiteResult:
    """Run all cases in process and on the virtual clock, against `own_server`, which gets `agent` and `plugins`.

    `call_limit` is in seconds of the call, `options` go to `run_flow`. Raises PluginError for an unknown agent, and
    what the server's own code raised.
    """
    from studio_relay.testing.own_server import own_server

    async def in_process() -> list[CaseResult]:
        async with own_server(agent=agent, plugins=plugins) as server:
            results = await run_cases(
                suite, Line(transport=server), call_limit=call_limit, on_result=on_result, **options
            )
        for failure in server.transport.failures:
            raise failure
        return results

    limit = (len(suite.cases) + 1) * (call_limit + 60)
    return add_up(suite, run_virtual(in_process(), limit_seconds=limit), min_coverage=min_coverage)


async def run_cases(
    suite: Suite,
    line: Line,
    *,
    call_limit: float = CALL_LIMIT_SECONDS,
    on_result: OnResult = _nobody,
    **options: Any,
) -> list[CaseResult]:
    """Run all cases over `line`, in the running loop's time; each is another call with ids of its own."""
    results = []
    for number, case in enumerate(suite.cases):
        results.append(await _run_case(case, replace(line, seed=(line.seed, number)), call_limit, options))
        on_result(results[-1])
    return results


async def _run_case(case: Case, line: Line, call_limit: float, options: Mapping[str, Any]) -> CaseResult:
    name = case.script.path or case.script.name
    try:
        run = await run_limited(case.flow, case.script, line, call_limit=call_limit, **options)
    except RelayError as error:
        return CaseResult(case=case, fault=f"{name}: {error}")
    refusal = refusal_of(run)
    if refusal is not None:
        return CaseResult(case=case, fault=f"{name}: {refusal}")
    return CaseResult(case=case, run=run)


def refusal_of(run: Run) -> UpgradeRefused | Unreachable | None:
    """Why the server did not take a call of the run; None when it took all."""
    calls = [session.call for session in run.sessions if session.call is not None]
    return next((call.refusal for call in calls if call.setup_ms is None and call.refusal is not None), None)


async def run_limited(flow: Flow, script: Script, line: Line, *, call_limit: float, **options: Any) -> Run:
    """`run_flow` for at most `call_limit` seconds of the loop. Raises FlowError when the agent never ends."""
    from studio_relay.testing.own_server import OwnServer

    limit = asyncio.timeout(call_limit)
    try:
        async with limit:
            run = await run_flow(flow, script, line, **options)
    except TimeoutError:
        if not limit.expired():
            raise
        raise FlowError(
            f"the call is still going on after {call_limit:g} s, so the agent never ends; end the session there, "
            "let the script hang up, or raise --call-limit"
        ) from None
    if isinstance(line.transport, OwnServer):
        line.transport.check_flood()
    return run


def add_up(suite: Suite, results: Sequence[CaseResult], *, min_coverage: float = 0.0) -> SuiteResult:
    """The results with the coverage of every flow of the suite."""
    found = {
        path: coverage_of(
            flow, [step for r in results if r.run is not None and r.case.source == path for step in r.run.steps]
        )
        for path, flow in suite.flows.items()
    }
    return SuiteResult(
        results=tuple(results),
        flows=suite.flows,
        coverage=found,
        faults=suite.faults,
        min_coverage=min_coverage,
    )
