"""What came of a run, in words for the terminal: path, handoff, timings, and what was expected in vain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from studio_relay.cli.lost_words import lost_words
from studio_relay.cli.printable import printable

if TYPE_CHECKING:
    from studio_relay.testing.run import Run

_LABEL = 10


def outcome_lines(run: Run, *, width: int) -> Iterator[str]:
    """The lines, none wider than `width` where words allow it."""
    if run.steps:
        yield from _field("path", " > ".join(step.widget for step in run.steps), width)
    for session in run.sessions:
        outcome = session.outcome
        code = f", close code {outcome.close_code}" if outcome.close_code else ""
        error = f", error {outcome.error_code}" if outcome.error_code else ""
        yield from _field("session", f"{outcome.status}{code}{error}", width)
    yield from _field("handoff", _handoff(run.handoff), width)
    yield from _field("timings", _timings(run), width)
    for session in run.sessions:
        if session.call is not None and (lost := lost_words(session.call)):
            yield from _field("lost", lost, width)
    for warning in run.warnings:
        yield from _field("warning", warning["message"] if isinstance(warning, dict) else str(warning), width)
    for problem in run.chaos["problems"] if run.chaos else ():
        yield from _field("broken", problem, width)
    failed = [check for check in run.checks if not check.ok]
    for check in failed:
        yield from _field("failed", f"line {check.line}, {check.expect}", width)
        yield from _field("", f"expected {_short(check.expected)}", width)
        yield from _field("", f"found    {_short(check.found)}", width)
        if check.hint:
            yield from _field("", f"note     {check.hint}", width)
    if run.checks:
        yield from _field("result", f"{len(run.checks) - len(failed)} of {len(run.checks)} expectations met", width)


def _handoff(handoff: Any) -> str:
    if isinstance(handoff, dict):
        return ", ".join(f"{name} {_short(value)}" for name, value in handoff.items() if value not in ("", None))
    return "none" if handoff is None else _short(handoff)


def _timings(run: Run) -> str:
    timings = run.timings
    parts = [f"{timings.total_ms / 1000:.1f} s in all"]
    if timings.first_word_ms:
        parts.append("first words after " + ", ".join(f"{ms / 1000:.2f}" for ms in timings.first_word_ms) + " s")
    parts.append(f"longest silence {timings.longest_silence_ms / 1000:.1f} s")
    return "; ".join(parts)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else text[:299] + "…"


def _field(label: str, text: str, width: int) -> Iterator[str]:
    import textwrap

    indent = " " * _LABEL
    wrapped = textwrap.wrap(printable(text), max(20, width - _LABEL), break_long_words=False) or [""]
    for index, line in enumerate(wrapped):
        yield (label.ljust(_LABEL) if not index else indent) + line
