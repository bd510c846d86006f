"""Caller scripts: what one caller does in one call, and what is expected of it.

A script is data; `relay.py` acts it out. Every error names its line and, for a misspelt word, the likely one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from studio_relay.errors import ScriptError
from studio_relay.testing.matching import TextPattern

DEFAULT_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Hear:
    """Wait until the text is heard."""

    line: int
    text: TextPattern


@dataclass(frozen=True, kw_only=True)
class Say:
    """Speak, once the agent has stopped."""

    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Press:
    """Press keys, once the agent has stopped."""

    line: int
    keys: str


@dataclass(frozen=True, kw_only=True)
class TalkOver:
    """Speak, or press keys, while the agent is speaking: after so many of its words, or milliseconds."""

    line: int
    say: str = ""
    keys: str = ""
    after_words: int | None = None
    after_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Silence:
    """Say nothing for `seconds`."""

    line: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class HangUp:
    """Put the phone down."""

    line: int


@dataclass(frozen=True, kw_only=True)
class DropSocket:
    """Let the network drop the socket."""

    line: int


@dataclass(frozen=True, kw_only=True)
class SendRaw:
    """Put any text on the wire."""

    line: int
    text: str


Step = Hear | Say | Press | TalkOver | Silence | HangUp | DropSocket | SendRaw
ExpectationKind = Literal["handoff", "path", "not_hear", "hear", "variables", "status"]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One thing to be true of the run. `value` is a TextPattern, a word, a list of words, or a mapping, by `kind`."""

    line: int
    kind: ExpectationKind
    value: Any

    def __str__(self) -> str:
        return f"{self.kind}: {self.value}" if not isinstance(self.value, dict) else self.kind


@dataclass(frozen=True, kw_only=True)
class ScriptedCall:
    """Who calls: `parameters` join `customParameters`; a number left out is the simulator's."""

    from_: str | None = None
    to: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Script:
    """One caller's whole call. `flow` is a path relative to the script; `timeout` is in seconds.

    So is `media`: how long what the agent plays takes, by its URL.
    """

    name: str = "script"
    path: Path | None = None
    flow: str | None = None
    call: ScriptedCall = field(default_factory=ScriptedCall)
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    expect: tuple[Expectation, ...] = ()
    media: Mapping[str, float] = field(default_factory=dict)
    timeout: float = DEFAULT_TIMEOUT_SECONDS

    @property
    def flow_path(self) -> Path | None:
        """Where the flow is, seen from the script's own folder."""
        if self.flow is None:
            return None
        return (self.path.parent if self.path else Path()) / self.flow


def load_script(path: str | Path) -> Script:
    """Read a script file. Raises ScriptError, with the line."""
    where = Path(path)
    try:
        text = where.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScriptError(f"cannot read the script {where.name}: {reason}") from None
    return parse_script(text, str(where), path=where)


def parse_script(text: str, name: str = "script", *, path: Path | None = None) -> Script:
    """Read a script from `text`; `name` is for messages. Raises ScriptError, with the line."""
    from studio_relay.testing.script_reader import read_script

    return read_script(text, name, path)
