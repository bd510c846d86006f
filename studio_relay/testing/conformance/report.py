"""What conformance cases came to: a verdict each, as text for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from studio_relay.testing.conformance.cases import Case

Result = Literal["passed", "failed", "skipped"]
_SIGNS = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One case and its result; `detail` says what was found instead, or why it was skipped."""

    case: Case
    result: Result
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """An entry of the report's `cases`."""
        entry = {
            "id": self.case.id,
            "title": self.case.title,
            "rule": self.case.rule,
            "certainty": self.case.certainty,
            "level": self.case.level,
            "result": self.result,
        }
        return entry | ({"detail": self.detail} if self.detail else {})


@dataclass(frozen=True, kw_only=True)
class Report:
    """All verdicts on one server."""

    url: str
    verdicts: Sequence[Verdict]

    @property
    def ok(self) -> bool:
        """Whether no `must` failed."""
        return not any(v.result == "failed" and v.case.level == "must" for v in self.verdicts)

    def count(self, result: Result) -> int:
        """How many cases had this result."""
        return sum(verdict.result == result for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "version": 1,
            "ok": self.ok,
            "url": self.url,
            "counts": {name: self.count(name) for name in ("passed", "failed", "skipped")},
            "cases": [verdict.to_json() for verdict in self.verdicts],
        }

    def to_text(self) -> str:
        """The report for a terminal: a line a case, and a second one for what was found instead."""
        lines = [f"{self.url}"]
        for verdict in self.verdicts:
            case = verdict.case
            lines.append(f"{_SIGNS[verdict.result]}  {case.id:<24} {case.title}")
            if verdict.detail:
                lines.append(f"      {verdict.detail}")
            if verdict.result == "failed":
                lines.append(f"      rule: {case.rule} ({case.certainty}, {case.level})")
        lines.append(f"{self.count('passed')} passed, {self.count('failed')} failed, {self.count('skipped')} skipped")
        return "\n".join(lines)
