"""The linter: runs every rule over one flow, leaves out what is switched off, and puts the worst first.

The rules stand in `rules`, one module for each kind; what is switched off is read from configuration files, never
from the flow.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

from studio_relay.errors import SettingsError
from studio_relay.studio.diagnostics import SEVERITIES, Finding, Report, Severity
from studio_relay.studio.document import MAX_FLOW_BYTES, Document
from studio_relay.studio.flow import Flow, did_you_mean, read_file
from studio_relay.studio.rules import Found, Rule, all_rules
from studio_relay.studio.subject import AgentFacts, Subject

_KEYS = ("ignore", "per-file-ignores", "severity", "fail-on")
_FAR = 1_000_000


@dataclass(frozen=True, kw_only=True)
class LintConfig:
    """What a project has switched off or judged otherwise. `per_file` maps glob patterns to codes."""

    ignore: frozenset[str] = frozenset()
    per_file: Mapping[str, frozenset[str]] = field(default_factory=dict)
    severity: Mapping[str, Severity] = field(default_factory=dict)
    fail_on: Severity = "error"

    def ignoring(self, codes: Iterable[str]) -> LintConfig:
        """This configuration with more rules off. Raises SettingsError for a code that does not exist."""
        return replace(self, ignore=self.ignore | _codes(codes, "--ignore"))

    def is_off(self, code: str, path: str) -> bool:
        per_file = (
            codes for glob, codes in self.per_file.items() if fnmatch(path, glob) or fnmatch(Path(path).name, glob)
        )
        return code in self.ignore or any(code in codes for codes in per_file)


def lint_file(
    path: str | Path,
    *,
    config: LintConfig | None = None,
    agent: AgentFacts | None = None,
    select: str | None = None,
    max_bytes: int = MAX_FLOW_BYTES,
) -> Report:
    """Lint the flow in a file. Raises FlowError when there is none to lint."""
    document = read_file(path, select=select, max_bytes=max_bytes)
    return lint(document, config=config, agent=agent, path=str(path))


def lint(
    flow: Flow | Document,
    *,
    config: LintConfig | None = None,
    agent: AgentFacts | None = None,
    path: str | None = None,
) -> Report:
    """All findings about a flow, worst first. `path` is what per-file settings are matched against."""
    document = flow.document if isinstance(flow, Flow) else flow
    config = config or LintConfig()
    subject = Subject(document, agent=agent)
    nearness = {name: depth for depth, name in enumerate(subject.on_calls)}
    findings = [
        _finding(rule, found, config, nearness)
        for rule in all_rules()
        if not config.is_off(rule.code, path or document.name)
        for found in rule.check(subject)
    ]
    unique = {(f.code, f.path, f.message): f for f in findings}
    # A project that gives a remark a severity wants it counted.
    remarks = {rule.code for rule in all_rules() if rule.remark} - config.severity.keys()
    return Report(
        flow=document.name,
        findings=tuple(sorted((f for f in unique.values() if f.code not in remarks), key=lambda f: f.rank)),
        remarks=tuple(f for f in unique.values() if f.code in remarks),
        fail_on=config.fail_on,
    )


def _finding(rule: Rule, found: Found, config: LintConfig, nearness: Mapping[str, int]) -> Finding:
    """The finding with its rank: severity, whether a caller can get there, how much they notice, how soon."""
    severity = config.severity.get(rule.code) or found.severity or rule.severity
    near = nearness.get(found.widget or "", _FAR)
    state = int(found.path.split("/")[2]) if found.path.startswith("#/states/") else -1
    return Finding(
        code=rule.code,
        severity=severity,
        path=found.path,
        message=found.message,
        widget=found.widget,
        hint=found.hint,
        rank=(SEVERITIES.index(severity), int(near == _FAR and found.widget is not None), -rule.impact, near, state),
    )


def rule_table() -> str:
    """Every rule as a Markdown table, for the guide."""
    cells = [(r.code, "remark" if r.remark else r.severity, r.title, r.why.replace("|", "\\|")) for r in all_rules()]
    rows = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join(["| Code | Severity | What | Why |", "| --- | --- | --- | --- |", *rows]) + "\n"


def load_config(start: str | Path = ".") -> LintConfig:
    """The settings of the nearest `.studio-relay.toml` (table `lint`) or `pyproject.toml` (`tool.studio-relay.lint`).

    Looks in `start` and upwards. Raises SettingsError for a file or a name that is wrong.
    """
    folder = Path(start).resolve()
    for place in (folder, *folder.parents):
        for name, tables in ((".studio-relay.toml", ("lint",)), ("pyproject.toml", ("tool", "studio-relay", "lint"))):
            file = place / name
            table = _table(file, tables) if file.is_file() else None
            if table is not None:
                return _config(table, file)
    return LintConfig()


def _table(file: Path, names: tuple[str, ...]) -> Mapping[str, Any] | None:
    try:
        found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: cannot be read as TOML: {error}") from None
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _config(table: Mapping[str, Any], file: Path) -> LintConfig:
    for key in table:
        if key not in _KEYS:
            raise SettingsError(f"{file}: lint has no setting {key!r}.{did_you_mean(key, _KEYS)}")
    severity = {code: _severity(word, f"{file}: severity.{code}") for code, word in table.get("severity", {}).items()}
    _codes(severity, f"{file}: severity")
    per_file = table.get("per-file-ignores", {})
    return LintConfig(
        ignore=_codes(table.get("ignore", []), f"{file}: ignore"),
        per_file={glob: _codes(codes, f"{file}: per-file-ignores") for glob, codes in per_file.items()},
        severity=severity,
        fail_on=_severity(table.get("fail-on", "error"), f"{file}: fail-on"),
    )


def _codes(codes: Iterable[str], where: str) -> frozenset[str]:
    known = {rule.code for rule in all_rules()}
    for code in codes:
        if code not in known:
            raise SettingsError(f"{where}: there is no rule {code!r}.{did_you_mean(str(code), known)}")
    return frozenset(codes)


def _severity(word: Any, where: str) -> Severity:
    for severity in get_args(Severity):
        if word == severity:
            return severity  # type: ignore[no-any-return]
    raise SettingsError(f"{where}: expected one of {', '.join(SEVERITIES)}, found {word!r}")
