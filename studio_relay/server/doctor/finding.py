"""One line of what the doctor says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`check` is what was looked at, `what` what was found, `advice` what to do; the last is empty when all is well."""

    level: Level
    check: str
    what: str
    advice: str = ""


def ok(check: str, what: str) -> Finding:
    """Nothing to do."""
    return Finding(level="ok", check=check, what=what)


def warn(check: str, what: str, advice: str) -> Finding:
    """It works, until it does not."""
    return Finding(level="warn", check=check, what=what, advice=advice)


def fail(check: str, what: str, advice: str) -> Finding:
    """Callers would suffer."""
    return Finding(level="fail", check=check, what=what, advice=advice)
