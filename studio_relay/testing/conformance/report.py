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

    def to_text(self) -> str:
        """A line, one for what was found instead, and one for the rule."""
        case = self.case
        lines = [f"{_SIGNS[self.result]}  {case.id:<24} {case.title}"]
        lines += [f"      {self.detail}"] if self.detail else []
        lines += [f"      rule: {case.rule} ({case.certainty}, {case.level})"] if self.result == "failed" else []
        return "\n".join(lines)


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
        """The report for a terminal."""
        return "\n".join([self.url, *(verdict.to_text() for verdict in self.verdicts), self.summary()])

    def summary(self) -> str:
        """How many passed, failed and were skipped, and of the failed how many are rules one must keep."""
        must = sum(v.result == "failed" and v.case.level == "must" for v in self.verdicts)
        failed = f"{self.count('failed')} failed" + (f" ({must} of them a must)" if must else "")
        return f"{self.count('passed')} passed, {failed}, {self.count('skipped')} skipped"
