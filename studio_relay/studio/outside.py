"""What a running flow needs from the world outside it: a caller, a relay, and answers for other widgets.

Only shapes stand here. `studio_relay.testing` implements them with caller scripts and real sessions; the
commands join both, so that this package imports no server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


class HungUp(Exception):
    """Raised by a caller when they hang up while the flow speaks or listens."""


@dataclass(frozen=True, kw_only=True)
class RelayStage:
    """One visit to a ConversationRelay widget, all Liquid rendered.

    `attributes` holds the widget's properties but for `url`, `parameters` and `offset` (`welcome_greeting`,
    `language`, ...), `parameters` what becomes `customParameters`, `call` the flow's `trigger.call`.
    """

    widget: str
    url: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    call: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RelayOutcome:
    """How a ConversationRelay session ended, in Twilio's words.

    `status` is `ended` (the server sent `end`), `completed` (the caller hung up) or `failed`.
    """

    status: Literal["ended", "completed", "failed"]
    session_id: str
    duration_ms: int
    close_code: int | None = None
    handoff_data: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class Relay(Protocol):
    """Runs one ConversationRelay session of a call and comes back when it is over."""

    async def __call__(self, stage: RelayStage) -> RelayOutcome: ...


@dataclass(frozen=True, kw_only=True)
class Gather:
    """What a Gather Input widget waits for; times in seconds."""

    widget: str
    timeout: float
    finish_on_key: str = "#"
    stop_gather: bool = True
    number_of_digits: int | None = None


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What came of it: `digits` (without the finish key), or `speech`, or neither on a timeout."""

    digits: str | None = None
    speech: str | None = None
    confidence: str = "0.9"


class Caller(Protocol):
    """The person on the phone, as far as the flow's own widgets meet them."""

    async def hear(self, text: str) -> None:
        """The flow speaks `text`; returns when it was played. Raises HungUp."""

    async def gather(self, wanted: Gather) -> Gathered:
        """The flow listens. Raises HungUp."""

    def answer(self, widget: str) -> Mapping[str, Any] | None:
        """What the outside world does at `widget` (`{"event": ..., output: value}`), or None if not told."""
