"""A run as text for whoever reads a failed test: the conversation, and in it, marked, what was expected in vain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from studio_relay.testing.expect import turn_line

if TYPE_CHECKING:
    from studio_relay.testing.caller import Check
    from studio_relay.testing.run import Run

_EXCERPT = 300


def explain(run: Run) -> str:
    """All that was heard, with `>` before each expectation that failed, where it failed; then how the call ended."""
    failed = [check for check in run.checks if not check.ok]
    return "\n".join([_summary(run, failed), "the conversation, > marks the place:", *_story(run, failed), *_end(run)])


def _summary(run: Run, failed: list[Check]) -> str:
    met = f"{run.script}: {len(run.checks) - len(failed)} of {len(run.checks)} expectations met"
    return met if not failed else f"{met}; failed: {', '.join(f'line {check.line}' for check in failed)}"


def _story(run: Run, failed: list[Check]) -> Iterator[str]:
    left = sorted((check for check in failed if check.at_ms is not None), key=lambda check: check.at_ms or 0)
    for turn in run.transcript:
        while left and turn.at_ms > (left[0].at_ms or 0):
            yield from _failure(left.pop(0))
        yield turn_line(turn)
    for check in [*left, *(check for check in failed if check.at_ms is None)]:
        yield from _failure(check)


def _failure(check: Check) -> Iterator[str]:
    found = "nothing" if check.found is None else repr(check.found)
    yield f"> line {check.line}, {check.expect}"
    yield f">     expected {_short(repr(check.expected))}, found {_short(found)}"
    if check.hint:
        yield f">     note: {check.hint}"


def _end(run: Run) -> Iterator[str]:
    if run.steps:
        yield f"path: {' > '.join(step.widget for step in run.steps)}"
    for session in run.sessions:
        outcome = session.outcome
        code = f", close code {outcome.close_code}" if outcome.close_code else ""
        error = f", error {outcome.error_code}: {outcome.error_message}" if outcome.error_code else ""
        yield f"(session {outcome.status}{code}{error})"
    if run.handoff is not None:
        yield f"handoff: {_short(json.dumps(run.handoff, ensure_ascii=False))}"
    for problem in run.chaos["problems"] if run.chaos else ():
        yield f"broken: {problem}"
    for warning in run.warnings:
        yield f"note: {_message(warning)}"


def _message(warning: Any) -> str:
    return str(warning["message"]) if isinstance(warning, dict) else str(warning)


def _short(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
