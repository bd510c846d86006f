"""What a linter says about a flow: findings and their forms as text, JSON and SARIF; it checks nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "notice"]
"""`error`: Twilio refuses it or it cannot work; `warning`: callers may suffer; `notice`: worth knowing."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "notice")
_SARIF_LEVELS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "notice": "note"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One remark about one place. `path` is as Twilio's validator writes it (`#/states/3/properties/timeout`).

    `rank` orders findings: what a caller would hear first comes first; lower is earlier.
    """

    code: str
    severity: Severity
    path: str
    message: str
    widget: str | None = None
    hint: str = ""
    rank: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        shown = {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "widget": self.widget,
            "message": self.message,
            "hint": self.hint or None,
        }
        return {key: value for key, value in shown.items() if value is not None}

    def __str__(self) -> str:
        where = f"{self.path} ({self.widget})" if self.widget else self.path
        said = f"{self.code} {self.severity}: {where}: {self.message}"
        return f"{said.rstrip('.')}. {self.hint}" if self.hint else said


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings about one flow, worst first. `remarks` tell what Studio cannot do: no fault, and not counted."""

    flow: str
    findings: tuple[Finding, ...]
    remarks: tuple[Finding, ...] = ()
    fail_on: Severity = "error"

    @property
    def ok(self) -> bool:
        """Whether nothing of `fail_on` or worse was found."""
        worst = SEVERITIES.index(self.fail_on)
        return all(SEVERITIES.index(finding.severity) > worst for finding in self.findings)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def to_json(self) -> dict[str, Any]:
        found = [finding.to_json() for finding in self.findings]
        told = {"remarks": [remark.to_json() for remark in self.remarks]} if self.remarks else {}
        return {"version": 1, "ok": self.ok, "flow": self.flow, "findings": found, **told}

    def lines(self) -> Iterator[str]:
        """The report for a terminal, without colours; the last line counts."""
        for finding in self.findings:
            yield f"{self.flow}: {finding}"
        counts = [f"{len(self.of(s))} {s}{'' if len(self.of(s)) == 1 else 's'}" for s in SEVERITIES if self.of(s)]
        yield f"{self.flow}: " + (", ".join(counts) or "nothing to report")


def to_sarif(reports: Iterable[Report], titles: Mapping[str, str], version: str) -> dict[str, Any]:
    """SARIF 2.1.0 of several reports; `titles` names every rule by code, `version` is ours."""
    results = [_sarif_result(report.flow, finding) for report in reports for finding in report.findings]
    rules = [{"id": code, "shortDescription": {"text": title}} for code, title in titles.items()]
    tool = {"driver": {"name": "studio-relay", "version": version, "rules": rules}}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": tool, "results": results}],
    }


def _sarif_result(flow: str, finding: Finding) -> dict[str, Any]:
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": flow}}}
    place["logicalLocations"] = [{"fullyQualifiedName": finding.path, "name": finding.widget or finding.path}]
    text = f"{finding.message} {finding.hint}".strip()
    return {
        "ruleId": finding.code,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [place],
    }
