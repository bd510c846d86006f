"""What a replay of a recording reports: how much was compared, the first difference, and the times side by side.

`replay_application.py` holds the recorded application against the simulated Twilio, `replay_twilio.py` the
recorded Twilio against a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

DifferenceKind = Literal["order", "type", "value", "missing", "extra", "close", "callback"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first place where replay and recording part; `path` is a JSON path into the frame or form."""

    line: int
    session: int
    kind: DifferenceKind
    path: str = "$"
    expected: Any = None
    found: Any = None

    def to_json(self) -> dict[str, Any]:
        """The `difference` of a replay report."""
        return {
            "line": self.line,
            "session": self.session,
            "kind": self.kind,
            "path": self.path,
            "expected": self.expected,
            "found": self.found,
        }

    def __str__(self) -> str:
        return (
            f"line {self.line}, session {self.session}: {self.kind} at {self.path}: "
            f"expected {self.expected!r}, found {self.found!r}"
        )


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One measured time of the recording and of the replay; `low_ms` and `high_ms` are what was ever recorded."""

    what: str
    recorded_ms: int
    replayed_ms: int
    line: int
    low_ms: int | None = None
    high_ms: int | None = None

    @property
    def within(self) -> bool:
        """Whether the replay's time is one that was recorded, as far as that is known."""
        low = self.low_ms is None or self.replayed_ms >= self.low_ms
        return low and (self.high_ms is None or self.replayed_ms <= self.high_ms)

    def to_json(self) -> dict[str, Any]:
        """An entry of a replay report's `timings`."""
        return {
            "what": self.what,
            "recorded_ms": self.recorded_ms,
            "replayed_ms": self.replayed_ms,
            "line": self.line,
        }


@dataclass(frozen=True, kw_only=True)
class ReplayReport:
    """What came of one replay."""

    recording: str
    played_as: Literal["twilio", "application"]
    compared: Mapping[str, int]
    difference: Difference | None
    timings: Sequence[Timing]
    masked: bool
    url: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing differed; times are not judged here."""
        return self.difference is None

    def to_json(self) -> dict[str, Any]:
        """The replay report of design section 7."""
        head: dict[str, Any] = {"version": 1, "ok": self.ok, "recording": self.recording, "as": self.played_as}
        if self.url is not None:
            head["url"] = self.url
        return head | {
            "compared": dict(self.compared),
            "difference": self.difference.to_json() if self.difference else None,
            "timings": [timing.to_json() for timing in self.timings],
            "masked": self.masked,
        }


def first_difference(expected: Any, found: Any, path: str = "$") -> tuple[DifferenceKind, str, Any, Any] | None:
    """Where two JSON values part: its kind, path, and both values there; None if nowhere. Types count."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in expected:
            if name not in found:
                return "missing", f"{path}.{name}", expected[name], None
        for name in found:
            if name not in expected:
                return "extra", f"{path}.{name}", None, found[name]
        parts = ((expected[name], found[name], f"{path}.{name}") for name in expected)
        return next((d for part in parts if (d := first_difference(*part)) is not None), None)
    if type(expected) is not type(found):
        return "type", path, expected, found
    return None if expected == found else ("value", path, expected, found)
