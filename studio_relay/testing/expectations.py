"""Whether a run is what its script expected: each expectation checked, with its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio_relay.testing.caller import Check
from studio_relay.testing.matching import TextPattern, fold
from studio_relay.testing.script import Expectation


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What expectations are held against; `heard` is everything the caller heard."""

    heard: str
    handoff: Any
    status: str | None
    path: Sequence[str]
    variables: Mapping[str, Any]


def judge(expectation: Expectation, evidence: Evidence) -> Check:
    """One expectation against what happened."""
    expected, found, ok = _JUDGES[expectation.kind](expectation.value, evidence)
    if ok:
        return Check(line=expectation.line, expect=str(expectation), ok=True)
    return Check(line=expectation.line, expect=str(expectation), ok=False, expected=expected, found=found)


_Judgement = tuple[Any, Any, bool]


def _hear(pattern: TextPattern, evidence: Evidence) -> _Judgement:
    return str(pattern), evidence.heard or "nothing", pattern.found_in(evidence.heard)


def _not_hear(pattern: TextPattern, evidence: Evidence) -> _Judgement:
    return f"not {pattern}", evidence.heard, not pattern.found_in(evidence.heard)


def _status(status: str, evidence: Evidence) -> _Judgement:
    return status, evidence.status or "no relay session", evidence.status == status


def _path(wanted: list[str], evidence: Evidence) -> _Judgement:
    return wanted, list(evidence.path), _path_matches(wanted, list(evidence.path))


def _handoff(wanted: Mapping[str, Any], evidence: Evidence) -> _Judgement:
    found = evidence.handoff if evidence.handoff is not None else "no handoff"
    return wanted, found, _holds(wanted, evidence.handoff, _part)


def _variables(wanted: Mapping[str, Any], evidence: Evidence) -> _Judgement:
    found = {name: evidence.variables.get(name) for name in wanted}
    return wanted, found, _holds(wanted, evidence.variables, _same)


_JUDGES: Mapping[str, Callable[[Any, Evidence], _Judgement]] = {
    "hear": _hear,
    "not_hear": _not_hear,
    "status": _status,
    "path": _path,
    "handoff": _handoff,
    "variables": _variables,
}


def _path_matches(wanted: list[str], found: list[str]) -> bool:
    if not wanted:
        return not found
    if wanted[0] == "...":
        return any(_path_matches(wanted[1:], found[skip:]) for skip in range(len(found) + 1))
    return bool(found) and wanted[0] == found[0] and _path_matches(wanted[1:], found[1:])


def _holds(wanted: Any, found: Any, compare: Callable[[str, str], bool]) -> bool:
    """Whether `found` has at least everything `wanted` names."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _holds(value, found.get(name), compare) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(_holds(one, other, compare) for one, other in zip(wanted, found, strict=True))
        )
    return compare(str(wanted), _as_text(found))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _part(wanted: str, found: str) -> bool:
    return TextPattern(wanted).found_in(found) if wanted.strip() else not found.strip()


def _same(wanted: str, found: str) -> bool:
    pattern = TextPattern(wanted)
    return pattern.found_in(found) if pattern.is_regex else fold(wanted) == fold(found)
